"""The plan of a source definition: which alternatives are worth trying, by a payload's shape.

Payloads of one kind have the same keys again and again. For each shape (the keys of the objects
that a definition reads from) the plan is worked out once: only alternatives whose keys are there,
each with the object it reads from. Shapes are remembered up to a limit.
"""

from typing import Any, NamedTuple

from tocsin.normalize.cast import Cast
from tocsin.normalize.expression import Expression
from tocsin.normalize.fields import REPEATED
from tocsin.normalize.path import EACH, ROOT, Pick

MAX_TURNS = 4096
MAX_SHAPE = 4096  # characters of keys; larger shapes are worked out anew each time
MAX_MEMORY = 1024
MAX_REMEMBERED = 128
_EMPTY: dict[str, Any] = {}


class FieldPlan(NamedTuple):
    """How one field of the record is found: alternatives in order, and the cast for the field."""

    name: str
    alternatives: tuple[Expression, ...]
    cast: Cast


# What values of one field were read as, by the raw value.
Memory = dict[str | int, Any]


class Reading(NamedTuple):
    """The cast for a field, and the memory for its first alternative, which reads this member."""

    cast: Cast
    memory: Memory | None = None
    node: int = 0
    key: str = ""


class Choice(NamedTuple):
    """One alternative for one shape: a key of an object, or else a function of the document."""

    node: int
    key: str
    pick: Pick | None


Line = tuple[str, tuple[Choice, ...], Reading]
Place = tuple[tuple[str, ...], str]
Keys = tuple[str, ...]


class _Turn:
    """A turn on the way through a document's objects, which its keys so far have led to.

    Either there is one more object to look at, the member `name` of the one numbered `parent`,
    and its keys say which turn is next; or all have been seen, and `lines` is what they lead to.
    """

    __slots__ = ("lines", "name", "next", "parent", "path", "seen")

    def __init__(self, seen: tuple[tuple[Keys, Keys], ...], path: Keys, parent: int) -> None:
        self.seen = seen  # the path and the keys of each object seen before
        self.path = path
        self.parent = parent
        self.name = path[-1] if path else ""
        self.next: dict[Keys, _Turn] = {}
        self.lines: tuple[Line, ...] | None = None


class Plan:
    """The fields of one definition, specialised by shape."""

    def __init__(self, fields: tuple[FieldPlan, ...]) -> None:
        self.fields = fields
        self._containers = _containers(fields)
        self._memories: dict[tuple[str, Expression], Memory] = {}
        self._forget()

    def lines(self, document: dict[str, Any]) -> tuple[tuple[Line, ...], list[dict[str, Any]]]:
        """The alternatives worth trying for this document, and the objects that they read."""
        node = document
        nodes = [node]
        turn = self._start
        while True:
            keys = tuple(node)
            turn = turn.next.get(keys) or self._turn(turn, keys)
            if turn.lines is not None:
                return turn.lines, nodes
            node = nodes[turn.parent][turn.name]
            if type(node) is not dict:
                if type(node) is list:  # a name asked of a list goes to its first element
                    return self._lines_for_lists(), nodes
                node = _EMPTY
            nodes.append(node)

    def _forget(self) -> None:
        self._start = _Turn((), (), 0)
        self._turns = 0

    def _turn(self, last: _Turn, keys: Keys) -> _Turn:
        """What comes after an object with these keys; remembered unless it is too large."""
        seen = (*last.seen, (last.path, keys))
        numbers = {path: number for number, (path, _) in enumerate(seen)}
        turn = _Turn(seen, (), 0)
        for path in self._containers[self._containers.index(last.path) + 1 :]:
            parent = numbers.get(path[:-1])
            if parent is not None and path[-1] in seen[parent][1]:
                turn = _Turn(seen, path, parent)
                break
        else:
            turn.lines = self._specialise(seen)
        if sum(len(name) for _, names in seen for name in names) <= MAX_SHAPE:
            if self._turns >= MAX_TURNS:
                self._forget()
            last.next[keys] = turn
            self._turns += 1
        return turn

    def _specialise(self, seen: tuple[tuple[Keys, Keys], ...]) -> tuple[Line, ...]:
        there = {path: (number, frozenset(keys)) for number, (path, keys) in enumerate(seen)}
        nowhere = (0, frozenset[str]())
        lines: list[Line] = []
        for field in self.fields:
            choices = []
            reading = Reading(field.cast)
            for expression in field.alternatives:
                if not choices:
                    reading = self._reading(field, expression, there)
                if expression.needs is None:
                    choices.append(Choice(0, "", expression.pick))
                    continue
                places = [place_of(path) for path in expression.needs]
                if not any(key in there.get(node, nowhere)[1] for node, key in places):
                    continue
                if expression.path is not None and _is_plain(expression.path):
                    node, key = place_of(expression.path)
                    choices.append(Choice(there[node][0], key, None))
                else:
                    choices.append(Choice(0, "", expression.pick))
            if choices:
                lines.append((field.name, tuple(choices), reading))
        return tuple(lines)

    def _reading(
        self, field: FieldPlan, expression: Expression, there: dict[Keys, tuple[int, frozenset[str]]]
    ) -> Reading:
        """How to read a field by its first alternative, when the objects of a shape are there."""
        only = expression.only
        if only is None or not _is_plain(only) or field.name not in REPEATED:
            return Reading(field.cast)
        path, key = place_of(only)
        node, keys = there.get(path, (0, frozenset[str]()))
        if key not in keys:
            return Reading(field.cast)
        memory = self._memories.setdefault((field.name, expression), {})
        return Reading(field.cast, memory, node, key)

    def _lines_for_lists(self) -> tuple[Line, ...]:
        return tuple(
            (
                field.name,
                tuple(Choice(0, "", expression.pick) for expression in field.alternatives),
                Reading(field.cast),
            )
            for field in self.fields
        )


def remember(memory: Memory, raw: Any, value: Any) -> None:
    """Keep what a short text or a number was read as, for as many as the memory may hold."""
    if (type(raw) is str and len(raw) <= MAX_REMEMBERED) or type(raw) is int:
        if len(memory) >= MAX_MEMORY:
            memory.clear()
        memory[raw] = value


def place_of(path: str) -> Place:
    """The object that a path's last plain name stands in, and that name."""
    names: list[str] = []
    for name in path.split("."):
        if name == EACH or name.isdigit():
            break
        names.append(name)
    return tuple(names[:-1]), names[-1] if names else ""


def _is_plain(path: str) -> bool:
    return path != ROOT and not any(name == EACH or name.isdigit() for name in path.split("."))


def _containers(fields: tuple[FieldPlan, ...]) -> tuple[tuple[str, ...], ...]:
    """Every object that the fields read from, parents before children; the document first."""
    found: set[tuple[str, ...]] = {()}
    for field in fields:
        for expression in field.alternatives:
            for path in expression.needs or ():
                node = place_of(path)[0]
                found.update(node[:length] for length in range(len(node) + 1))
    return tuple(sorted(found, key=lambda path: (len(path), path)))
