"""Lists with one indicator a line: plain ones, hosts files, IPsum's counts, maltrail's trails."""

import re
from collections.abc import Iterator

from tocsin.errors import ImportRowError
from tocsin.intel.formats.row import Row, Rows, shown
from tocsin.knowledge.canonical import ip_address, refang, split_url
from tocsin.model import ObservableType, ThreatLevel

Lines = Iterator[tuple[int, str]]

_COMMENT = re.compile(r"^\s*(?:[#;!]|//|\Z)|\s[#;]")
_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})", re.ASCII)
_HOST = re.compile(r"[^\s/?#:]+(?::\d{1,5})?", re.ASCII)
_ADBLOCK = re.compile(r"\|\|([^/^$|]+)\^.*")
_IPSUM = re.compile(r"(\S+)\s+(\d{1,4})", re.ASCII)
_SINKS = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104 - compared only
_LOCAL_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost"}
    | {"ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters"}
    | {"ip6-allhosts", "0.0.0.0"}  # noqa: S104 - compared only
)
_REFERENCE = re.compile(r"#\s*Reference:\s*(\S.*)")


def plain(lines: Lines) -> Rows:
    """One value a line, with `#` or `;` comments; further words become the description."""
    for number, line in lines:
        text, comment = _split(line)
        if not text:
            continue
        first, *rest = text.split(None, 1)
        if "," in first and "://" not in first:
            first, *rest = text.replace(",", " ").split(None, 1) or [text]
        if first in _SINKS and rest:
            yield from _hosts(number, rest[0])
            continue
        note = " ".join([*rest, comment]).strip() or None
        yield _row(number, first, note)


def ipsum(lines: Lines) -> Rows:
    """`address<TAB>n`, where n blacklists name the address.

    One list alone is wrong often enough to be weak; the chance that all n are wrong is taken as
    0.7 to the power of n.
    """
    for number, line in lines:
        text, _ = _split(line)
        if not text:
            continue
        match = _IPSUM.fullmatch(text)
        if match is None:
            yield ImportRowError(number, f"{shown(text)} is not an address and a count")
            continue
        count = int(match.group(2))
        level = ThreatLevel.LOW if count < 2 else ThreatLevel.MEDIUM if count < 3 else None
        yield Row(
            number=number,
            value=match.group(1),
            kind=ObservableType.IP,
            level=level,
            confidence=round(min(0.97, 1 - 0.7**count), 3),
            tags=(f"blacklists:{count}",),
        )


def maltrail(lines: Lines, family: str = "") -> Rows:
    """Trails: domains, addresses with ports, URLs, and paths (which name no machine).

    A `# Reference:` above a block becomes the description of the block's trails.
    """
    tags = (family,) if family else ()
    reference: str | None = None
    in_comment = False
    for number, line in lines:
        stripped = line.strip()
        if stripped.startswith("#"):
            match = _REFERENCE.match(stripped)
            if match is not None:
                reference = match.group(1)
            elif not in_comment:
                reference = None
            in_comment = True
            continue
        in_comment = False
        text, comment = _split(line)
        if not text:
            continue
        if text.startswith("/"):
            yield ImportRowError(number, f"{shown(text)} is a path that names no machine")
            continue
        yield _row(number, text.split()[0], comment or reference, tags)


def _row(number: int, text: str, note: str | None, tags: tuple[str, ...] = ()) -> Row:
    """A row from a value with the decorations of block lists and trails taken off."""
    value = refang(text.strip("\"'"))
    match = _ADBLOCK.fullmatch(value)
    if match is not None:
        value = match.group(1)
    value = value.removeprefix("*.").removeprefix(".")
    port = _PORT.fullmatch(value)
    if port is not None:
        value = port.group(1) or port.group(2)
        tags = (*tags, f"port:{int(port.group(3))}")
    elif "://" in value:
        value = _bare_host(value)
    elif "/" in value and "@" not in value and ip_address(value.partition("/")[0]) is None:
        host = value.partition("/")[0]
        if "." in host and _HOST.fullmatch(host):
            value = f"http://{value}"
    elif "/" in value and not value.rpartition("/")[2].isdigit():
        value = f"http://{value}"
    return Row(number=number, value=value, tags=tags, description=note)


def _bare_host(url: str) -> str:
    """The host of a URL that has nothing after it: such an entry means the whole machine."""
    parts = split_url(url)
    if parts is None or parts[3] != "/" or url.count("/") > 2:
        return url
    return parts[1]


def _hosts(number: int, names: str) -> Rows:
    for name in names.split():
        if name not in _LOCAL_NAMES:
            yield Row(number=number, value=name, kind=ObservableType.DOMAIN)


def _split(line: str) -> tuple[str, str]:
    """A line's content and its comment."""
    match = _COMMENT.search(line)
    if match is None:
        return line.strip(), ""
    comment = line[match.start() :].strip().lstrip("#;!/ ").strip()
    return line[: match.start()].strip(), comment
