"""Counting which leaves of a payload a mapping knows and which it leaves over."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

MAX_LEAVES = 10_000
MAX_DEPTH = 100
MAX_LISTED = 50
MAX_PATH = 200

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


class Survey:
    """The count of one payload's leaves."""

    __slots__ = ("aliased", "left", "mapped", "unmapped")

    def __init__(self, aliased: frozenset[int]) -> None:
        self.aliased = aliased
        self.mapped = 0
        self.unmapped = 0
        self.left: list[str] = []  # the paths of leaves that were not known


def listed(left: Iterable[str]) -> tuple[str, ...]:
    """The first paths that were left over, fit to be stored: no NUL, none endlessly long."""
    first = tuple(islice(left, MAX_LISTED))
    together = "".join(first)
    if "\x00" not in together and (len(together) <= MAX_PATH or max(map(len, first)) <= MAX_PATH):
        return first
    return tuple(
        path
        if len(path) <= MAX_PATH and "\x00" not in path
        else path[:MAX_PATH].replace("\x00", "\ufffd")
        for path in first
    )


def survey(document: Any, known: Known, aliased: frozenset[int] = frozenset()) -> Survey:
    """Walk a payload once and count; empty values are not counted.

    `aliased` holds the identities of objects that the definition reads under a name of its own
    (`@data`); they are counted there only.
    """
    result = Survey(aliased)
    _walk(document, known, "", result, 0)
    return result


def _walk(  # noqa: C901 - the hot path is one loop
    node: dict[str, Any], known: Known | None, prefix: str, result: Survey, depth: int
) -> None:
    mapped = 0  # since the last look at the result
    for name, value in node.items():
        kind = type(value)
        if kind is str:
            if not value:
                continue
        elif value is None:
            continue
        elif kind is dict or kind is list:
            result.mapped += mapped
            mapped = 0
            below = known.get(name, _UNKNOWN) if known is not None else None
            if kind is list:
                _walk_list(value, below, f"{prefix}{name}", result, depth)
            elif name[:1] == "@":
                if value is not node and below is not None:
                    _descend(value, below, f"{prefix}{name}.", result, depth)
            elif id(value) not in result.aliased:
                _descend(value, below, f"{prefix}{name}.", result, depth)
            continue
        if known is None or known.get(name, _UNKNOWN) is None:
            mapped += 1
        else:
            result.unmapped += 1
            if result.unmapped <= MAX_LEAVES:
                result.left.append(f"{prefix}{name}")
    result.mapped += mapped


def _walk_list(
    values: list[Any], below: Known | None, path: str, result: Survey, depth: int
) -> None:
    for item in values:
        if type(item) is dict:
            _descend(item, below, f"{path}.", result, depth)
        elif item is not None and item != "":
            if below is None:
                result.mapped += 1
            else:
                result.unmapped += 1
                if result.unmapped <= MAX_LEAVES:
                    result.left.append(path)


def _descend(
    node: dict[str, Any], known: Known | None, prefix: str, result: Survey, depth: int
) -> None:
    if depth < MAX_DEPTH and result.mapped + result.unmapped < MAX_LEAVES:
        _walk(node, known, prefix, result, depth + 1)
