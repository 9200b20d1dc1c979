"""Reading ArcSight's Common Event Format, as written and as it is really written."""

import re

from tocsin.errors import DecodeError

START = re.compile(r"CEF:\s?(\d{1,3}(?:\.\d{1,3})?)\|")
HEADER = (
    "deviceVendor",
    "deviceProduct",
    "deviceVersion",
    "deviceEventClassId",
    "name",
    "severity",
)
MAX_PAIRS = 1000

_HEADER_FIELD = re.compile(r"((?:[^|\\]|\\.)*)(\||$)", re.DOTALL)
_HEADER_ESCAPE = re.compile(r"\\([|\\])")
# A key stands at the start or after a blank; its first character comes first in the expression,
# so that the search goes from word to word.
_KEY = re.compile(r"([A-Za-z0-9_](?<!\S.)[\w.@\[\]-]{0,127}+)=")
_VALUE_ESCAPE = re.compile(r"\\([=\\nr|])")
_UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\[^=\\nr|]")
_ESCAPES = {"n": "\n", "r": "\r"}


def parse_cef(text: str) -> dict[str, object]:
    """Split a CEF line into header and extension; whatever stands before `CEF:` is ignored.

    Header names are those of the format's guide (`deviceVendor` … `severity`). Values of custom
    fields (`cs1`, `cn2`, `deviceCustomDate1` …) are repeated in `labels` under their label. The
    first of two equal keys wins, because later ones are easier to inject. A backslash that
    begins no escape shows that the sender does not escape; its value then stays as it is.

    Raises:
        DecodeError: there is no CEF header.
    """
    start = START.search(text)
    if start is None:
        raise DecodeError("no CEF header")
    found: dict[str, object] = {"cefVersion": start.group(1)}
    position = start.end()
    *header, extension = text[position:].split("|", len(HEADER))
    if len(header) == len(HEADER) and "\\" not in "".join(header):
        found.update(zip(HEADER, map(str.strip, header), strict=True))
        _read_extension(extension, found)
        return found
    _read_extension(text[_read_escaped_header(text, position, found) :], found)
    return found


def _read_escaped_header(text: str, position: int, found: dict[str, object]) -> int:
    """Read a header with escapes or without its last fields; returns where it ends."""
    for name in HEADER:
        field = _HEADER_FIELD.match(text, position)
        if field is None:
            raise DecodeError("the CEF header ends early")
        found[name] = _HEADER_ESCAPE.sub(r"\1", field.group(1)).strip()
        position = field.end()
        if not field.group(2):
            break
    if "deviceEventClassId" not in found:
        raise DecodeError("the CEF header ends early")
    return position


def _read_extension(text: str, found: dict[str, object]) -> None:
    labels: dict[str, str] = {}
    _, *pieces = _KEY.split(text, MAX_PAIRS)  # what is before the first key, then keys and values
    for name, raw in zip(pieces[::2], pieces[1::2], strict=True):
        value = _unescape(raw.strip())
        if name.endswith("Label") and value:
            labels.setdefault(name.removesuffix("Label"), value)
        if name not in found:
            found[name] = value
    if labels:
        found["labels"] = {label: found[name] for name, label in labels.items() if found.get(name)}


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    if _UNESCAPED.search(value):
        return value.replace("\\=", "=")
    return _VALUE_ESCAPE.sub(lambda hit: _ESCAPES.get(hit.group(1), hit.group(1)), value)
