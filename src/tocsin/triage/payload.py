"""The alert as sent, laid open: its leaves by name, what is the rule's and what is the event's.

Many alerts come from no declared source: a rule's words, and the event of some product nested
somewhere. Fields go by many names, but few roles; whoever asks gives all the names of one role.

An actor chooses part of an event: parameters, bodies, labels, agents, free text. Leaves below such
members, and all that is decoded from a text within the event, are marked `by_actor`: they can raise
suspicion, never lower it.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tocsin.triage import roles

LONGEST_TEXT = 1_000_000  # characters of a payload that is read at all
LONGEST_EMBEDDED = 65_536
MOST_EMBEDDED = 12
MOST_LEAVES = 1500
DEEPEST = 24
LONGEST_NAME = 128
MOST_MEMBERS = 16_384  # names that are kept as they were read
FEW_NAMES, FEW_CHARACTERS = 64, 2048  # at the top of alerts whose form is kept

RULE_MEMBERS = roles.words("payload", "rule_members")
RULE_ALONE = roles.words("payload", "rule_alone")
PREFIXED = frozenset(
    prefix + word
    for prefix in roles.names("payload", "rule_prefixes")
    for word in roles.names("payload", "rule_words")
)
WITH_PREFIX = frozenset({"severity", "logtype", "runbook"})  # stand bare even then
# What a rule's author alone writes, beside the members of a rule's own object: values of the event
# may flow into titles and names that stand beside the event.
AUTHORED = frozenset(
    name for name in PREFIXED if name.endswith("id") and not name.startswith("alert")
)
_OF_AUTHOR = RULE_MEMBERS | AUTHORED
WRAPPERS = roles.words("payload", "wrappers")
OF_ACTOR = roles.words("payload", "of_actor")
_PLACES = dict(roles.BY_MEMBER)
_RANK = itemgetter(0, 1)
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")

Path: TypeAlias = tuple[str | int, ...]


class Leaf(NamedTuple):
    """A scalar of the payload; `name` and `parent` are lower-case without punctuation."""

    path: Path
    name: str
    parent: str
    value: Any
    by_actor: bool

    @property
    def text(self) -> str:
        """The value as lower-case text."""
        value = self.value
        if value is True or value is False:
            return "true" if value else "false"
        return str(value)[:LONGEST_NAME].strip().lower()

    @property
    def pointer(self) -> str:
        """Its JSON pointer (RFC 6901), which also leads into JSON that is written as a text."""
        return "".join(
            ["/" + str(part).replace("~", "~0").replace("/", "~1") for part in self.path]
        )


class _Branch(NamedTuple):
    """An object or list that is still to be read; `outside`: only wrappers stand above it."""

    node: Any
    path: Path
    name: str
    by_actor: bool
    of_rule: bool
    outside: bool


# Made by the dozen for each alert, so past the constructors written in Python.
_leaf: Any = tuple.__new__
_branch: Any = tuple.__new__


class Payload:
    """The leaves of one alert as sent, nearer ones first.

    Attributes:
        event, rule: the leaves of each part.
        brings_event: a rule and the event it fired on stand apart, so that one can be held to the
            other.
        authored: the rule's part, or some of it, stands where only the rule's author writes.
        beside: the rule's members stand beside the event's, with a prefix.
        cut: there was more than is read.
        ending: how it failed and how it succeeded, once asked for.
        subject, wanted, fixed, spoken: the leaf of the rule's title, what title and id speak of,
            what of it no event can have put there, and what all of the rule's text speaks of, once
            asked for.
    """

    __slots__ = (
        "_roles",
        "authored",
        "beside",
        "brings_event",
        "cut",
        "ending",
        "event",
        "fixed",
        "rule",
        "spoken",
        "subject",
        "wanted",
    )

    def __init__(self, text: str) -> None:
        self.event: list[Leaf] = []
        self.rule: list[Leaf] = []
        self.authored = self.beside = self.brings_event = False
        self.subject: Leaf | None = None
        self.ending: tuple[Leaf | None, Leaf | None] | None = None
        self.spoken: frozenset[str] | None = None
        self.fixed: frozenset[str] | None = None
        self.wanted: frozenset[str] | None = None
        self._roles: dict[str, list[Leaf]] | None = None
        self.cut = len(text) > LONGEST_TEXT
        document = decoded(text)
        start: Path = ()
        if isinstance(document, list):
            place = next((n for n, item in enumerate(document) if isinstance(item, dict)), 0)
            document, start = document[place] if document else None, (place,)
        if isinstance(document, dict):
            names = tuple(document)
            few = len(names) <= FEW_NAMES and sum(map(len, names)) <= FEW_CHARACTERS
            top = (_kept_top if few else _top)(names)
            nested = self._read_top(document, start, top)
            self.brings_event = bool(self.rule and self.event) and (
                nested or top.ruled or (self.beside and bool(self.playing("changes.actions")))
            )

    def _read_top(self, document: dict[str, Any], start: Path, top: "_Top") -> bool:
        """Read everything; says whether an event stands in a member of its own."""
        self.authored, self.beside = top.authored, top.beside
        waiting: list[_Branch] = []
        if len(document) > MOST_LEAVES:
            self.cut = True
        for (key, value), told in zip(document.items(), top.members, strict=False):
            name, parent, tainted, of_rule, wraps = told
            branch = _Branch(value, (*start, key), name, tainted, of_rule, wraps)
            self._take(branch, parent, waiting)
        nested = any(branch.outside for branch in waiting)
        embedded = MOST_EMBEDDED
        for found in waiting:  # grows while it is read
            if len(self.event) + len(self.rule) >= MOST_LEAVES or len(found.path) > DEEPEST:
                self.cut = True
                break
            branch, node = found, found.node
            if type(node) is str:
                inner = decoded(node) if embedded > 0 and len(node) <= LONGEST_EMBEDDED else None
                embedded -= 1
                if not isinstance(inner, dict | list):
                    self._leaf(branch, "")
                    continue
                # What a text of the event holds was written by whoever wrote that text.
                branch = branch._replace(node=inner, by_actor=branch.by_actor or not branch.outside)
            self._read(branch, waiting)
        return nested

    def _read(self, branch: _Branch, waiting: list[_Branch]) -> None:
        node, path, parent, by_actor, of_rule, outside = branch
        if len(node) > MOST_LEAVES:
            self.cut = True
        if type(node) is list:
            for place, value in enumerate(node[:MOST_LEAVES]):
                child = _Branch(value, (*path, place), parent, by_actor, of_rule, outside)
                self._take(child, parent, waiting)
            return
        take = (self.rule if of_rule else self.event).append
        members = node.items() if len(node) <= MOST_LEAVES else islice(node.items(), MOST_LEAVES)
        known = _MEMBERS.get
        for key, value in members:
            kind = type(value)
            if kind is str:
                if not value:
                    continue
                inside = value[0] in "{["
            elif value is None:
                continue
            else:
                inside = kind is dict or kind is list
            name, above, tainted = known(key) or _member(key)
            if not inside:
                made = ((*path, key), name, above or parent, value, by_actor or tainted)
                take(_leaf(Leaf, made))
            elif value:
                wrapped = outside and name in WRAPPERS
                below = (value, (*path, key), name, by_actor or tainted, of_rule, wrapped)
                waiting.append(_branch(_Branch, below))

    def _take(self, branch: _Branch, parent: str, waiting: list[_Branch]) -> None:
        value = branch.node
        if value is None or value == "":
            return
        kind = type(value)
        if kind is dict or kind is list or (kind is str and value[0] in "{["):
            waiting.append(branch)
        else:
            self._leaf(branch, parent)

    def _leaf(self, branch: _Branch, parent: str) -> None:
        value, path, name, by_actor, of_rule, _ = branch
        (self.rule if of_rule else self.event).append(Leaf(path, name, parent, value, by_actor))

    def by_author(self, leaf: Leaf) -> bool:
        """Whether a leaf of the rule's part stands where no value of an event flows in."""
        top = next((part for part in leaf.path if type(part) is str), "")
        return plain(top) in _OF_AUTHOR

    def playing(self, role: str) -> Sequence[Leaf]:
        """The event's leaves in one role of `roles.toml`, the best named first."""
        roles_played = self._roles
        if roles_played is None:
            roles_played = self._roles = self._cast()
        return roles_played.get(role, ())

    def _cast(self) -> dict[str, list[Leaf]]:
        ranked: dict[str, list[tuple[int, int, Leaf]]] = {}
        places = _PLACES
        for order, leaf in enumerate(self.event):
            parts = places.get(leaf[1])
            if parts is not None:
                for role, parent, rank in parts:
                    if not parent or parent == leaf[2]:
                        ranked.setdefault(role, []).append((rank, order, leaf))
        cast: dict[str, list[Leaf]] = {}
        for role, found in ranked.items():
            if len(found) > 1:
                found.sort(key=_RANK)
            cast[role] = [leaf for _, _, leaf in found]
        return cast


def decoded(text: str) -> Any:
    """The JSON in a text, read strictly or else leniently; None where there is none."""
    if len(text) > LONGEST_TEXT:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(start, parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 30 else digits


def plain(name: str) -> str:
    """A member's name in lower case, without punctuation."""
    return _plain(name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME])


@lru_cache(maxsize=16_384)
def _plain(name: str) -> str:
    return _NOT_ALNUM.sub("", name.lower())


def _member(key: str) -> tuple[str, str, bool]:
    """A member's plain name, the one above where the key is a path, and whether actors write it."""
    found = _MEMBERS.get(key)
    if found is None:
        short = key if len(key) <= LONGEST_NAME else key[:LONGEST_NAME]
        parts = [plain(part) for part in short.replace("/", ".").split(".")]
        above = parts[-2] if len(parts) > 1 else ""
        found = (parts[-1], above, not OF_ACTOR.isdisjoint(parts))
        if len(_MEMBERS) < MOST_MEMBERS:
            _MEMBERS[short] = found
    return found


_MEMBERS: dict[str, tuple[str, str, bool]] = {}


class _Top(NamedTuple):
    """What the names of the members at the top tell; the same for all alerts of one form.

    Attributes:
        authored, beside: as of the payload.
        ruled: the rule has a member of its own.
        members: of each member its name, the one above, whether actors write it, whether it is
            about the rule, and whether it only wraps an event.
    """

    authored: bool
    beside: bool
    ruled: bool
    members: tuple[tuple[str, str, bool, bool, bool], ...]


def _top(keys: tuple[str, ...]) -> _Top:
    names = [plain(key) for key in keys]
    ruled = _rules_members(names)
    members = []
    for key, whole in zip(keys[:MOST_LEAVES], names, strict=False):
        name, parent, tainted = _member(key)
        members.append((name, parent, tainted, whole in ruled, name in WRAPPERS))
    return _Top(
        authored=not ruled.isdisjoint(_OF_AUTHOR),
        beside=not ruled.isdisjoint(PREFIXED),
        ruled=not RULE_MEMBERS.isdisjoint(names),
        members=tuple(members),
    )


_kept_top = lru_cache(maxsize=1024)(_top)


def _rules_members(members: Sequence[str]) -> frozenset[str] | set[str]:
    """Which members at the top are about the rule: those that say so, or else the usual words."""
    names = set(members)
    found = names & (RULE_MEMBERS | PREFIXED)
    if found & RULE_MEMBERS or any(name.endswith(("title", "name")) for name in found):
        return found | (names & WITH_PREFIX)
    return found | (names & RULE_ALONE)
