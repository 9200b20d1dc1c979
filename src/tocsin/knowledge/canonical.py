"""One spelling for every indicator: refanged, lower-cased, punycode, addresses normalised.

Alerts and intelligence meet by comparing text, so both sides must pass their values through here.
"""

import ipaddress
import re
from functools import cache, lru_cache

import idna
from publicsuffixlist import PublicSuffixList

from tocsin.model import ObservableType

MAX_DOMAIN = 253
MAX_URL = 8192
MAX_IP = 64
FEWEST_COLONS = 6  # of an IPv6 address without `::`, when it ends like an IPv4 address
MAX_EMAIL = 1024
MAX_CACHED_URL = 512  # longer ones are seldom seen twice, and would fill the memory
HASH_LENGTHS = frozenset({32, 40, 64, 128})  # MD5, SHA-1, SHA-256, SHA-512
PRIVATE_TLDS = frozenset(
    {"local", "lan", "internal", "intranet", "corp", "home", "localdomain", "onion", "i2p", "bit"}
)
DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}

_DOT = re.compile(
    r"\s?(?:\[\s?(?:\.|dot)\s?\]|\(\s?(?:\.|dot)\s?\)|\{\s?(?:\.|dot)\s?\}|\\\.)\s?", re.IGNORECASE
)
_AT = re.compile(
    r"\s?(?:\[\s?(?:@|at)\s?\]|\(\s?(?:@|at)\s?\)|\{\s?(?:@|at)\s?\})\s?", re.IGNORECASE
)
_COLON = re.compile(r"\[:\]|\[://\]|\[:(?=//)", re.IGNORECASE)
_SCHEME = re.compile(r"^h(?:xx|\*\*|tt|xt|tx)p(s?)(?=\s?:|__|\[)", re.IGNORECASE)
_IPV4 = re.compile(r"(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_URL = re.compile(
    r"([a-z][a-z0-9+.-]{1,19}):(?://|/\\|\\\\)([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL
)
_LOCAL_PART = re.compile(r"[^\s@<>(),;:\\\"\[\]\x00-\x1f\x7f]{1,64}")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\"<>\ud800-\udfff]")


def refang(text: str) -> str:
    """Undo the usual ways to make an indicator unclickable: `hxxp`, `[.]`, `(dot)`, `[at]`.

    Square brackets around an IPv6 address stay, because they belong to it.
    """
    text = text.strip()
    if (
        "[" not in text
        and "(" not in text
        and "{" not in text
        and "\\" not in text
        and text[:2].lower() not in {"hx", "h*"}
    ) or len(text) > MAX_URL:
        return text
    text = _SCHEME.sub(r"http\1", text)
    text = _COLON.sub(lambda hit: "://" if "//" in hit.group() else ":", text)
    if "://" in text and text.count("[") == text.count("]") + 1:
        text = text.replace("[://", "://")
    return _AT.sub("@", _DOT.sub(".", text))


def ip_address(text: str) -> str | None:
    """The normal form of an IPv4 or IPv6 address, or None.

    An IPv4 address inside an IPv6 one (`::ffff:192.0.2.1`) becomes the IPv4 address; a zone
    (`%eth0`) is dropped; octal, hexadecimal and shortened forms are refused, because programs do
    not agree on what they mean.
    """
    return _ip_address(text) if len(text) <= MAX_IP else None


@lru_cache(maxsize=32_768)
def _ip_address(text: str) -> str | None:
    text = text.strip()
    if _IPV4.fullmatch(text):
        for part in text.split("."):
            if int(part) > 255:
                return None
        return text
    if "::" not in text and text.count(":") < FEWEST_COLONS:
        return None
    if text[0] == "[" and text[-1] == "]":
        text = text[1:-1]
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(address)


def network(text: str) -> str | None:
    """The normal form of a network in CIDR notation (host bits cleared), or None."""
    address, slash, length = text.strip().partition("/")
    if not slash or not length.isascii() or not length.isdigit() or len(length) > 3:
        return None
    normal = ip_address(address)
    if normal is None or ("." in normal and ":" in address):
        return None
    try:
        return str(ipaddress.ip_network(f"{normal}/{length}", strict=False))
    except ValueError:
        return None


def domain_name(text: str) -> str | None:
    """The normal form of a domain name with at least two labels, or None.

    Lower case, no final dot, internationalised labels as punycode. Underscores are allowed,
    since names in DNS have them.
    """
    return _domain_name(text) if len(text) <= 2 * MAX_DOMAIN else None


@lru_cache(maxsize=32_768)
def _domain_name(text: str) -> str | None:
    text = text.strip().rstrip(".").lower()
    if not text or len(text) > MAX_DOMAIN or "." not in text:
        return None
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError, IndexError):
            return None
        if "." not in text or len(text) > MAX_DOMAIN:
            return None
    labels = text.split(".")
    if labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return text


def hash_value(text: str) -> str | None:
    """An MD5, SHA-1, SHA-256 or SHA-512 in lower-case hexadecimal, or None (also for all zeros)."""
    text = text.strip().lower()
    if len(text) not in HASH_LENGTHS or _HEX.fullmatch(text) is None:
        return None
    return text if text.strip("0") else None


def email_address(text: str) -> str | None:
    """The bare lower-case address of `Name <user@example.com>`, `mailto:…` or a plain one."""
    if len(text) > MAX_EMAIL:
        return None
    text = text.strip()
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1].strip()
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    local, at, domain = text.rpartition("@")
    name = domain_name(domain) if at else None
    if name is None or _LOCAL_PART.fullmatch(local) is None:
        return None
    return f"{local.lower()}@{name}"


def split_url(text: str) -> tuple[str, str, str, str] | None:
    """Scheme, canonical host, `:port` (empty when it is the default) and the rest of a URL.

    The fragment and any user name or password are left out; the rest begins with `/`. None when
    the text is no absolute URL with a usable host.
    """
    if len(text) > MAX_URL:
        return None
    return _split_url(text) if len(text) <= MAX_CACHED_URL else _split_url.__wrapped__(text)


@lru_cache(maxsize=4096)
def _split_url(text: str) -> tuple[str, str, str, str] | None:
    match = _URL.fullmatch(text.strip())
    if match is None:
        return None
    scheme, authority, rest = match.group(1).lower(), match.group(2), match.group(3)
    host, port = _host_and_port(authority.rpartition("@")[2])
    name = host_name(host)
    if name is None or port is None:
        return None
    if port and port == DEFAULT_PORTS.get(scheme):
        port = ""
    path = rest.partition("#")[0]
    before, mark, query = path.partition("?")
    before = before.replace("\\", "/") if scheme in DEFAULT_PORTS else before
    path = _NOT_IN_URL.sub(_percent, before + mark + query)
    if not path.startswith("/"):
        path = f"/{path}"
    return scheme, name, f":{port}" if port else "", path


def canonical_url(text: str) -> str | None:
    """The normal form of an absolute URL, or None."""
    parts = split_url(text)
    if parts is None:
        return None
    scheme, host, port, path = parts
    return f"{scheme}://[{host}]{port}{path}" if ":" in host else f"{scheme}://{host}{port}{path}"


def host_name(text: str) -> str | None:
    """The host of a URL: an address (also as one number, as browsers read it) or a domain."""
    return ip_address(text) or domain_name(text) or _numeric_host(text)


def canonical(kind: ObservableType, value: str) -> str | None:
    """The one spelling of an indicator of a known type, or None when it cannot be one.

    The unspecified addresses (`0.0.0.0`, `::`) identify nobody and are refused.
    """
    text = refang(value)
    match kind:
        case ObservableType.IP:
            address = ip_address(text)
            return None if address in {"0.0.0.0", "::"} else address  # noqa: S104 - compared only
        case ObservableType.DOMAIN:
            return domain_name(text)
        case ObservableType.HASH:
            return hash_value(text)
        case ObservableType.URL:
            return canonical_url(text)
        case ObservableType.EMAIL:
            return email_address(text)
        case ObservableType.CIDR:
            return network(text)


def classify(text: str) -> tuple[ObservableType, str] | None:  # noqa: PLR0911 - one per type
    """Say what type of indicator a bare text is, and its canonical value; None if it is none.

    A domain must end in a known top-level domain, so that `setup.exe` is not one. A network of
    one address is that address.
    """
    if not text or len(text) > MAX_URL:
        return None
    text = refang(text)
    if (value := hash_value(text)) is not None:
        return ObservableType.HASH, value
    if "://" in text:
        url = canonical_url(text)
        return None if url is None else (ObservableType.URL, url)
    if (value := canonical(ObservableType.IP, text)) is not None:
        return ObservableType.IP, value
    if (value := network(text)) is not None:
        single = value.removesuffix("/32") if "." in value else value.removesuffix("/128")
        if single != value:
            address = canonical(ObservableType.IP, single)
            return None if address is None else (ObservableType.IP, address)
        return ObservableType.CIDR, value
    if "@" in text:
        address = email_address(text)
        return None if address is None else (ObservableType.EMAIL, address)
    name = domain_name(text)
    if name is not None and known_top_level(name):
        return ObservableType.DOMAIN, name
    return None


def registered_domain(domain: str) -> str | None:
    """The part of a domain that somebody registered (`example.co.uk`), by the Public Suffix List.

    None for a public suffix itself and for anything that is no domain name.
    """
    name = domain_name(domain)
    return None if name is None else _registered_domain(name)


@lru_cache(maxsize=32_768)
def _registered_domain(name: str) -> str | None:
    found = _suffixes().privatesuffix(name)
    return found if isinstance(found, str) else None


@lru_cache(maxsize=4096)
def known_top_level(name: str) -> bool:
    """Whether a canonical domain ends in a delegated or customary private top-level domain."""
    last = name.rpartition(".")[2]
    return last in PRIVATE_TLDS or _suffixes().publicsuffix(last, accept_unknown=False) is not None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _host_and_port(authority: str) -> tuple[str, str | None]:
    """Split `host:port`; the port is empty when absent and None when it is no port."""
    if authority.startswith("["):
        host, bracket, tail = authority[1:].partition("]")
        if not bracket or (tail and tail[0] != ":"):
            return authority, None
        port = tail[1:]
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        return host, None
    return host, port.lstrip("0")


def _numeric_host(text: str) -> str | None:
    """An IPv4 address written as 1–4 numbers, each decimal, octal (0…) or hexadecimal (0x…)."""
    parts = text.lower().rstrip(".").split(".")
    if len(parts) > 4:
        return None
    numbers = []
    for part in parts:
        base = 16 if part.startswith("0x") else 8 if part.startswith("0") and part != "0" else 10
        digits = part[2:] if base == 16 else part
        try:
            numbers.append(int(digits, base) if digits.isalnum() and len(digits) <= 12 else -1)
        except ValueError:
            return None
    *heads, last = numbers
    if last < 0 or last >= 256 ** (5 - len(parts)) or any(not 0 <= head < 256 for head in heads):
        return None
    total = last + sum(head << (8 * (3 - index)) for index, head in enumerate(heads))
    return str(ipaddress.IPv4Address(total))


def _percent(hit: re.Match[str]) -> str:
    character = hit.group()
    if character in "\t\n\r" or "\ud800" <= character <= "\udfff":
        return ""
    return f"%{ord(character):02X}"
