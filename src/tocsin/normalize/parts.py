"""The decoded parts of a source definition: pieces of a payload under `@names` of their own.

Which alternatives of a part are worth trying depends on the names that the payload has at its top;
that is worked out once for each set of names, and remembered up to a limit.
"""

from typing import Any

from tocsin.errors import DecodeError
from tocsin.normalize.expression import Expression
from tocsin.normalize.path import Pick, head_of

MAX_SHAPES = 1024
MAX_SHAPE = 4096  # characters of names; larger shapes are worked out anew each time
MARK = "@"

# An alternative, and the part that it reads from, or "" when it needs no other part.
Choice = tuple[Pick, str]


class Parts:
    """The parts that one definition decodes or renames before it reads its fields."""

    def __init__(self, parts: tuple[tuple[str, tuple[Expression, ...]], ...]) -> None:
        self.names = tuple(name for name, _ in parts)
        self._parts = parts
        self._shapes: dict[tuple[str, ...], tuple[tuple[str, tuple[Choice, ...]], ...]] = {}

    def add_to(self, document: dict[str, Any]) -> frozenset[int]:
        """Add the parts to the document; returns the identities of the objects they are."""
        added = set()
        for name, choices in self._choices(tuple(document)):
            for pick, part in choices:
                if part and part not in document:
                    continue
                try:
                    value = pick(document)
                except DecodeError:
                    continue
                if value is not None and value != "":
                    document[name] = value
                    added.add(id(value))
                    break
        return frozenset(added)

    def _choices(self, names: tuple[str, ...]) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """The alternatives that can give something when the payload has these names."""
        choices = self._shapes.get(names)
        if choices is None:
            choices = self._specialise(names)
            if sum(map(len, names)) <= MAX_SHAPE:
                if len(self._shapes) >= MAX_SHAPES:
                    self._shapes.clear()
                self._shapes[names] = choices
        return choices

    def _specialise(self, names: tuple[str, ...]) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        there = set(names)
        found = []
        for name, alternatives in self._parts:
            choices = []
            for expression in alternatives:
                heads = {head_of(path) for path in expression.needs or ("",)}
                if "" not in heads and heads.isdisjoint(there):
                    continue
                head = heads.pop() if len(heads) == 1 else ""
                choices.append((expression.pick, head if head.startswith(MARK) else ""))
            if choices:
                there.add(name)
                found.append((name, tuple(choices)))
        return tuple(found)
