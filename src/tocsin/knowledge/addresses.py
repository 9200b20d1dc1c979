"""What IP addresses are: special-purpose registries, named networks, country and organisation."""

import gzip
import pickle
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from tocsin import logs

log = logs.get("addresses")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The IANA special-purpose address registries (RFC 6890 and its updates) with the registries' own
# names, and multicast, which has registries of its own.
SPECIAL_PURPOSE: Final[Mapping[str, str]] = {
    "0.0.0.0/8": "This network",
    "10.0.0.0/8": "Private-Use",
    "100.64.0.0/10": "Shared Address Space",
    "127.0.0.0/8": "Loopback",
    "169.254.0.0/16": "Link Local",
    "172.16.0.0/12": "Private-Use",
    "192.0.0.0/24": "IETF Protocol Assignments",
    "192.0.2.0/24": "Documentation (TEST-NET-1)",
    "192.31.196.0/24": "AS112-v4",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "Deprecated (6to4 Relay Anycast)",
    "192.168.0.0/16": "Private-Use",
    "192.175.48.0/24": "Direct Delegation AS112 Service",
    "198.18.0.0/15": "Benchmarking",
    "198.51.100.0/24": "Documentation (TEST-NET-2)",
    "203.0.113.0/24": "Documentation (TEST-NET-3)",
    "224.0.0.0/4": "Multicast",
    "240.0.0.0/4": "Reserved",
    "255.255.255.255/32": "Limited Broadcast",
    "::/128": "Unspecified Address",
    "::1/128": "Loopback Address",
    "::ffff:0:0/96": "IPv4-mapped Address",
    "64:ff9b::/96": "IPv4-IPv6 Translat.",
    "64:ff9b:1::/48": "IPv4-IPv6 Translat. (local use)",
    "100::/64": "Discard-Only Address Block",
    "2001::/23": "IETF Protocol Assignments",
    "2001::/32": "TEREDO",
    "2001:2::/48": "Benchmarking",
    "2001:20::/28": "ORCHIDv2",
    "2001:db8::/32": "Documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "Direct Delegation AS112 Service",
    "3fff::/20": "Documentation",
    "5f00::/16": "Segment Routing (SRv6) SIDs",
    "fc00::/7": "Unique-Local",
    "fe80::/10": "Link-Local Unicast",
    "ff00::/8": "Multicast",
}

# Purposes whose packets never cross a router: both ends are on the organisation's own wires.
LOCAL_PURPOSES: Final = frozenset(
    {
        "This network",
        "Loopback",
        "Link Local",
        "Multicast",
        "Limited Broadcast",
        "Unspecified Address",
        "Loopback Address",
        "Link-Local Unicast",
    }
)

# Purposes that are routed over the internet, so that a country can be known.
ROUTED_PURPOSES: Final = frozenset(
    {
        "AS112-v4",
        "AMT",
        "Deprecated (6to4 Relay Anycast)",
        "Direct Delegation AS112 Service",
        "IETF Protocol Assignments",
        "TEREDO",
        "6to4",
    }
)


@lru_cache(maxsize=65_536)
def parse_address(text: str) -> Address | None:
    """The address that a text writes, or None; an IPv4-mapped IPv6 address becomes IPv4.

    An interface name behind `%` is dropped: it means something on one machine only.
    """
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if address.version == 6:
        return address.ipv4_mapped or address
    return address


class NetworkNames:
    """Names of networks; the longest network that holds an address names it."""

    def __init__(self, names: Iterable[tuple[Network, str]]) -> None:
        self._by_length: dict[int, dict[int, dict[int, str]]] = {4: {}, 6: {}}
        for network, name in names:
            lengths = self._by_length[network.version]
            shift = network.max_prefixlen - network.prefixlen
            lengths.setdefault(shift, {})[int(network.network_address) >> shift] = name
        self._ordered = {
            version: sorted(lengths.items()) for version, lengths in self._by_length.items()
        }

    def name(self, address: Address) -> str | None:
        """The name of the longest network that holds the address."""
        number = int(address)
        for shift, networks in self._ordered[address.version]:
            found = networks.get(number >> shift)
            if found is not None:
                return found
        return None


_SPECIAL: Final = NetworkNames((ip_network(cidr), name) for cidr, name in SPECIAL_PURPOSE.items())


def special_purpose(address: Address) -> str | None:
    """The registry's name for the special purpose of an address, e.g. `Private-Use`."""
    return _SPECIAL.name(address)


class Place(NamedTuple):
    """Where an address is registered: ISO 3166 alpha-2 country, and who announces it."""

    country: str | None
    organisation: str | None


NOWHERE: Final = Place(None, None)


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, texts and numbers only: a data file must not be able to run code."""

    def find_class(self, module: str, name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"the data file names the object {module}.{name}")


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Networks that do not overlap, sorted by first address, each with the index of a label.

    Arrays of numbers instead of lists of objects: a sixth of the memory. IPv6 networks are kept by
    their upper 64 bits; the few that are longer than a /64 are left out.
    """

    starts: "array[int]"
    lengths: "array[int]"
    labels: "array[int]"
    bits: int

    def label(self, number: int) -> int | None:
        """The label of the network that holds the address with this number."""
        at = bisect_right(self.starts, number) - 1
        if at < 0:
            return None
        size = 1 << (self.bits - self.lengths[at])
        return self.labels[at] if number < self.starts[at] + size else None


def _ranges(
    starts: list[list[int]], lengths: list[list[int]], labels: list[list[int]]
) -> tuple[_Ranges, _Ranges]:
    """The IPv4 and IPv6 networks of one table of the data file."""
    v4 = _Ranges(array("I"), array("B"), array("I"), 32)
    v6 = _Ranges(array("Q"), array("B"), array("I"), 64)
    for chunk in zip(starts, lengths, labels, strict=True):
        if chunk[0] and chunk[0][-1] <= 0xFFFFFFFF:
            v4.starts.extend(chunk[0])
            v4.lengths.extend(chunk[1])
            v4.labels.extend(chunk[2])
            continue
        for start, length, label in zip(*chunk, strict=True):
            if start <= 0xFFFFFFFF:
                v4.starts.append(start)
                v4.lengths.append(length)
                v4.labels.append(label)
            elif length <= 64:
                v6.starts.append(start >> 64)
                v6.lengths.append(length)
                v6.labels.append(label)
    return v4, v6


# What unpickling something else can raise; OSError stays what it is.
_UNREADABLE: Final = (
    pickle.UnpicklingError,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
)


class Geography:
    """Country and organisation of addresses, from the data file inside the package geoip2fast.

    The file is read directly, into arrays: the package's own reader keeps 110 MB of objects, and
    changes the environment of the whole process when it is imported. The file carries the names
    of autonomous systems, not their numbers.
    """

    PACKAGE = "geoip2fast"
    FILE = "geoip2fast-asn-ipv6.dat.gz"
    LAYOUT = 120

    def __init__(self, path: Path) -> None:
        """Read the file: about half a second and 30 MB.

        Raises:
            OSError: there is no such file.
            ValueError: the file does not have the layout that this reader knows.
        """
        tables = self._tables(path)
        countries, organisations = tables[2], tables[3]
        self._countries = tuple(self._country(entry) for entry in countries)
        self._organisations = tuple(self._organisation(entry) for entry in organisations)
        self._country4, self._country6 = _ranges(tables[4], tables[8], tables[6])
        self._organisation4, self._organisation6 = _ranges(tables[5], tables[9], tables[7])

    @classmethod
    def _tables(cls, path: Path) -> Any:
        """The ten tables of the data file, checked for their shape."""
        try:
            with gzip.open(path, "rb") as file:
                layout, _, _, tables = _PlainUnpickler(file).load()
        except _UNREADABLE as error:
            raise ValueError(f"{path}: {error}") from error
        if layout != cls.LAYOUT or len(tables) != 10:
            raise ValueError(f"{path}: unknown layout {layout!r}")
        return tables

    @staticmethod
    def _country(entry: str) -> str | None:
        code = entry.partition(":")[0]
        return code if len(code) == 2 and code.isalpha() else None

    @staticmethod
    def _organisation(entry: str) -> str | None:
        return None if entry in {"<unknown>", "IANA.ORG"} else entry

    def place(self, address: Address) -> Place:
        """Where an address is registered; parts that are not known are None."""
        number = int(address)
        if address.version == 4:
            country, organisation = self._country4.label(number), self._organisation4.label(number)
        else:
            number >>= 64
            country, organisation = self._country6.label(number), self._organisation6.label(number)
        return Place(
            None if country is None else self._countries[country],
            None if organisation is None else self._organisations[organisation],
        )


@cache
def geography() -> Geography | None:
    """The process's one look-up of countries, read at first use; None when there is no data."""
    spec = find_spec(Geography.PACKAGE)
    if spec is None or spec.origin is None:
        return None
    try:
        return Geography(Path(spec.origin).parent / Geography.FILE)
    except (OSError, ValueError) as error:
        log.warning("geography.unreadable", error=str(error))
        return None
