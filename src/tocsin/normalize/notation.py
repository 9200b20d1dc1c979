"""Decoders of the short notations that stand inside single values."""

import re
from functools import lru_cache
from typing import Any

from tocsin.errors import DecodeError
from tocsin.knowledge.canonical import FEWEST_COLONS, email_address, ip_address, refang, split_url

MAX_ADDRESSES = 20
MAX_CACHED = 256

_HOST_PORT = re.compile(r"\[([^\]]{2,64})\](?::(\d{1,5}))?|([^\s:/\[\]]{1,255})(?:[:/](\d{1,5}))?")
_FAST_LOG = re.compile(
    r"(?:(?P<time>[\d/]{5,10}-[\d:.]{8,15})\s+)?\[\*\*\]\s+\[(?P<gid>\d+):(?P<sid>\d+):(?P<rev>\d+)\]\s+"
    r"(?P<signature>.{1,1024}?)\s+\[\*\*\](?:\s+\[Classification:\s(?P<category>[^\]]{1,256})\])?"
    r"(?:\s+\[Priority:\s(?P<priority>\d+)\])?\s+\{(?P<proto>[\w-]{1,20})\}\s+"
    r"(?P<source>\S{1,64})\s+->\s+(?P<destination>\S{1,64})",
    re.DOTALL,
)
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F.]{0,15}){2,8})(?![\w.]*\w)"
)
# IPv4 only; begins with its digit, so that the search goes from digit to digit.
_ADDRESS_4 = re.compile(
    r"[0-9](?<![\w.:].)[0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![\w.]*\w)"
)
_PORTS = re.compile(r"(?:(\d{1,5})\D{1,8})?(\d{1,5})", re.ASCII)
_FINDING_TYPE = re.compile(
    r"(\w{2,64}):(\w{2,64})/([\w &-]{2,128})(?:\.([\w.-]{1,64}))?(?:!(.{1,64}))?"
)


def text_of(value: Any) -> str:
    """A scalar as text.

    Raises:
        DecodeError: it is an object, a list, a truth value or nothing.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise DecodeError("not text")


def decode_url(text: Any) -> dict[str, str]:
    """The parts of an absolute URL: `scheme host domain ip port path`."""
    parts = split_url(refang(text_of(text)))
    if parts is None:
        raise DecodeError("not an absolute URL")
    scheme, host, port, path = parts
    kind = "ip" if ip_address(host) else "domain"
    return {"scheme": scheme, "host": host, kind: host, "port": port[1:], "path": path}


def decode_email(text: Any) -> dict[str, str]:
    """The parts of an e-mail address with or without a display name: `address local domain`."""
    address = email_address(refang(text_of(text)))
    if address is None:
        raise DecodeError("not an e-mail address")
    local, _, domain = address.rpartition("@")
    return {"address": address, "local": local, "domain": domain}


def decode_hostport(text: Any) -> dict[str, str]:
    """The parts of `192.0.2.1:80`, `[2001:db8::1]:443`, `host:port` or a bare address."""
    line = text_of(text).strip().lstrip("/")
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
    line = text_of(text)
    return dict(_account(line) if len(line) <= MAX_CACHED else _account.__wrapped__(line))


@lru_cache(maxsize=4096)
def _account(line: str) -> dict[str, str]:
    line = line.strip().strip("<>")
    for mark in ("\\", "/"):
        domain, found, name = line.partition(mark)
        if found and name:
            parts = {"name": name.lstrip("\\/")}
            return {**parts, "domain": domain} if domain.strip(".") else parts
    name, _, domain = line.rpartition("@")
    if name and domain:
        parts = {"name": name, "domain": domain}
        return {**parts, "email": line} if email_address(line) is not None else parts
    if not line:
        raise DecodeError("no account")
    return {"name": line}


def decode_basename(text: Any) -> str:
    r"""The last part of a Windows or POSIX path."""
    path = text_of(text)
    return _basename(path) if len(path) <= MAX_CACHED else _basename.__wrapped__(path)


@lru_cache(maxsize=4096)
def _basename(path: str) -> str:
    name = path.strip().rstrip("\\/")
    return name.replace("\\", "/").rpartition("/")[2]


def decode_fast_log(text: Any) -> dict[str, str]:
    """A line of Snort's or Suricata's fast.log; addresses keep their ports."""
    match = _FAST_LOG.search(text_of(text)[:8192])
    if match is None:
        raise DecodeError("not a fast.log line")
    return {name: value for name, value in match.groupdict().items() if value is not None}


def decode_ports(value: Any) -> dict[str, Any]:
    """Two ports as an object, a list or a text (`1 -> 2`); one alone is the destination's."""
    if isinstance(value, dict):
        source = next(
            (value[key] for key in ("source", "src", "source_port") if key in value), None
        )
        target = next(
            (
                value[key]
                for key in ("destination", "dst", "dest", "destination_port")
                if key in value
            ),
            None,
        )
        return {"source": source, "destination": target}
    if isinstance(value, list):
        if len(value) == 1:
            return {"destination": value[0]}
        if len(value) == 2:
            return {"source": value[0], "destination": value[1]}
        raise DecodeError("not a pair of ports")
    match = _PORTS.fullmatch(text_of(value).strip())
    if match is None:
        raise DecodeError("not a pair of ports")
    return {"source": match.group(1), "destination": match.group(2)}


def decode_addresses(text: Any) -> list[str]:
    """The IP addresses that a line of text mentions, in order."""
    line = text_of(text)[:8192]
    has_6 = "::" in line or line.count(":") >= FEWEST_COLONS
    found: dict[str, None] = {}
    for candidate in (_ADDRESS if has_6 else _ADDRESS_4).findall(line):
        address = ip_address(candidate)
        if address is not None:
            found[address] = None
            if len(found) >= MAX_ADDRESSES:
                break
    if not found:
        raise DecodeError("no address")
    return list(found)


def decode_finding_type(text: Any) -> dict[str, str]:
    """The parts of a GuardDuty finding type: `purpose resource name mechanism artifact`."""
    match = _FINDING_TYPE.fullmatch(text_of(text).strip())
    if match is None:
        raise DecodeError("not a finding type")
    names = ("purpose", "resource", "name", "mechanism", "artifact")
    return {name: part for name, part in zip(names, match.groups(), strict=True) if part}
