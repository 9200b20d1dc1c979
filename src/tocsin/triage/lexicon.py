"""The words of an alert's values, and what each is worth to somebody who knows some of them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tocsin.triage import roles
from tocsin.triage.payload import Leaf

LONGEST = 200  # characters of a measured value that are read
LONGEST_WRITTEN = 65_536  # of a value that an actor may have written
LONGEST_WHOLE = 48  # of a value that is a word as it stands
MOST_WORDS = 12  # of one measured value
KEPT = 32_768  # values whose words are kept

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|(?<!\d)\d{1,3}(?!\d)", re.ASCII)
# What differs each time, or names somebody; its text says nothing about the next alert.
_IDENTITY = re.compile(
    r"^id$|^ts$|(?:[^sh]|^)ip$|(?:ips|host|mac|hash|md5|sha1|sha256|pid|port|time|date|arn|uuid|guid|"
    r"hostname|computer|address|addresses|timestamp|version|token|keyid|accountid|requestid|eventid|"
    r"sessionid|principalid|tenantid|username|usernames|userid|email|emails|login|latitude|longitude|"
    r"city|postalcode|etag|cursor|sequence)$"
)
# What an actor may have written, beside what the payload's reader marks.
_WRITTEN = re.compile(
    r"command|cmd|url|uri|agent|subject|file|path|host|dns|query|domain|user|account|mail|process|"
    r"image|message|desc|title|text|body|comment|refer|header|param|arg|payload|note|label|name$"
)
_MACHINE_TEXT = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-|^[0-9a-f:.]{7,}$|^\d{4}-\d\d-\d\d[t ]|^[0-9a-z+/=_-]{28,}$"
)
ACTIONS = roles.words("changes", "actions")
NAMES_ACTIONS = ACTIONS - {"name", "event"}
NOTHING: frozenset[str] = frozenset()
EMPTY: Mapping[str, float] = {}


class Lexicon:
    """The words that somebody knows and what each is worth; None knows all of them, at nothing.

    The words of a value are found once: products repeat themselves. What an actor may have written
    is worth nothing where it would lower.
    """

    def __init__(self, weights: Mapping[str, float] | None) -> None:
        self._weights = weights
        self.of = lru_cache(KEPT, typed=True)(self._of)
        self.written = lru_cache(KEPT, typed=True)(self._written)
        self.part = lru_cache(KEPT)(self._part)
        self.met = lru_cache(KEPT)(self._met)

    def known(self, words: tuple[str, ...]) -> Mapping[str, float]:
        """Those of some words that are known."""
        weights = self._weights
        if weights is None:
            return dict.fromkeys(words, 0.0)
        return {word: weights[word] for word in words if word in weights} or EMPTY

    def raising(self, words: tuple[str, ...]) -> Mapping[str, float]:
        """Those of some words that are known to raise."""
        weights = self._weights
        if weights is None:
            return dict.fromkeys(words, 0.0)
        return {word: weight for word in words if (weight := weights.get(word, 0.0)) > 0} or EMPTY

    def _of(self, name: str, parent: str, value: Any) -> Mapping[str, float]:
        words = _of_leaf(name, value)
        return self.known((*words, *_below(parent, words)) if parent else words)

    def _met(
        self,
        wanted: frozenset[str],
        shown: frozenset[str],
        acted: frozenset[str],
        failed: bool,  # a keyword costs more than the look-up
    ) -> Mapping[str, float]:
        return self.known(_met(wanted, shown, acted, failed=failed))

    def written_by(self, leaf: Leaf) -> Mapping[str, float]:
        """Words of a value that an actor may have written."""
        _, name, _, value, _ = leaf
        if type(value) is not str or len(value) <= LONGEST:
            return self.written(name, value)
        return self._written(name, value[:LONGEST_WRITTEN])

    def _written(self, name: str, value: Any) -> Mapping[str, float]:
        """Words of a value that an actor may have written; more text only ever adds words."""
        if type(value) is not str or _is_identity(name):
            return self.raising(_of_leaf(name, value))
        found = dict(self.raising(("@" + name,)))
        for part in _parts(value):
            found.update(self.part(name, part))
        return found or EMPTY

    def _part(self, name: str, part: str) -> Mapping[str, float]:
        words = (name + ":" + part, part + "?") if len(part) > 2 else (name + ":" + part,)
        return self.raising(words)


def of_title(title: str) -> tuple[str, ...]:
    """Words of a title into which text of the event may flow; more text only adds words."""
    parts = _parts(title)
    return ("@rule", *["rule:" + part for part in parts], *[p for p in parts if len(p) > 2])


def _below(parent: str, words: tuple[str, ...]) -> list[str]:
    """The words of a member again, with the name of the one above."""
    return [
        "@" + parent + "." + word[1:] if word[0] == "@" else parent + "." + word
        for word in words
        if word[0] == "@" or "=" in word or ":" in word
    ]


def _met(
    wanted: frozenset[str], shown: frozenset[str], acted: frozenset[str], *, failed: bool
) -> tuple[str, ...]:
    """How what a rule looks for and what was done meet, and whether it came to pass."""
    end = " failed" if failed else " done"
    return (
        *["shows " + word for word in shown],
        *["lacks " + word for word in wanted - shown],
        *["wants " + word + " did " + act for word in wanted for act in acted],
        *["did " + act + end for act in acted],
        "it is" + end,
    )


@lru_cache(maxsize=16_384)
def is_written(name: str, parent: str) -> bool:
    """Whether an actor may have written such a member, by its name and the one above."""
    if name in NAMES_ACTIONS:
        return False
    return _WRITTEN.search(name) is not None or _WRITTEN.search(parent) is not None


@lru_cache(maxsize=16_384)
def _is_identity(name: str) -> bool:
    return _IDENTITY.search(name) is not None


def _of_leaf(name: str, value: Any) -> tuple[str, ...]:
    if _is_identity(name):
        return ("@" + name,)
    if type(value) is str:
        return _of_text(name, value[:LONGEST])
    if value is True or value is False:
        return ("@" + name, name + "=" + ("true" if value else "false"))
    if -1000 < value < 1000 and value == int(value):
        return ("@" + name, name + "=" + str(int(value)))
    return ("@" + name,)


@lru_cache(maxsize=65_536)
def _of_text(name: str, text: str) -> tuple[str, ...]:
    lowered = text.lower()
    if _MACHINE_TEXT.search(lowered):
        return ("@" + name,)
    parts = _parts(text)[:MOST_WORDS]
    whole = (name + "=" + lowered,) if len(lowered) <= LONGEST_WHOLE else ()
    return (
        "@" + name,
        *whole,
        *[name + ":" + part for part in parts],
        *[part for part in parts if len(part) > 2],
    )


@lru_cache(maxsize=65_536)
def _parts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([part.lower() for part in _WORD.findall(text)]))
