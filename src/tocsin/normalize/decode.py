"""The decoders that a source definition can name: text in, a value or named parts out.

Each is a pure function that raises `DecodeError` when the text does not have its format.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tocsin.errors import DecodeError
from tocsin.knowledge.canonical import (
    email_address,
    hash_value,
    ip_address,
    refang,
    split_url,
)
from tocsin.normalize.cef import parse_cef
from tocsin.normalize.syslog import parse_syslog
from tocsin.normalize.xml import parse_xml

Decoder = Callable[[Any], Any]

MAX_PAIRS = 1000
HASH_NAMES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}

_PAIR = re.compile(
    r"([\w@#./$-]{1,128})\s?="
    r"(?:\s?\"((?:[^\"\\]|\\.)*)\"|\s?'((?:[^'\\]|\\.)*)'|((?:[^\s,;|\"']|,(?![\s\w@#./$-]*=))[^\s;|,]*)?)"
)
_HASH = re.compile(r"(?:(\w{2,10}?)\s?[-_]?\s?(256|1|5|512)?\s?[=:]\s?)?\b([0-9a-fA-F]{32,128})\b")
_HOST_PORT = re.compile(r"\[([^\]]{2,64})\](?::(\d{1,5}))?|([^\s:/\[\]]{1,255})(?:[:/](\d{1,5}))?")
_FAST_LOG = re.compile(
    r"(?:(?P<time>[\d/]{5,10}-[\d:.]{8,15})\s+)?\[\*\*\]\s+\[(?P<gid>\d+):(?P<sid>\d+):(?P<rev>\d+)\]\s+"
    r"(?P<signature>.{1,1024}?)\s+\[\*\*\](?:\s+\[Classification:\s(?P<category>[^\]]{1,256})\])?"
    r"(?:\s+\[Priority:\s(?P<priority>\d+)\])?\s+\{(?P<proto>[\w-]{1,20})\}\s+"
    r"(?P<source>\S{1,64})\s+->\s+(?P<destination>\S{1,64})",
    re.DOTALL,
)


def decode_json(text: Any) -> Any:
    """JSON inside a string; what is no longer text is given back as it is."""
    if isinstance(text, dict | list):
        return text
    return read_json(_text(text))


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
    line = _text(text)
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
    found: dict[str, str] = {}
    for match in _HASH.finditer(_text(text)[:4096]):
        name, value = (match.group(1) or "").lower(), hash_value(match.group(3))
        if value is not None:
            found.setdefault("imphash" if name == "imphash" else HASH_NAMES[len(value)], value)
    if not found:
        raise DecodeError("no hash")
    return found


def decode_url(text: Any) -> dict[str, str]:
    """The parts of an absolute URL: `scheme host domain ip port path`."""
    parts = split_url(refang(_text(text)))
    if parts is None:
        raise DecodeError("not an absolute URL")
    scheme, host, port, path = parts
    kind = "ip" if ip_address(host) else "domain"
    return {"scheme": scheme, "host": host, kind: host, "port": port[1:], "path": path}


def decode_email(text: Any) -> dict[str, str]:
    """The parts of an e-mail address with or without a display name: `address local domain`."""
    address = email_address(refang(_text(text)))
    if address is None:
        raise DecodeError("not an e-mail address")
    local, _, domain = address.rpartition("@")
    return {"address": address, "local": local, "domain": domain}


def decode_hostport(text: Any) -> dict[str, str]:
    """The parts of `192.0.2.1:80`, `[2001:db8::1]:443`, `host:port` or a bare address."""
    line = _text(text).strip().lstrip("/")
    if (address := ip_address(line)) is not None:
        return {"host": address, "ip": address}
    match = _HOST_PORT.fullmatch(line)
    if match is None:
        raise DecodeError("not a host with a port")
    host = match.group(1) or match.group(3)
    port = match.group(2) or match.group(4)
    address = ip_address(host)
    if match.group(1) and address is None:
        raise DecodeError("not a host with a port")
    found = {"host": address or host, "ip" if address else "domain": address or host.lower()}
    if port:
        found["port"] = port
    return found


def decode_account(text: Any) -> dict[str, str]:
    r"""The parts of a Windows account, `DOMAIN\user` or `user@domain`: `name domain`."""
    line = _text(text).strip()
    for mark in ("\\", "/"):
        domain, found, name = line.partition(mark)
        if found and name:
            parts = {"name": name.lstrip("\\/")}
            return {**parts, "domain": domain} if domain.strip(".") else parts
    name, _, domain = line.rpartition("@")
    if name and domain:
        return {"name": name, "domain": domain, "email": line}
    if not line:
        raise DecodeError("no account")
    return {"name": line}


def decode_basename(text: Any) -> str:
    r"""The last part of a Windows or POSIX path."""
    name = _text(text).strip().rstrip("\\/")
    return name.replace("\\", "/").rpartition("/")[2]


def decode_fast_log(text: Any) -> dict[str, str]:
    """A line of Snort's or Suricata's fast.log; addresses keep their ports."""
    match = _FAST_LOG.search(_text(text)[:8192])
    if match is None:
        raise DecodeError("not a fast.log line")
    return {name: value for name, value in match.groupdict().items() if value is not None}


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
        name = attributes.get("Name") or attributes.get("@Name") if isinstance(attributes, dict) else None
        if isinstance(name, str):
            found[name] = row.get("#text", row.get("_", row.get("value")))
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise DecodeError("not text")


def _parse_int(digits: str) -> float | int:
    return int(digits) if len(digits) <= 20 else float(digits)  # noqa: PLR2004 - 64 bits


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
        "cef": lambda value: parse_cef(_text(value)),
        "syslog": lambda value: parse_syslog(_text(value)),
        "key_value": decode_key_value,
        "hashes": decode_hashes,
        "xml": lambda value: parse_xml(_text(value)),
        "url": decode_url,
        "email": decode_email,
        "hostport": decode_hostport,
        "account": decode_account,
        "basename": decode_basename,
        "fast_log": decode_fast_log,
        "event_data": decode_event_data,
    }
)
