"""Known-benign values and well-known infrastructure, from the lists in an installed package.

A list says what a value *is*. It is never a verdict: an attacker can rent an address in a cloud and
hide behind a content network, which is why each list says whether strangers share what it names.
The lists of the package are read into compact tables of our own, because its own search walks
through every list for every value.
"""

import importlib.util
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytricia

from tocsin import logs
from tocsin.knowledge.canonical import registered_domain, split_url
from tocsin.model import ObservableType

log = logs.get("knowledge")

PACKAGE = "pymispwarninglists"
FOLDER = "data/misp-warninglists/lists"
_DIGEST = re.compile(rb'"([0-9a-fA-F]{32,128})"')
_SUFFIX_TYPE = "hostname"


@dataclass(frozen=True, slots=True)
class WarningList:
    """One list: its folder in the package, the name we show, and whether strangers share it.

    `shared` marks what anybody can rent or hide behind: belonging there says little about intent.
    """

    folder: str
    name: str
    shared: bool = False


NETWORK_LISTS = (
    WarningList("akamai", "Akamai network", shared=True),
    WarningList("amazon-aws", "Amazon AWS network", shared=True),
    WarningList("apple", "Apple network"),
    WarningList("censys-scanning", "Censys research scanner"),
    WarningList("cloudflare", "Cloudflare network", shared=True),
    WarningList("fastly", "Fastly network", shared=True),
    WarningList("google-gcp", "Google Cloud network", shared=True),
    WarningList("google-gmail-sending-ips", "Gmail sending server", shared=True),
    WarningList("googlebot", "Googlebot crawler"),
    WarningList("internet-census-nt-scanning", "Internet Census research scanner"),
    WarningList("microsoft-azure", "Microsoft Azure network", shared=True),
    WarningList("microsoft-azure-china", "Microsoft Azure China network", shared=True),
    WarningList("microsoft-azure-us-gov", "Microsoft Azure US Government network", shared=True),
    WarningList("microsoft-office365-ip", "Microsoft 365 network"),
    WarningList("microsoft-office365-cn", "Microsoft 365 China network"),
    WarningList("modat-scanner", "Modat research scanner"),
    WarningList("onyphe-scanner", "Onyphe research scanner"),
    WarningList("openai-gptbot", "GPTBot crawler"),
    WarningList("rapid7-nt-scanning", "Rapid7 research scanner"),
    WarningList("shadowserver", "Shadowserver research scanner"),
    WarningList("shodan-scanning", "Shodan research scanner"),
    WarningList("stackpath", "StackPath network", shared=True),
    WarningList("tenable-cloud-ipv4", "Tenable cloud scanner", shared=True),
    WarningList("tenable-cloud-ipv6", "Tenable cloud scanner", shared=True),
    WarningList("umbrella-blockpage-v4", "Cisco Umbrella block page"),
    WarningList("umbrella-blockpage-v6", "Cisco Umbrella block page"),
    WarningList("wikimedia", "Wikimedia network"),
    WarningList("zscaler", "Zscaler proxy network", shared=True),
)

NAME_LISTS = (
    WarningList("bank-website", "Bank website"),
    WarningList("captive-portals", "Captive portal check"),
    WarningList("cisco_top1000", "Cisco Umbrella top 1,000"),
    WarningList("google", "Google domain"),
    WarningList("microsoft", "Microsoft domain"),
    WarningList("microsoft-office365", "Microsoft 365 domain"),
    WarningList("microsoft-win10-connection-endpoints", "Windows connection endpoint"),
    WarningList("moz-top500", "Moz top 500"),
    WarningList("tranco10k", "Tranco top 10,000"),
    WarningList("umbrella-blockpage-hostname", "Cisco Umbrella block page"),
    WarningList("university_domains", "University domain"),
)

HASH_LISTS = (
    WarningList("common-ioc-false-positive", "Hash often listed by mistake"),
    WarningList("eicar.com", "EICAR test file"),
    WarningList("empty-hashes", "Empty file"),
    WarningList("mozilla-CA", "Mozilla root certificate"),
    WarningList("mozilla-IntermediateCA", "Mozilla intermediate certificate"),
    WarningList("nioc-filehash", "Known benign file"),
    WarningList("ti-falsepositives", "Hash often listed by mistake"),
)

HOSTING_LISTS = ("lots-project", "url-shortener", "public-ipfs-gateways", "link-in-bio")
"""Where strangers publish under a famous name: such a name never counts as that of its owner."""

DYNAMIC_LIST = "dynamic-dns"

RESOLVER_NAME = "Public DNS resolver"
RESOLVERS = (
    *("1.0.0.1", "1.1.1.1", "8.8.4.4", "8.8.8.8", "9.9.9.9", "149.112.112.112"),
    *("94.140.14.14", "94.140.15.15", "208.67.220.220", "208.67.222.222"),
    *("2001:4860:4860::8844", "2001:4860:4860::8888", "2606:4700:4700::1001"),
    *("2606:4700:4700::1111", "2620:fe::9", "2620:fe::fe", "2620:119:35::35", "2620:119:53::53"),
)
"""The resolvers of large operators. The package's list of open resolvers is not used: everybody
can get a machine onto it."""

EXAMPLE_DOMAINS = frozenset({"example.com", "example.net", "example.org", "example.edu"})
"""Reserved for documentation (RFC 2606); popular in web rankings all the same."""

SHARED = frozenset(
    entry.name for entry in (*NETWORK_LISTS, *NAME_LISTS, *HASH_LISTS) if entry.shared
)
"""Names of the lists that strangers share: weak grounds for calling anything benign."""


class _ListFile(msgspec.Struct):
    type: str
    list: tuple[str, ...]


class _Digests:
    """A set of hashes as sorted numbers: 16 bytes each, against some 150 in a set of text.

    The first 128 bits stand for the hash; nobody can find a second file with those either.
    """

    __slots__ = ("_high", "_low", "name")

    def __init__(self, name: str, texts: Iterable[bytes]) -> None:
        self.name = name
        numbers = sorted({int(text[:32], 16) for text in texts})
        self._high = array("Q", (number >> 64 for number in numbers))
        self._low = array("Q", (number & 0xFFFF_FFFF_FFFF_FFFF for number in numbers))

    def __len__(self) -> int:
        return len(self._high)

    def has(self, number: int) -> bool:
        high, low = number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF
        at = bisect_left(self._high, high)
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return True
            at += 1
        return False


class WarningLists:
    """All lists in memory; ask `names` which of them hold a canonical value."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._v4 = pytricia.PyTricia(32)
        self._v6 = pytricia.PyTricia(128)
        self._exact: dict[str, tuple[str, ...]] = {}
        self._below: dict[str, tuple[str, ...]] = {}
        self._hosting: frozenset[str] = frozenset()
        self._digests: tuple[_Digests, ...] = ()
        self._load_networks()
        self._load_names()
        self._load_hashes()

    def __len__(self) -> int:
        networks = len(self._v4) + len(self._v6)
        return networks + len(self._exact) + len(self._below) + sum(map(len, self._digests))

    def names(self, kind: ObservableType, value: str) -> tuple[str, ...]:
        """Names of the lists that hold a canonical value; a URL counts as its host."""
        if kind is ObservableType.IP or kind is ObservableType.CIDR:
            return self._of_network(value)
        if kind is ObservableType.DOMAIN:
            return self._of_name(value)
        if kind is ObservableType.HASH:
            return self._of_hash(value)
        if kind is ObservableType.EMAIL:
            return ()  # anybody can write a famous domain behind the @
        parts = split_url(value)
        if parts is None:
            return ()
        host = parts[1]
        return self._of_network(host) if _is_address(host) else self._of_name(host)

    def _of_network(self, value: str) -> tuple[str, ...]:
        tree = self._v6 if ":" in value else self._v4
        try:
            prefix = tree.get_key(value)
        except ValueError:
            return ()
        found: tuple[str, ...] = ()
        while prefix is not None:
            found = _joined(found, tree[prefix])
            prefix = tree.parent(prefix)
        return found

    def _of_name(self, value: str) -> tuple[str, ...]:
        exact, below, hosting = self._exact, self._below, self._hosting
        found = exact.get(value, ())
        parents: list[tuple[str, tuple[str, ...]]] = []
        rest, dot = value, "."
        while dot:
            if rest in hosting:
                return ()
            if (names := below.get(rest)) is not None:
                parents.append((rest, names))
            _, dot, rest = rest.partition(".")
        if parents and (limit := registered_domain(value)) is not None:
            for name, names in parents:
                if len(name) >= len(limit):
                    found = _joined(found, names)
        return found

    def _of_hash(self, value: str) -> tuple[str, ...]:
        try:
            number = int(value[:32], 16)
        except ValueError:
            return ()
        return tuple(dict.fromkeys(d.name for d in self._digests if d.has(number)))

    def _load_networks(self) -> None:
        for entry in NETWORK_LISTS:
            for prefix in self._read(entry.folder).list:
                self._add_network(prefix, entry.name)
        for address in RESOLVERS:
            self._add_network(address, RESOLVER_NAME)

    def _add_network(self, prefix: str, name: str) -> None:
        tree = self._v6 if ":" in prefix else self._v4
        try:
            tree[prefix] = _joined(tree[prefix], (name,)) if tree.has_key(prefix) else (name,)
        except ValueError:
            log.warning("knowledge.network_skipped", list=name)

    def _load_names(self) -> None:
        hosting = {n.lstrip("*.") for folder in HOSTING_LISTS for n in self._read(folder).list}
        self._hosting = frozenset(name.lower() for name in hosting) | EXAMPLE_DOMAINS
        dynamic = {name.lstrip("*.").lower() for name in self._read(DYNAMIC_LIST).list}
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for entry in NAME_LISTS:
            content = self._read(entry.folder)
            for text in content.list:
                name = text.lstrip("*.").lower()
                if not name or name in dynamic or name in self._hosting:
                    continue
                wide = content.type == _SUFFIX_TYPE or text[0] in "*."
                table = self._below if wide else self._exact
                names = _joined(table.get(name, ()), (entry.name,))
                table[name] = shared.setdefault(names, names)

    def _load_hashes(self) -> None:
        self._digests = tuple(
            _Digests(entry.name, self._scan_hashes(entry.folder)) for entry in HASH_LISTS
        )

    def _scan_hashes(self, folder: str) -> Iterator[bytes]:
        for match in _DIGEST.finditer(self._bytes(folder)):
            yield match.group(1)

    def _read(self, folder: str) -> _ListFile:
        content = self._bytes(folder)
        if not content:
            return _ListFile(type="", list=())
        try:
            return msgspec.json.decode(content, type=_ListFile)
        except msgspec.DecodeError:
            log.warning("knowledge.list_unreadable", list=folder)
            return _ListFile(type="", list=())

    def _bytes(self, folder: str) -> bytes:
        try:
            return (self._folder / folder / "list.json").read_bytes()
        except OSError:
            log.warning("knowledge.list_missing", list=folder)
            return b""


@cache
def load() -> WarningLists:
    """Read the lists of the installed package, once per process (about half a second)."""
    spec = importlib.util.find_spec(PACKAGE)  # not imported: that would pull in an HTTP client
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    return WarningLists(Path(roots[0], FOLDER) if roots else Path(FOLDER))


def _is_address(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdigit()


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return one + tuple(name for name in other if name not in one)
