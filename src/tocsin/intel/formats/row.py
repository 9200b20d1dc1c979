"""One row of any indicator file, and how it becomes an indicator or an error of that row."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tocsin.errors import ImportRowError
from tocsin.knowledge.canonical import canonical, classify, registered_domain
from tocsin.model import Indicator, ObservableType, ThreatLevel, Tlp

EPOCH = 1970
WIDEST = {4: 8, 6: 16}
MAX_VALUE = 2048  # bytes, as in the store's key
MAX_SOURCE = 256
MAX_DESCRIPTION = 1000
MAX_TAGS = 20
MAX_TAG = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A value as some format gives it; what is None is taken from the defaults."""

    number: int
    value: str
    kind: ObservableType | None = None
    level: ThreatLevel | None = None
    confidence: float | None = None
    tlp: Tlp | None = None
    tags: tuple[str, ...] = ()
    description: str | None = None
    first_seen: datetime | None = None
    expires_at: datetime | None = None


Rows = Iterator[Row | ImportRowError]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for rows that do not say it themselves; `ttl` counts from the import.

    A level or confidence given here also outranks what a format only guesses (IPsum's counts).
    """

    source: str
    level: ThreatLevel | None = None
    confidence: float | None = None
    tlp: Tlp = Tlp.AMBER
    tags: tuple[str, ...] = ()
    ttl: timedelta | None = None


PRIVATE_SUFFIXES = frozenset(
    {"example", "test", "local", "internal", "lan", "home", "corp", "onion"}
)
"""Endings that are in no public list, but that names in lists of indicators do have."""


def indicator(row: Row, defaults: Defaults, now: datetime) -> Indicator | ImportRowError:
    """The indicator that a row names, in canonical form, or why it names none."""
    found = _value(row)
    if isinstance(found, ImportRowError):
        return found
    kind, value = found
    if problem := _unusable(kind, value):
        return ImportRowError(row.number, f"{shown(value)}: {problem}")
    expires_at = row.expires_at
    if expires_at is None and defaults.ttl is not None:
        expires_at = now + defaults.ttl
    tags = dict.fromkeys(tag for tag in (*defaults.tags, *map(clean, row.tags)) if tag)
    confidence = row.confidence if row.confidence is not None else defaults.confidence
    return Indicator(
        type=kind,
        value=value,
        source=defaults.source,
        threat_level=row.level or defaults.level or ThreatLevel.HIGH,
        confidence=0.7 if confidence is None else confidence,
        tlp=row.tlp or defaults.tlp,
        tags=tuple(tag[:MAX_TAG] for tag in tags)[:MAX_TAGS],
        description=clean(row.description)[:MAX_DESCRIPTION] or None if row.description else None,
        first_seen=_utc(row.first_seen),
        expires_at=_utc(expires_at),
    )


def clean(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogates, no space around it."""
    if not text.isprintable():
        text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return text.strip()


def shown(value: str) -> str:
    """A value short and printable enough for an error message."""
    return ascii(value[:80])


def _value(row: Row) -> tuple[ObservableType, str] | ImportRowError:
    text = row.value.strip()
    if not text:
        return ImportRowError(row.number, "the value is empty")
    if text.endswith(("…", "...")):
        return ImportRowError(row.number, f"{shown(text)} was cut short by its author")
    if row.kind is None or row.kind in (ObservableType.IP, ObservableType.CIDR):
        found = classify(text)
        if found is not None and (
            row.kind is None or found[0] in (ObservableType.IP, ObservableType.CIDR)
        ):
            return found
        if row.kind is None and text.rpartition(".")[2].lower() in PRIVATE_SUFFIXES:
            name = canonical(ObservableType.DOMAIN, text)
            if name is not None:
                return ObservableType.DOMAIN, name
    else:
        value = canonical(row.kind, text)
        if value is not None:
            return row.kind, value
    wanted = f"no {row.kind.value}" if row.kind is not None else "no indicator we know"
    return ImportRowError(row.number, f"{shown(text)} is {wanted}")


def _unusable(kind: ObservableType, value: str) -> str:
    """Why an indicator would match what it must not, or an empty text."""
    if len(value.encode("utf-8", "replace")) > MAX_VALUE:
        return f"longer than {MAX_VALUE} bytes"
    if kind is ObservableType.DOMAIN and registered_domain(value) is None:
        return "a public suffix, which names nobody"
    if kind is ObservableType.CIDR:
        network = ipaddress.ip_network(value)
        if network.prefixlen < WIDEST[network.version]:
            return f"wider than /{WIDEST[network.version]}, which would match half the world"
    elif kind is ObservableType.IP:
        address = ipaddress.ip_address(value)
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            return "an address that names no single machine"
        if address.is_link_local or value == "255.255.255.255":
            return "an address that names no single machine"
    return ""


def _utc(when: datetime | None) -> datetime | None:
    """The moment in UTC; None for one before the epoch, which no feed can mean."""
    if when is None:
        return None
    try:
        moment = when.astimezone(UTC)
    except OverflowError:
        return None
    return moment if moment.year >= EPOCH else None
