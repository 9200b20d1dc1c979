"""Reading a dotted path out of a decoded document, compiled for speed."""

from collections.abc import Callable
from typing import Any

Pick = Callable[[Any], Any]

ROOT = "$"
EACH = "*"


def compile_path(path: str) -> Pick:
    """Build the function that reads a path, e.g. `alert.metadata.mitre_tactic_id.0`.

    Segments are names of an object's members, positions in a list, or `*` for every element of
    a list (the result is then a list). A name asked of a list goes to its first element. `$` is
    the document itself. What is not there reads as None.
    """
    if path == ROOT:
        return lambda document: document
    names = tuple(path.split("."))
    if EACH in names or any(name.isdigit() for name in names):
        return lambda document: walk(document, names)
    if len(names) == 1:
        return _one(names[0])
    if len(names) == 2:
        return _two(names)
    if len(names) == 3:
        return _three(names)
    return _many(names)


def head_of(path: str) -> str:
    """The member of the document that a path begins with; empty when it may be any."""
    head = path.partition(".")[0]
    return "" if head in {ROOT, EACH} else head


def walk(node: Any, names: tuple[str, ...]) -> Any:
    """Read a path step by step; the slow form that understands lists."""
    for index, name in enumerate(names):
        if type(node) is dict:
            if name == EACH:
                node = list(node.values())
                return _each(node, names[index + 1 :])
            node = node.get(name)
        elif type(node) is list:
            if name == EACH:
                return _each(node, names[index + 1 :])
            if name.isdigit():
                position = int(name[:9])
                node = node[position] if position < len(node) else None
            else:
                return walk(node[0], names[index:]) if node else None
        else:
            return None
    return node


def _each(nodes: list[Any], names: tuple[str, ...]) -> list[Any] | None:
    found = [value for node in nodes[:100] if (value := walk(node, names)) is not None]
    return found or None


def _one(name: str) -> Pick:
    def pick(document: Any) -> Any:
        return document.get(name) if type(document) is dict else walk(document, (name,))

    return pick


def _two(names: tuple[str, ...]) -> Pick:
    first, second = names

    def pick(document: Any) -> Any:
        if type(document) is not dict:
            return walk(document, names)
        node = document.get(first)
        if type(node) is dict:
            return node.get(second)
        return None if node is None else walk(node, (second,))

    return pick


def _three(names: tuple[str, ...]) -> Pick:
    first, second, third = names

    def pick(document: Any) -> Any:
        if type(document) is not dict:
            return walk(document, names)
        node = document.get(first)
        if type(node) is dict:
            node = node.get(second)
            if type(node) is dict:
                return node.get(third)
            return None if node is None else walk(node, (third,))
        return None if node is None else walk(node, (second, third))

    return pick


def _many(names: tuple[str, ...]) -> Pick:
    def pick(document: Any) -> Any:
        node = document
        for index, name in enumerate(names):
            if type(node) is not dict:
                return None if node is None else walk(node, names[index:])
            node = node.get(name)
        return node

    return pick
