"""What can be told by its shape: addresses, e-mail addresses, accounts in paths, machines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from tocsin.errors import SettingsError
from tocsin.knowledge.addresses import LOCAL_PURPOSES, parse_address, special_purpose
from tocsin.settings import Settings

LOCAL_SUFFIXES = (
    ".local", ".localdomain", ".lan", ".internal", ".intranet", ".corp", ".home", ".private",
    ".home.arpa",
)  # fmt: skip
SPOKEN_OF = frozenset(
    {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1"}  # noqa: S104  # nothing binds to it
)
"""Addresses that everybody has: they say nothing of anybody."""
PUBLIC_ACCOUNTS = frozenset(
    {
        "administrator", "admin", "root", "system", "localsystem", "guest", "nobody", "daemon",
        "local service", "network service", "localservice", "networkservice", "anonymous",
        "anonymous logon", "nt authority", "nt authority\\system", "builtin", "www-data", "public",
        "default", "default user", "all users", "shared", "defaultaccount", "n/a", "-", "unknown",
        "none", "null", "localhost", "workgroup",
    }
)  # fmt: skip
"""Accounts and names that every system has: a model should know what they are."""

_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}")
_MAC = re.compile(
    r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])"
    r"|(?<![0-9A-Fa-f.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Fa-f.])"
)
_EMAIL = re.compile(r"[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
_ACCOUNT_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        (
            r"(?:users|home|documents and settings|profiles)[\\/]{1,4}"
            r"([^\\/\"'<>|:*?\r\n]{1,64}(?=[\\/])|[^\\/\s\"'<>|:*?]{1,64})"
        ),
        r"://([^\s/:@\"']{2,256}):[^\s/@\"']{0,1024}@",
        r"(?<!\S)(?:-u|--user|--username|--login|-l)[\s=]{1,3}[\"']?([^\s:%\"'-][^\s:%\"']{1,255})",
        r"(?<!\S)[/-]user(?:name)?[:\s=]{1,3}[\"']?(?:[\w.-]{1,64}\\)?([^\s:%\"'/-][^\s:%\"']{1,255})",
        r"\bnet1?(?:\.exe)?\s+user\s+[\"']?([^\s\"'/]{2,256})",
        r"\b(?:useradd|adduser|userdel|usermod|passwd|su|runas)\s+(?:-\s+)?([A-Za-z_][\w.$-]{1,63})",
    )
)
_SID = re.compile(r"\bS-1-5-21(?:-\d{1,10}){3,5}\b")
_UNC = re.compile(r"\\\\{1,3}([A-Za-z0-9][A-Za-z0-9._-]{0,252})\\")
_ACCOUNT = re.compile(r"(?<=:)\d{12}(?=:)", re.ASCII)
_DOMAIN = re.compile(r"(?<![\w.-])(?:[\w-]{1,63}\.){1,12}[^\W\d_][\w-]{1,62}(?![\w-])")

_PLAIN = (
    (_MAC, "MAC", ""),
    (_EMAIL, "EMAIL", "@"),
    (_SID, "USER", "S-1-5-21"),
    (_UNC, "HOST", "\\\\"),
    (_ACCOUNT, "ACCOUNT", "arn:"),
)
"""Expressions (their last group is the name), kinds, and what a text must hold to be searched."""


class Span(NamedTuple):
    """Part of a text, and the kind of name that stands there."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to the organisation: networks, and domains (lower case)."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    domains: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Scope":
        """From the settings.

        Raises:
            SettingsError: a network is not written as a CIDR.
        """
        try:
            networks = tuple(ip_network(cidr, strict=False) for cidr in settings.internal_networks)
        except ValueError as error:
            raise SettingsError(f"TOCSIN_INTERNAL_NETWORKS: {error}") from error
        return cls(networks, tuple(d.lower().strip(".") for d in settings.internal_domains))

    def holds(self, address: str) -> bool:
        """Whether an address is one of the organisation's, or never leaves the local wire."""
        parsed = parse_address(address)
        if parsed is None:
            return False
        return special_purpose(parsed) in LOCAL_PURPOSES or any(
            parsed.version == network.version and parsed in network for network in self.networks
        )


def address_kind(address: str, scope: Scope) -> str:
    """The kind of pseudonym of an address."""
    return "INTERNAL_IP" if scope.holds(address) else "EXTERNAL_IP"


def shapes(text: str, scope: Scope, own: frozenset[str]) -> Iterator[Span]:
    """Everything in a text that is told by its shape; `own` are further domains of ours."""
    yield from _addresses(text, scope)
    yield from _accounts(text)
    for pattern, kind, mark in _PLAIN:
        if mark in text:
            for match in pattern.finditer(text):
                yield Span(*match.span(pattern.groups), kind)
    if "." in text:
        for match in _DOMAIN.finditer(text):
            if is_ours(match.group(), scope, own):
                yield Span(*match.span(), "DOMAIN")


def _accounts(text: str) -> Iterator[Span]:
    for pattern in _ACCOUNT_NAMES:
        for match in pattern.finditer(text):
            if match.group(1).strip().lower() not in PUBLIC_ACCOUNTS:
                yield Span(*match.span(1), "USER")


def is_ours(domain: str, scope: Scope, own: frozenset[str]) -> bool:
    """Whether a name is one of the organisation's domains, or lies below one."""
    name = domain.lower()
    return name.endswith(LOCAL_SUFFIXES) or any(
        name == suffix or name.endswith("." + suffix) for suffix in (*scope.domains, *own)
    )


def _addresses(text: str, scope: Scope) -> Iterator[Span]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            address = match.group().rstrip(".")
            if address in SPOKEN_OF or parse_address(address) is None:
                continue
            start = match.start()
            yield Span(start, start + len(address), address_kind(address, scope))
