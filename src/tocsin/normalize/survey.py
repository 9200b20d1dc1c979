"""Counting which leaves of a payload a mapping knows and which it leaves over."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

MAX_LEAVES = 10_000
MAX_DEPTH = 100
MAX_LISTED = 50
MAX_PATH = 200
MAX_FORMS = 2048
MAX_NAMES = 256  # objects with more members are not remembered

# Names known at one level of a payload; None as value: everything below is known.
Known = dict[str, "Known | None"]
_UNKNOWN: Known = {}


def known_paths(paths: Iterable[str]) -> Known:
    """The tree of paths that a definition reads; list positions and `*` do not count as levels."""
    tree: Known = {}
    for path in sorted(paths):
        level = tree
        names = [name for name in path.split(".") if name != "*" and not name.isdigit()]
        for index, name in enumerate(names):
            below = level.get(name, _UNKNOWN)
            if below is None:
                break
            if index + 1 == len(names):
                level[name] = None
            elif below is _UNKNOWN:
                fresh: Known = {}
                level[name] = fresh
                level = fresh
            else:
                level = below
    return tree


def listed(left: Iterable[str]) -> tuple[str, ...]:
    """The first paths that were left over, fit to be stored: no NUL, none endlessly long."""
    return tuple(
        path
        if len(path) <= MAX_PATH and "\x00" not in path
        else path[:MAX_PATH].replace("\x00", "\ufffd")
        for path in islice(left, MAX_LISTED)
    )


class Count:
    """The leaves of one payload: how many are known, how many are not, and the paths of those."""

    __slots__ = ("aliased", "left", "mapped", "unmapped")

    def __init__(self, aliased: frozenset[int]) -> None:
        self.aliased = aliased
        self.mapped = 0
        self.unmapped = 0
        self.left: list[str] = []

    def add(self, path: str, known: bool) -> None:
        """Count one leaf."""
        if known:
            self.mapped += 1
        else:
            self.unmapped += 1
            if self.unmapped <= MAX_LEAVES:
                self.left.append(path)


class _Member(NamedTuple):
    """A member of an object that has to be looked at each time: all but known scalars."""

    name: str
    path: str
    kind: type
    level: "_Level"


class _Form(NamedTuple):
    """What there is to do for objects with the same names and types at one level."""

    known: tuple[str, ...]
    members: tuple[_Member, ...]


class _Level:
    """A place in payloads: what is known below it, and the forms of the objects seen there."""

    __slots__ = ("depth", "forms", "known", "prefix")

    def __init__(self, known: Known | None, prefix: str, depth: int) -> None:
        self.known = known
        self.prefix = prefix
        self.depth = depth
        self.forms: dict[tuple[tuple[str, ...], tuple[type, ...]], _Form] = {}


class Survey:
    """Counts the leaves of payloads against the paths that one definition knows.

    Payloads of one kind have the same names and types again and again; what those say is worked
    out once for each form that an object has, and remembered up to a limit.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._forget()

    def count(self, document: dict[str, Any], aliased: frozenset[int] = frozenset()) -> Count:
        """Walk a payload once and count; empty values are not counted.

        `aliased` holds the identities of objects that the definition reads under a name of its
        own (`@data`); they are counted there only.
        """
        if self._forms >= MAX_FORMS:
            self._forget()
        count = Count(aliased)
        self._walk(document, self._top, count)
        return count

    def _forget(self) -> None:
        self._top = _Level(self._known, "", 0)
        self._forms = 0

    def _walk(self, node: dict[str, Any], level: _Level, count: Count) -> None:
        kinds = (tuple(node), tuple(map(type, node.values())))
        form = level.forms.get(kinds) or self._read_form(kinds, level)
        blanks = "" in node.values()
        if blanks:
            count.mapped += len([name for name in form.known if node[name] != ""])
        else:
            count.mapped += len(form.known)
        for name, path, kind, below in form.members:
            value = node[name]
            if kind is dict:
                if name[:1] == "@":
                    if value is not node and below.known is not None:
                        self._descend(value, below, count)
                elif id(value) not in count.aliased:
                    self._descend(value, below, count)
            elif kind is list:
                for item in value:
                    if type(item) is dict:
                        self._descend(item, below, count)
                    elif item is not None and item != "":
                        count.add(path, known=below.known is None)
            elif not blanks or value != "":
                count.add(path, known=False)

    def _descend(self, node: dict[str, Any], level: _Level, count: Count) -> None:
        if level.depth <= MAX_DEPTH and count.mapped + count.unmapped < MAX_LEAVES:
            self._walk(node, level, count)

    def _read_form(self, kinds: tuple[tuple[str, ...], tuple[type, ...]], level: _Level) -> _Form:
        known: list[str] = []
        members: list[_Member] = []
        for name, kind in zip(*kinds, strict=True):
            below = level.known.get(name, _UNKNOWN) if level.known is not None else None
            if kind is dict or kind is list or (below is not None and kind is not type(None)):
                path = f"{level.prefix}{name}"
                place = _Level(below, f"{path}.", level.depth + 1)
                members.append(_Member(name, path, kind, place))
            elif kind is not type(None):
                known.append(name)
        form = _Form(tuple(known), tuple(members))
        if len(kinds[0]) <= MAX_NAMES:
            level.forms[kinds] = form
            self._forms += 1
        return form
