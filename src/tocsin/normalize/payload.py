"""From the alert as sent to one decoded document."""

from collections.abc import Iterator
from typing import Any

from tocsin.errors import DecodeError
from tocsin.normalize.cef import START as CEF_START
from tocsin.normalize.decode import decode_key_value, read_json
from tocsin.normalize.syslog import parse_syslog

# Members under which collectors and shippers put the event itself.
WRAPPERS = (
    "_source", "detail", "document", "alert", "alerts", "event", "data", "message", "_raw", "raw",
    "log", "body", "payload", "record", "records", "Records", "result", "results", "finding",
    "Findings", "findings", "hits", "events", "value", "content", "original",
)  # fmt: skip
MAX_WRAPPING = 4
MAX_EMBEDDED = 262_144
TEXT = "message"  # the member that holds a payload that is one line of text
SYSLOG = "@syslog"
PAIRS = "@pairs"


def read_payload(payload: str) -> tuple[dict[str, Any], str | None]:
    """Decode a payload to an object, and a note when something about it is unusual.

    A text line becomes `{"message": line}`, with its syslog header and `key=value` pairs beside
    it; JSON after a syslog header is read as the object it is. Of several objects, the first.
    """
    text = payload.lstrip("\ufeff \t\r\n")
    if text[:1] in {"{", "["}:
        try:
            document = read_json(text)
            return (document, None) if type(document) is dict else _as_object(document)
        except DecodeError:
            return _read_line(_encodable(text)), "begins like JSON and is none"
    return _read_line(_encodable(text)), None


def unwrapped(document: dict[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """The objects inside a document where the event itself may stand, nearest first."""
    inner = []
    for name in WRAPPERS:
        found = _inner_object(document.get(name)) if name in document else None
        if found is not None:
            yield found
            inner.append(found)
    if depth < MAX_WRAPPING:
        for found in inner:
            yield from unwrapped(found, depth + 1)


def unflattened(document: dict[str, Any]) -> dict[str, Any] | None:
    """A document whose keys are dotted paths (`alert.signature`) as nested objects, or None."""
    if sum("." in name for name in document) < 2:
        return None
    nested: dict[str, Any] = {}
    for name, value in document.items():
        node = nested
        *parents, last = name.split(".")
        for parent in parents[:32]:
            below = node.setdefault(parent, {})
            if not isinstance(below, dict):
                break
            node = below
        else:
            node.setdefault(last, value)
    return nested


def camel_keys(node: Any, depth: int = 0) -> Any:
    """A copy whose keys begin with a lower-case letter: `Service.Action` as `service.action`."""
    if depth > 64:
        return node
    if isinstance(node, dict):
        return {
            name[:1].lower() + name[1:]: camel_keys(value, depth + 1)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [camel_keys(item, depth + 1) for item in node]
    return node


def _as_object(value: Any) -> tuple[dict[str, Any], str | None]:
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                note = f"the first of {len(value)} objects" if len(value) > 1 else None
                return item, note
    return {TEXT: value}, "not an object"


def _read_line(text: str) -> dict[str, Any]:
    line = text.strip()
    document: dict[str, Any] = {TEXT: line}
    try:
        header = parse_syslog(line)
    except DecodeError:
        header = None
    rest = line
    if header is not None:
        document[SYSLOG] = header
        rest = str(header["message"])
        if rest[:1] == "{":
            inner = _inner_object(rest)
            if inner is not None:
                inner.setdefault(SYSLOG, header)
                return inner
    if CEF_START.search(line) is None and rest[:1] != "<" and "=" in rest:
        try:
            pairs = decode_key_value(rest)
        except DecodeError:
            return document
        if len(pairs) > 1:
            document[PAIRS] = pairs
    return document


def _inner_object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        text = value.strip()
        if text[:1] != "{" or text[-1:] != "}" or len(text) > MAX_EMBEDDED:
            return None
        try:
            value = read_json(text)
        except DecodeError:
            return None
    return value if isinstance(value, dict) else None


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
