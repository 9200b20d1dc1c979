"""The scalars of a payload with their names, seen through pairs, embedded JSON and log lines."""

import re
from functools import lru_cache
from typing import Any

from tocsin.errors import DecodeError
from tocsin.normalize.decode import decode_key_value, read_json
from tocsin.normalize.survey import MAX_DEPTH, Known

MAX_LEAVES = 3000
MAX_ROWS = 100
MAX_PAIR = 4  # members; larger objects are records, not pairs
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


# A scalar of the payload: its path, the normalised last one and two names, the value.
Leaf = tuple[str, str, str, Any]


def leaves_of(document: dict[str, Any], known: Known) -> list[Leaf]:
    """The leaves that are not `known`, nearer ones of each object before deeper ones."""
    leaves: list[Leaf] = []
    _collect(document, known, "", "", leaves, 0)
    return leaves[:MAX_LEAVES]


def plain_name(name: str) -> str:
    """A name without case, punctuation and the type suffix of Log Analytics columns."""
    return _plain_name(name if len(name) <= MAX_NAME else name[:MAX_NAME])


@lru_cache(maxsize=16_384)
def _plain_name(name: str) -> str:
    return _NOT_ALNUM.sub("", _TYPE_SUFFIX.sub("", name).lower())


def _collect(  # noqa: C901 - the hot path is one loop
    node: dict[str, Any],
    known: Known | None,
    prefix: str,
    parent: str,
    leaves: list[Leaf],
    depth: int,
) -> None:
    if depth > MAX_DEPTH or len(leaves) >= MAX_LEAVES:
        return
    if len(node) <= MAX_PAIR and (pair := _pair(node)):
        name = plain_name(pair[0])
        leaves.append((f"{prefix}{pair[0]}", name, parent + name, pair[1]))
    inside: list[tuple[str, dict[str, Any], Known]] = []
    for key, value in node.items():
        below = known.get(key, _EMPTY) if known is not None else None
        if below is None:
            if type(value) is not dict or key[:1] == "@":
                continue
            below = _EMPTY  # an object where the definition expected a value was not read
        scalar = value
        if type(value) is dict:
            inside.append((key, value, below))
            continue
        if type(value) is list:
            rows = [item for item in value if type(item) is dict]
            inside.extend((key, row, below) for row in rows[:MAX_ROWS])
            scalar = [item for item in value if type(item) is not dict] if rows else value
            if not scalar:
                continue
        elif value is None or value == "":
            continue
        elif type(value) is str and (embedded := _embedded(key, value)) is not None:
            inside.append((key, embedded, below))
            if value[0] == "{":
                continue
        name = plain_name(key)
        leaves.append((f"{prefix}{key}", name, parent + name, scalar))
    for key, child, below in inside:
        last = plain_name(key.rpartition(".")[2])
        _collect(child, below, f"{prefix}{key}.", last, leaves, depth + 1)


def _pair(node: dict[str, Any]) -> tuple[str, Any] | None:
    """The name and value of `{"Key": "target_name", "ValueString": "…"}` and its relatives."""
    for name_key in NAME_KEYS:
        if name_key in node and isinstance(name := node[name_key], str):
            break
    else:
        return None
    for value_key in VALUE_KEYS:
        if value_key in node and node[value_key] not in (None, ""):
            value = node[value_key]
            return (name, value) if name and not isinstance(value, dict) else None
    return None


def _embedded(name: str, value: str) -> dict[str, Any] | None:
    """The object inside a text: JSON anywhere, `key=value` pairs where whole log lines stand."""
    if not 2 < len(value) <= MAX_EMBEDDED:
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
