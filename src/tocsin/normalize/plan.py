"""The plan of a source definition: which alternatives are worth trying, by a payload's shape.

Payloads of one kind have the same keys again and again. For each shape (the keys of the objects
that a definition reads from) the plan is worked out once: only alternatives whose keys are there,
each with the object it reads from. Shapes are remembered up to a limit.
"""

from typing import Any, NamedTuple

from tocsin.normalize.cast import Cast
from tocsin.normalize.expression import Expression
from tocsin.normalize.path import EACH, ROOT, Pick

MAX_SHAPES = 1024
MAX_SHAPE = 4096  # characters of keys; larger shapes are worked out anew each time
_EMPTY: dict[str, Any] = {}


class FieldPlan(NamedTuple):
    """How one field of the record is found: alternatives in order, and the cast for the field."""

    name: str
    alternatives: tuple[Expression, ...]
    cast: Cast


class Choice(NamedTuple):
    """One alternative for one shape: a key of an object, or else a function of the document."""

    node: int
    key: str
    pick: Pick | None


Line = tuple[str, tuple[Choice, ...], Cast]
Place = tuple[tuple[str, ...], str]


class Plan:
    """The fields of one definition, specialised by shape."""

    def __init__(self, fields: tuple[FieldPlan, ...]) -> None:
        self.fields = fields
        self._shapes: dict[tuple[tuple[str, ...], ...], tuple[Line, ...]] = {}
        self._nodes = _containers(fields)
        index = {path: number for number, path in enumerate(self._nodes)}
        self._index = index
        # For each object below the document: its number, its parent's number, its name there.
        self._steps = tuple((index[path[:-1]], path[-1]) for path in self._nodes if path)

    def lines(self, document: dict[str, Any]) -> tuple[tuple[Line, ...], list[dict[str, Any]]]:
        """The alternatives worth trying for this document, and the objects that they read."""
        nodes = [document]
        shape = [tuple(document)]
        for parent, name in self._steps:
            node = nodes[parent].get(name, _EMPTY)
            if type(node) is dict:
                nodes.append(node)
                shape.append(tuple(node))
            else:
                nodes.append(_EMPTY)
                if type(node) is list:  # a name asked of a list goes to its first element
                    return self._lines_for_lists(), nodes
                shape.append(())
        key = tuple(shape)
        lines = self._shapes.get(key)
        if lines is None:
            lines = self._specialise(key)
            if sum(len(name) for names in key for name in names) <= MAX_SHAPE:
                if len(self._shapes) >= MAX_SHAPES:
                    self._shapes.clear()
                self._shapes[key] = lines
        return lines, nodes

    def _specialise(self, shape: tuple[tuple[str, ...], ...]) -> tuple[Line, ...]:
        keys = [frozenset(names) for names in shape]
        lines: list[Line] = []
        for field in self.fields:
            choices = []
            for expression in field.alternatives:
                if expression.needs is None:
                    choices.append(Choice(0, "", expression.pick))
                    continue
                places = [place_of(path) for path in expression.needs]
                if not any(key in keys[self._index[node]] for node, key in places):
                    continue
                if expression.path is not None and _is_plain(expression.path):
                    node, key = place_of(expression.path)
                    choices.append(Choice(self._index[node], key, None))
                else:
                    choices.append(Choice(0, "", expression.pick))
            if choices:
                lines.append((field.name, tuple(choices), field.cast))
        return tuple(lines)

    def _lines_for_lists(self) -> tuple[Line, ...]:
        return tuple(
            (
                field.name,
                tuple(Choice(0, "", expression.pick) for expression in field.alternatives),
                field.cast,
            )
            for field in self.fields
        )


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
