"""What a model can learn from: the words of an alert, and numbers about it.

A word is a member's name with its value, or one word of it, so that what was learned of one rule
helps with the next. What an actor may have written is marked: it can be learned to raise, never to
lower. Names of machines, people and addresses, and anything that is different each time, are no
words: they would be learned by heart.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from tocsin.model import Activity, Dossier
from tocsin.triage import roles
from tocsin.triage.case import NO_PAYLOAD, Case
from tocsin.triage.claims import DESCRIPTIONS, SILENT, VOCABULARY, wanted_words
from tocsin.triage.payload import Leaf, Payload

LONGEST = 200  # characters of a value that are read
LONGEST_WRITTEN = 4000  # of a value that an actor may have written
LONGEST_WHOLE = 48  # of a value that is a word as it stands
MOST_WORDS = 12  # of one value
MOST_LEAVES = 160
NEVER = 1e9  # seconds, where something was not seen before

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d{1,3}(?!\d)", re.ASCII)
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
_NAMES_ACTIONS = ACTIONS - {"name", "event"}
NOTHING: frozenset[str] = frozenset()


class Word(NamedTuple):
    """A word that a model may know; `tainted` when an actor may have written it."""

    text: str
    tainted: bool
    leaf: Leaf | None = None


class Features(NamedTuple):
    """What a model can learn from one alert."""

    words: list[Word]
    numbers: dict[str, float]


def features(case: Case) -> Features:
    """The words and numbers of an alert; each word once."""
    payload = case.payload
    if payload is NO_PAYLOAD:  # its definition says it all, but a model reads it all the same
        payload = Payload(case.dossier.payload)
    found: dict[str, Word] = {}
    for word in _words(case, payload):
        known = found.get(word.text)
        if known is None or (known.tainted and not word.tainted):
            found[word.text] = word
    return Features(list(found.values()), numbers(case, payload))


def numbers(case: Case, payload: Payload) -> dict[str, float]:
    """The numbers that curves are learned for."""
    found = {}
    activity = case.network.activity if case.network is not None else None
    if activity is not None:
        found.update(of_activity(activity))
    wanted = wanted_words(payload) if payload.rule else ()
    if wanted:
        shown, acted = _measured_words(payload)
        found["claim.shown"] = len(shown.intersection(wanted)) / len(wanted)
        found["claim.acted"] = len(acted.intersection(wanted)) / (len(acted) or 1)
    return found


def of_activity(activity: Activity) -> dict[str, float]:
    """The numbers of what came before the alert."""
    return {
        "activity.rule": activity.rule,
        "activity.host": activity.host,
        "activity.everywhere": activity.everywhere,
        "activity.rules": activity.rules,
        "activity.since": NEVER if activity.since is None else activity.since,
    }


def rule_key(case: Case) -> str | None:
    """By what the history counts the alert's rule; None where the alert names none."""
    return rule_of(case.dossier)


def rule_of(dossier: Dossier) -> str | None:
    """See `rule_key`; the dossier must have its context."""
    for fact in dossier.context:
        for seen in fact.data.prevalence:
            if seen.subject == "rule":
                return seen.value
    return None


def _words(case: Case, payload: Payload) -> Iterator[Word]:
    if (rule := rule_key(case)) is not None:
        yield Word("rule=" + rule, False)
    if case.alert.event.severity is not None:
        yield Word("severity=" + case.alert.event.severity, not case.declared)
    name = case.alert.rule.name
    for text in _of_text("rule", (name or case.alert.title)[:LONGEST]):
        yield Word(text, name is None and not case.declared)
    wanted = wanted_words(payload) if payload.rule else NOTHING
    described = _described(payload) if wanted else NOTHING
    for leaf in _read_leaves(payload):
        if leaf.by_actor or _is_written(leaf.name, leaf.parent):
            yield from _written(leaf, wanted, described)
            continue
        for text in _of_leaf(leaf.name, leaf.value):
            yield Word(text, False, leaf)
        if wanted and leaf.name not in SILENT and type(leaf.value) is str:
            spoken = VOCABULARY.of(leaf.value[:LONGEST])
            yield from _matches(leaf, spoken, wanted, described)


def _read_leaves(payload: Payload) -> Iterator[Leaf]:
    """What no actor wrote first, so that nobody can push it out of what is read."""
    for by_actor in (False, True):
        yield from islice(
            (leaf for leaf in payload.event if leaf.by_actor is by_actor), MOST_LEAVES
        )


def _matches(
    leaf: Leaf, spoken: frozenset[str], wanted: frozenset[str], described: frozenset[str]
) -> Iterator[Word]:
    """Whether a value speaks of what the rule looks for, or of something else."""
    if not spoken:
        return
    role = "action" if leaf.name in ACTIONS else "value"
    titled = not spoken.isdisjoint(wanted)
    kind = "title" if titled else "text" if not spoken.isdisjoint(described) else "nothing"
    yield Word("names " + kind + " in " + role, False, leaf)
    yield Word("names " + kind + " in " + leaf.name, False, leaf)
    if titled and spoken <= wanted:
        yield Word("names only title in " + role, False, leaf)


def _written(leaf: Leaf, wanted: frozenset[str], described: frozenset[str]) -> Iterator[Word]:
    """Words of a value that an actor may have written; more text only ever adds words."""
    name, value = leaf.name, leaf.value
    yield Word("@" + name, True, leaf)
    if type(value) is not str:
        for text in _of_leaf(name, value):
            yield Word(text, True, leaf)
        return
    if _is_identity(name):
        return
    spoken: set[str] = set()
    for start in range(0, min(len(value), LONGEST_WRITTEN), LONGEST):
        chunk = value[start : start + LONGEST]
        for part in _parts(chunk):
            yield Word(name + ":" + part, True, leaf)
            if len(part) > 2:
                yield Word(part + "?", True, leaf)
        if wanted:
            spoken |= VOCABULARY.of(chunk)
    if not spoken.isdisjoint(wanted):
        yield Word("names title in what " + name + " says", True, leaf)
        yield Word("names title in what is said", True, leaf)
    if not spoken.isdisjoint(described):
        yield Word("names text in what is said", True, leaf)


def _described(payload: Payload) -> frozenset[str]:
    for leaf in payload.rule:
        if leaf.name in DESCRIPTIONS and type(leaf.value) is str:
            return VOCABULARY.of(leaf.value[:LONGEST])
    return NOTHING


def _measured_words(payload: Payload) -> tuple[set[str], set[str]]:
    """What the values that no actor writes speak of, and those that name an action."""
    shown: set[str] = set()
    acted: set[str] = set()
    for leaf in _read_leaves(payload):
        if leaf.by_actor:
            break
        if leaf.name in SILENT or type(leaf.value) is not str:
            continue
        if _is_written(leaf.name, leaf.parent):
            continue
        spoken = VOCABULARY.of(leaf.value[:LONGEST])
        shown |= spoken
        if leaf.name in _NAMES_ACTIONS:
            acted |= spoken
    return shown, acted


@lru_cache(maxsize=16_384)
def _is_written(name: str, parent: str) -> bool:
    if name in _NAMES_ACTIONS:
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
