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
MAX_REMEMBERED = 256  # characters or bits
MAX_LIST = 32
_EMPTY: dict[str, Any] = {}
_NOWHERE = (0, frozenset[str]())


class FieldPlan(NamedTuple):
    """How one field of the record is found: alternatives in order, and the cast for the field."""

    name: str
    alternatives: tuple[Expression, ...]
    cast: Cast


# What values of one field were read as, by the raw value.
Memory = dict[str | int | tuple[str, ...], Any]


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
# The objects of a shape: the number and the keys of each, by its path.
Objects = dict[Keys, tuple[int, frozenset[str]]]


class _Alternative(NamedTuple):
    """An alternative with the places of the paths that it needs and reads, worked out once."""

    expression: Expression
    needs: frozenset[Place] | None
    reads: tuple[tuple[str, Place], ...]
    place: Place | None  # when it is nothing but a plain path

    @classmethod
    def of(cls, expression: Expression) -> "_Alternative":
        """See where an expression reads from."""
        needs, path = expression.needs, expression.path
        return cls(
            expression,
            None if needs is None else frozenset(map(place_of, needs)),
            tuple((path, place_of(path)) for path in sorted(expression.reads)),
            place_of(path) if path is not None and _is_plain(path) else None,
        )


class _Turn:
    """A turn on the way through a document's objects, which its keys so far have led to.

    Either there is one more object to look at, the member `name` of the one numbered `parent`,
    and its keys say which turn is next; or all have been seen, and `lines` is what they lead to.
    """

    __slots__ = ("lines", "name", "next", "parent", "path", "seen", "size")

    def __init__(self, seen: Objects, size: int, path: Keys) -> None:
        self.seen = seen  # the objects looked at before
        self.size = size  # the characters of their keys
        self.path = path
        self.parent = seen[path[:-1]][0] if path else 0
        self.name = path[-1] if path else ""
        self.next: dict[Keys, _Turn] = {}
        self.lines: tuple[Line, ...] | None = None


class Plan:
    """The fields of one definition, specialised by shape."""

    def __init__(self, fields: tuple[FieldPlan, ...]) -> None:
        self.fields = fields
        self._fields = tuple(
            (field, tuple(map(_Alternative.of, field.alternatives))) for field in fields
        )
        self._paths = _containers(fields)
        self._containers = {path: number for number, path in enumerate(self._paths)}
        self._memories: dict[tuple[str, Expression, str], Memory] = {}
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
        self._start = _Turn({}, 0, ())
        self._turns = 0

    def _turn(self, last: _Turn, keys: Keys) -> _Turn:
        """What comes after an object with these keys; remembered unless it is too large."""
        seen = {**last.seen, last.path: (len(last.seen), frozenset(keys))}
        size = last.size + sum(map(len, keys))
        turn = _Turn(seen, size, self._after(last.path, seen))
        if not turn.path:
            turn.lines = self._specialise(seen)
        if size <= MAX_SHAPE:
            if self._turns >= MAX_TURNS:
                self._forget()
            last.next[keys] = turn
            self._turns += 1
        return turn

    def _after(self, path: Keys, seen: Objects) -> Keys:
        """The path of the next object to look at, or nothing when all have been seen."""
        for number in range(self._containers[path] + 1, len(self._containers)):
            below = self._paths[number]
            if below[-1] in seen.get(below[:-1], _NOWHERE)[1]:
                return below
        return ()

    def _specialise(self, seen: Objects) -> tuple[Line, ...]:
        there = {(path, key) for path, (_, keys) in seen.items() for key in keys}
        lines: list[Line] = []
        for field, alternatives in self._fields:
            choices: list[Choice] = []
            reading = Reading(field.cast)
            for alternative in alternatives:
                if alternative.needs is not None and alternative.needs.isdisjoint(there):
                    continue
                if not choices:
                    reading = self._reading(field, alternative, seen, there)
                if alternative.place is not None:
                    path, key = alternative.place
                    choices.append(Choice(seen[path][0], key, None))
                else:
                    choices.append(Choice(0, "", alternative.expression.pick))
            if choices:
                lines.append((field.name, tuple(choices), reading))
        return tuple(lines)

    def _reading(
        self, field: FieldPlan, alternative: _Alternative, seen: Objects, there: set[Place]
    ) -> Reading:
        """How to read a field by its first alternative, when these objects are there.

        It has a memory when the alternative's value depends on one member only.
        """
        if field.name not in REPEATED or ROOT in alternative.expression.reads:
            return Reading(field.cast)
        present = [
            (path, place)
            for path, place in alternative.reads
            if place in there or place[0] not in self._containers
        ]
        if len(present) != 1 or present[0][1] not in there or not _is_plain(present[0][0]):
            return Reading(field.cast)
        node, key = present[0][1]
        memory = self._memories.setdefault((field.name, alternative.expression, present[0][0]), {})
        return Reading(field.cast, memory, seen[node][0], key)

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
    """Keep what a number, a short text or a short list of texts was read as.

    A full memory is emptied; other values are not kept.
    """
    if type(raw) is list and len(raw) <= MAX_LIST and set(map(type, raw)) == {str}:
        size, raw = sum(map(len, raw)), tuple(raw)
    elif type(raw) is str:
        size = len(raw)
    elif type(raw) is int:
        size = raw.bit_length()
    else:
        return
    if size <= MAX_REMEMBERED:
        if len(memory) >= MAX_MEMORY:
            memory.clear()
        memory[raw] = value


def recall(memory: Memory, raw: Any) -> Any:
    """What a value was read as before, or None when that is not remembered."""
    if type(raw) is list:
        if len(raw) > MAX_LIST:
            return None
        raw = tuple(raw)
    try:
        return memory.get(raw)
    except TypeError:  # a list of objects
        return None


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
