"""The scalars of a payload with their names, seen through pairs, embedded JSON and log lines."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from tocsin.errors import DecodeError
from tocsin.normalize.decode import decode_key_value, read_json
from tocsin.normalize.survey import MAX_DEPTH, Known

MAX_LEAVES = 3000
MAX_ROWS = 100
MAX_EMBEDDED = 262_144
MAX_NAME = 128
# Members that hold a whole log line, which may consist of `key=value` pairs.
LINES = frozenset(
    {"syslogmessage", "rawdata", "message", "msg", "raw", "rawmessage", "fulllog", "log", "event"}
    | {"additionalextensions"}
)
NAME_KEYS = ("key", "Key", "name", "Name", "field", "parameter", "type")
VALUE_KEYS = (
    *("value", "Value", "ValueString", "valueString", "stringValue", "multiValue", "intValue"),
    "val",
)
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_TYPE_SUFFIX = re.compile(r"_[a-z]$")  # Log Analytics: SrcIpAddr_s, Port_d
_EMPTY: Known = {}


class Leaf(NamedTuple):
    """A scalar of the payload: its path, the normalised last one and two names, the value."""

    path: str
    name: str
    two: str
    value: Any


def leaves_of(document: dict[str, Any], known: Known) -> list[Leaf]:
    """The leaves that are not `known`, nearer ones of each object before deeper ones."""
    return list(islice(_walk(document, known, "", "", 0), MAX_LEAVES))


def plain_name(name: str) -> str:
    """A name without case, punctuation and the type suffix of Log Analytics columns."""
    return _plain_name(name if len(name) <= MAX_NAME else name[:MAX_NAME])


@lru_cache(maxsize=16_384)
def _plain_name(name: str) -> str:
    return _NOT_ALNUM.sub("", _TYPE_SUFFIX.sub("", name).lower())


def _walk(
    node: dict[str, Any], known: Known | None, prefix: str, parent: str, depth: int
) -> Iterator[Leaf]:
    if depth > MAX_DEPTH:
        return
    if pair := _pair(node):
        name = plain_name(pair[0])
        yield Leaf(f"{prefix}{pair[0]}", name, parent + name, pair[1])
    inside: list[tuple[str, dict[str, Any], Known]] = []
    for key, value in node.items():
        below = known.get(key, _EMPTY) if known is not None else None
        if below is None:
            if type(value) is not dict or key[:1] == "@":
                continue
            below = _EMPTY  # an object where the definition expected a value was not read
        path = f"{prefix}{key}"
        objects, scalar = _split(key, value)
        inside.extend((path, item, below) for item in objects)
        if scalar is not None:
            name = plain_name(key)
            yield Leaf(path, name, parent + name, scalar)
    for path, child, below in inside:
        yield from _walk(child, below, f"{path}.", plain_name(path.rpartition(".")[2]), depth + 1)


def _split(key: str, value: Any) -> tuple[list[dict[str, Any]], Any]:
    """The objects within a member's value, and what of it is a scalar or a list of scalars."""
    if type(value) is dict:
        return [value], None
    if type(value) is list:
        rows = [item for item in value if type(item) is dict]
        scalars = [item for item in value if type(item) is not dict]
        return rows[:MAX_ROWS], scalars or None
    if value is None or value == "":
        return [], None
    embedded = _embedded(key, value)
    if embedded is None:
        return [], value
    return [embedded], None if value[0] == "{" else value


def _pair(node: dict[str, Any]) -> tuple[str, Any] | None:
    """The name and value of `{"Key": "target_name", "ValueString": "…"}` and its relatives."""
    if len(node) > 4:  # larger objects are records, not pairs
        return None
    name = next((node[key] for key in NAME_KEYS if isinstance(node.get(key), str)), None)
    value = next((node[key] for key in VALUE_KEYS if node.get(key) not in (None, "")), None)
    return (name, value) if name and value is not None and not isinstance(value, dict) else None


def _embedded(name: str, value: Any) -> dict[str, Any] | None:
    """The object inside a text: JSON anywhere, `key=value` pairs where whole log lines stand."""
    if type(value) is not str or not 2 < len(value) <= MAX_EMBEDDED:
        return None
    if value[0] == "{" and value[-1] == "}":
        try:
            decoded = read_json(value)
        except DecodeError:
            return None
        return decoded if isinstance(decoded, dict) else None
    if value.count("=") > 2 and plain_name(name) in LINES:
        try:
            return dict(decode_key_value(value))
        except DecodeError:
            return None
    return None
