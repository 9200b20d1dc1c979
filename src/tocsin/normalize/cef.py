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
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_][\w.@\[\]-]{0,127})=")
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
    _read_extension(text[position:], found)
    return found


def _read_extension(text: str, found: dict[str, object]) -> None:
    keys = []
    for match in _KEY.finditer(text):
        keys.append(match)
        if len(keys) >= MAX_PAIRS:
            break
    labels: dict[str, str] = {}
    for index, match in enumerate(keys):
        end = keys[index + 1].start() if index + 1 < len(keys) else len(text)
        value = _unescape(text[match.end() : end].strip())
        name = match.group(1)
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
