"""Indicators mentioned in free text: command lines, URLs, subjects, descriptions.

Bounded in time: text beyond `MAX_TEXT` is not read, and every expression runs in linear time.
"""

import re
from functools import lru_cache

from tocsin.knowledge.canonical import (
    canonical_url,
    domain_name,
    email_address,
    hash_value,
    ip_address,
    known_top_level,
    registered_domain,
)
from tocsin.model import ObservableType

MAX_TEXT = 8192
MAX_CACHED = 1024
MAX_MENTIONS = 32
SHORTEST_HASH = 32
Mention = tuple[ObservableType, str]

# Top-level domains that are far more often the end of a file name or of a member in code.
FILE_ENDINGS = frozenset(
    [
        "app",
        "bat",
        "bin",
        "cab",
        "cc",
        "cfg",
        "cmd",
        "cpl",
        "csv",
        "dat",
        "db",
        "dll",
        "dmp",
        "doc",
        "docm",
        "docx",
        "drv",
        "evtx",
        "exe",
        "gz",
        "hta",
        "htm",
        "html",
        "inf",
        "ini",
        "iso",
        "jar",
        "jpg",
        "js",
        "jse",
        "json",
        "key",
        "lnk",
        "log",
        "lua",
        "md",
        "mov",
        "msc",
        "msi",
        "name",
        "o",
        "ocx",
        "pdb",
        "pdf",
        "php",
        "pl",
        "png",
        "ppt",
        "ps",
        "ps1",
        "psd1",
        "psm1",
        "py",
        "rar",
        "reg",
        "rs",
        "rtf",
        "scr",
        "sh",
        "so",
        "sql",
        "sys",
        "tar",
        "tmp",
        "ts",
        "txt",
        "url",
        "vb",
        "vbe",
        "vbs",
        "ws",
        "wsf",
        "xls",
        "xlsm",
        "xlsx",
        "xml",
        "yaml",
        "yml",
        "zip",
    ]
)
ONLY_INTERNAL = frozenset({"local", "lan", "internal", "intranet", "corp", "home", "localdomain"})

_HIDDEN_DOT = re.compile(r"\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?", re.IGNORECASE)
_HIDDEN_AT = re.compile(r"\s?[\[({]\s?(?:@|at)\s?[\])}]\s?", re.IGNORECASE)
_HIDDEN_HTTP = re.compile(r"\bh(?:xx|\*\*|tt)p(s?)(?:\[:\]|:|\[)//\]?", re.IGNORECASE)
_URL = re.compile(
    r"(?<![a-z0-9])(?:https?|ftps?|wss?|sftp|tftp|ldaps?|smb)://[^\s\"'<>`|^{}\\]{3,2048}",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"(?<![\w.+%-])[\w+%-]++(?:\.[\w+%-]++)*+@[\w-]++(?:\.[\w-]++)++", re.ASCII)
_DOTTED = re.compile(r"(?<![\w.-])[\w-]++(?:\.[\w-]++)++", re.ASCII)
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,128}+(?![0-9A-Za-z])")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}+[0-9a-fA-F.]{0,15}(?![\w:])")
_LONG_WORD = re.compile(r"[0-9a-fA-F]{32}")


def mentions(text: str) -> tuple[Mention, ...]:
    """The indicators in a text, canonical, in the order of URLs, e-mails, names, addresses, hashes.

    A name counts as a domain only if somebody can have registered it and it does not look like a
    file or a member in code (`setup.exe`, `System.Net`).
    """
    if len(text) <= MAX_CACHED:
        return _cached(text)
    return _scan(text[:MAX_TEXT])


@lru_cache(maxsize=8192)
def _cached(text: str) -> tuple[Mention, ...]:
    return _scan(text)


def _scan(text: str) -> tuple[Mention, ...]:
    if "." not in text and ":" not in text and _LONG_WORD.search(text) is None:
        return ()
    text = _refang(text)
    found: dict[Mention, None] = {}
    if "://" in text:
        text = _URL.sub(lambda hit: _take_url(hit.group(), found), text)
    if "@" in text:
        text = _EMAIL.sub(lambda hit: _take_email(hit.group(), found), text)
    if "." in text:
        for hit in _DOTTED.finditer(text):
            _take_dotted(text, hit, found)
            if len(found) >= MAX_MENTIONS:
                break
    if "::" in text or text.count(":") > 3:  # an IPv6 address has more colons
        _take_ipv6(text, found)
    if len(text) >= SHORTEST_HASH:
        _take_hashes(text, found)
    return tuple(found)[:MAX_MENTIONS]


def _take_hashes(text: str, found: dict[Mention, None]) -> None:
    for hit in _HEX.finditer(text):
        value = hash_value(hit.group())
        if value is not None and not value.isdigit():
            found[ObservableType.HASH, value] = None


def _take_ipv6(text: str, found: dict[Mention, None]) -> None:
    for hit in _IPV6.finditer(text):
        address = ip_address(hit.group())
        if address is not None and len(address) > 4:  # not `::` or `::1`
            found[ObservableType.IP, address] = None


def _refang(text: str) -> str:
    if "[" in text or "(" in text or "{" in text:
        text = _HIDDEN_DOT.sub(".", text)
        text = _HIDDEN_AT.sub("@", text)
    if "//" in text:
        text = _HIDDEN_HTTP.sub(r"http\1://", text)
    return text


def _take_url(text: str, found: dict[Mention, None]) -> str:
    text = text.rstrip(".,;:!?*")
    while text[-1:] in {")", "]"} and text.count("(") + text.count("[") < text.count(
        ")"
    ) + text.count("]"):
        text = text[:-1].rstrip(".,;:!?*")
    url = canonical_url(text)
    if url is not None:
        found[ObservableType.URL, url] = None
    return " "


def _take_email(text: str, found: dict[Mention, None]) -> str:
    address = email_address(text)
    if address is None or not known_top_level(address.rpartition("@")[2]):
        return text
    found[ObservableType.EMAIL, address] = None
    return " "


def _take_dotted(text: str, hit: re.Match[str], found: dict[Mention, None]) -> None:
    token, start, end = hit.group(), hit.start(), hit.end()
    before = text[max(0, start - 12) : start]
    if token[0].isdigit() and token.count(".") == 3 and token[-1].isdigit():
        address = ip_address(token)
        if address is not None and not _is_version(token, before):
            found[ObservableType.IP, address] = None
        return
    last = token.rpartition(".")[2].lower()
    if (
        last in FILE_ENDINGS
        or last in ONLY_INTERNAL
        or last.isdigit()
        or text[end : end + 1] == "("
    ):
        return
    if before[-1:] in {"$", "\\", "%", "#"} and before[-2:] != "\\\\":
        return
    if before[-1:] == "/" and before[-2:] != "//":
        return
    labels = token.split(".")
    if any(not label or not label[0].isalnum() for label in labels):
        return
    if all(label[0].isupper() and not label.isupper() for label in labels):  # System.Net.WebClient
        return
    name = domain_name(token)
    if name is not None and known_top_level(name) and registered_domain(name) is not None:
        found[ObservableType.DOMAIN, name] = None


def _is_version(token: str, before: str) -> bool:
    r"""Whether four numbers are a version: `Version=4.0.0.0`, `App/1.2.3.4`, `\App\1.2.3.4`."""
    if token.endswith(".0.0") or token.startswith("0."):
        return True
    if before[-1:] in {"\\", "/"}:
        return before[-2:-1].isalnum() or before[-2:-1] in {")", "_", "-"}
    lowered = before.lower()
    return (
        "version" in lowered or lowered.endswith((" v", " ver ", "build ")) or lowered[-1:] == "v"
    )
