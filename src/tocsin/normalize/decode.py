"""The decoders that a source definition can name: text in, a value or named parts out.

Each is a pure function that raises `DecodeError` when the text does not have its format.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from tocsin.errors import DecodeError
from tocsin.knowledge.canonical import hash_value
from tocsin.normalize import notation
from tocsin.normalize.cef import parse_cef
from tocsin.normalize.notation import text_of
from tocsin.normalize.syslog import parse_syslog
from tocsin.normalize.xml import parse_xml

Decoder = Callable[[Any], Any]

MAX_PAIRS = 1000
MAX_CACHED = 512
HASH_NAMES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}

_PAIR = re.compile(
    r"([\w@#./$-]{1,128})\s?="
    r"(?:\s?\"((?:[^\"\\]|\\.)*)\"|\s?'((?:[^'\\]|\\.)*)'|((?:[^\s,;|\"']|,(?![\s\w@#./$-]*=))[^\s;|,]*)?)"
)
_HASH = re.compile(r"(?:(\w{2,10}?)\s?[-_]?\s?(256|1|5|512)?\s?[=:]\s?)?\b([0-9a-fA-F]{32,128})\b")


def decode_json(text: Any) -> Any:
    """JSON inside a string; what is no longer text is given back as it is."""
    if isinstance(text, dict | list):
        return text
    return read_json(text_of(text))


def read_json(text: str) -> Any:
    """Decode JSON strictly and fast, then leniently (NaN, lone surrogates, huge numbers).

    Raises:
        DecodeError: it is not JSON in either reading.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    try:
        return _without_surrogates(json.loads(text, parse_int=_parse_int))
    except (ValueError, RecursionError) as error:
        raise DecodeError("not JSON") from error


def decode_key_value(text: Any) -> dict[str, str]:
    """`key=value` pairs, separated by blanks, commas, semicolons or bars, quoted or not."""
    line = text_of(text)
    found: dict[str, str] = {}
    parts = line.split(";")
    if len(parts) > 1 and sum("=" in part for part in parts) >= len(parts) - 1:
        for part in parts[:MAX_PAIRS]:  # `cat=HOST SCORING;start=15…`: values may hold blanks
            key, equals, value = part.partition("=")
            if equals and key.strip():
                found.setdefault(key.strip(), value.strip().strip("\"'"))
        return found
    for match in _PAIR.finditer(line):
        key, double, single, bare = match.groups()
        value = double if double is not None else single if single is not None else bare or ""
        found.setdefault(key, value.replace('\\"', '"'))
        if len(found) >= MAX_PAIRS:
            break
    if not found:
        raise DecodeError("no key=value pair")
    return found


def decode_hashes(text: Any) -> dict[str, str]:
    """Hashes by name: `SHA1=…,MD5=…`, `sha256:…`, an object of them, or bare ones by length.

    Names are `md5 sha1 sha256 sha512`; an import hash is kept apart as `imphash`.
    """
    if isinstance(text, Mapping):
        text = ",".join(f"{name}={value}" for name, value in text.items())
    elif isinstance(text, list):
        text = ",".join(item for item in text if isinstance(item, str))
    line = text_of(text)[:4096]
    found = dict(_hashes_in(line) if len(line) <= MAX_CACHED else _hashes_in.__wrapped__(line))
    if not found:
        raise DecodeError("no hash")
    return found


@lru_cache(maxsize=4096)
def _hashes_in(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _HASH.finditer(text):
        name, value = (match.group(1) or "").lower(), hash_value(match.group(3))
        if value is not None:
            found.setdefault("imphash" if name == "imphash" else HASH_NAMES[len(value)], value)
    return found


def decode_event_data(node: Any) -> dict[str, Any]:
    """Windows event data by name, from any JSON form of `<Data Name="Image">…</Data>`."""
    if not isinstance(node, dict):
        raise DecodeError("no event data")
    rows = node.get("Data")
    if isinstance(rows, dict):
        rows = [rows]
    if not isinstance(rows, list):
        return node
    found: dict[str, Any] = {name: value for name, value in node.items() if name != "Data"}
    for index, row in enumerate(rows[:MAX_PAIRS]):
        if not isinstance(row, dict):
            found[f"Data{index}"] = row
            continue
        attributes = row.get("#attributes") or row.get("$") or row
        name = (
            attributes.get("Name") or attributes.get("@Name")
            if isinstance(attributes, dict)
            else None
        )
        if isinstance(name, str):
            found[name] = row.get("#text", row.get("_", row.get("value")))
    return found


def _parse_int(digits: str) -> float | int:
    return int(digits) if len(digits) <= 20 else float(digits)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value


DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        "json": decode_json,
        "cef": lambda value: parse_cef(text_of(value)),
        "syslog": lambda value: parse_syslog(text_of(value)),
        "key_value": decode_key_value,
        "hashes": decode_hashes,
        "xml": lambda value: parse_xml(text_of(value)),
        "event_data": decode_event_data,
        "url": notation.decode_url,
        "email": notation.decode_email,
        "hostport": notation.decode_hostport,
        "ports": notation.decode_ports,
        "addresses": notation.decode_addresses,
        "account": notation.decode_account,
        "basename": notation.decode_basename,
        "fast_log": notation.decode_fast_log,
        "finding_type": notation.decode_finding_type,
    }
)
