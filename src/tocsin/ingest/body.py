"""Request bodies as alerts: one JSON object, a JSON array, NDJSON, or lines of text.

Each alert keeps its payload exactly as it was sent; one that cannot be used becomes a
`PayloadError` in its place, so that its neighbours are accepted and the sender learns which failed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from tocsin import metrics
from tocsin.errors import PayloadError
from tocsin.ingest.identity import usable_id

BOM = b"\xef\xbb\xbf"
UNUSABLE_ID = (
    "the alert_id sent cannot be an id here (1–128 letters, digits and `._:@-`, beginning with a "
    "letter or digit); the alert was stored under a new one"
)
_SYSLOG = re.compile(rb"(<\d{1,3}>|CEF:)")
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_sorted = msgspec.json.Encoder(order="sorted")


class BodyKind(Enum):
    """What the sender says the body is; `AUTO` when it says nothing useful."""

    JSON = "json"
    NDJSON = "ndjson"
    TEXT = "text"
    AUTO = "auto"

    @classmethod
    def of(cls, content_type: str) -> "BodyKind":
        """The kind for a Content-Type header; anything unknown is `AUTO`."""
        media = content_type.partition(";")[0].strip().lower()
        if media in (
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/json-lines",
            "application/x-jsonlines",
        ):
            return cls.NDJSON
        if media == "text/plain":
            return cls.TEXT
        if media == "application/json" or media.endswith("+json"):
            return cls.JSON
        return cls.AUTO


@dataclass(frozen=True, slots=True)
class Item:
    """One acceptable alert: its payload as sent, what identifies it, and what the sender may hear.

    `note` says that the alert's own id cannot be used.
    """

    payload: str
    canonical: bytes
    chosen_id: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps on one alert: bytes, and levels of nesting."""

    alert_bytes: int
    depth: int


@metrics.spent("body")
def read_body(body: bytes, kind: BodyKind, limits: Limits) -> list[Item | PayloadError]:
    """The alerts of a body, in order; an item that cannot be used is an error in its place.

    Raises:
        PayloadError: the body as a whole is empty or cannot be read.
    """
    body = body.removeprefix(BOM)
    if not body.strip():
        raise PayloadError("empty", "the body holds no alert")
    if kind is BodyKind.TEXT or (kind is BodyKind.AUTO and _SYSLOG.match(body)):
        return [_text_item(line, limits) for line in _lines(body)]
    if kind is BodyKind.NDJSON and not body.lstrip().startswith(b"["):
        return [read_item(line, limits) for line in _lines(body)]
    try:
        return _json_items(body, limits)
    except PayloadError:
        lines = list(_lines(body))
        if len(lines) < 2:
            raise
        items = [read_item(line, limits) for line in lines]
        if not isinstance(items[0], Item):  # then it was no NDJSON
            raise
        return items


def _lines(body: bytes) -> Iterator[bytes]:
    return (line for raw in body.split(b"\n") if (line := raw.strip()))


def _json_items(body: bytes, limits: Limits) -> list[Item | PayloadError]:
    stripped = body.strip()
    if not stripped.startswith(b"["):
        decoded = _decode(stripped)
        return [_item(stripped, decoded, limits)]
    try:
        parts = _raws.decode(stripped)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _invalid(error) from error
    if not parts:
        raise PayloadError("empty", "the array holds no alert")
    return [read_item(bytes(part), limits) for part in parts]


def read_item(raw: bytes, limits: Limits) -> Item | PayloadError:
    """One JSON document as one alert, however it is laid out."""
    if len(raw) > limits.alert_bytes:
        return _too_large(len(raw), limits)
    try:
        return _item(raw, _decode(raw), limits)
    except PayloadError as error:
        return error


def _decode(raw: bytes) -> Any:
    try:
        return _any.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _invalid(error) from error


def _item(raw: bytes, decoded: Any, limits: Limits) -> Item | PayloadError:
    if len(raw) > limits.alert_bytes:
        return _too_large(len(raw), limits)
    if type(decoded) is not dict:
        return PayloadError(
            "not_an_object",
            "an alert must be a JSON object; send lines of text as Content-Type: text/plain",
        )
    if raw.count(b"{") + raw.count(b"[") > limits.depth and _depth(decoded) > limits.depth:
        return PayloadError("too_deep", f"an alert may be nested {limits.depth} levels deep")
    sent_id = decoded.get("alert_id")
    chosen = usable_id(sent_id)
    note = UNUSABLE_ID if chosen is None and sent_id not in (None, "") else None
    return Item(raw.decode(), _sorted.encode(decoded), chosen, note)


def _text_item(line: bytes, limits: Limits) -> Item | PayloadError:
    if len(line) > limits.alert_bytes:
        return _too_large(len(line), limits)
    text = line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return Item(text, line, None)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return deepest


def _too_large(size: int, limits: Limits) -> PayloadError:
    return PayloadError(
        "too_large", f"the alert has {size} bytes; the limit is {limits.alert_bytes}"
    )


def _invalid(error: Exception) -> PayloadError:
    if isinstance(error, RecursionError):
        return PayloadError("too_deep", "the JSON is nested too deep to be read")
    return PayloadError("invalid_json", f"the JSON cannot be read: {error}")
