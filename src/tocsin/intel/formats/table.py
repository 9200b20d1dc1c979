"""Tables of indicators: CSV and TSV with a header (also one behind a `#`), and flat JSON records.

Columns are recognised by name. A row may carry several values (MD5, SHA-1 and SHA-256 of one file):
each becomes an indicator.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tocsin.errors import ImportRowError, InputError
from tocsin.intel.formats import words
from tocsin.intel.formats.lines import Lines
from tocsin.intel.formats.row import Row, Rows, shown
from tocsin.model import ObservableType

Kind = ObservableType

# The columns of ours, each with the names that feeds give it.
SYNONYMS: dict[str, tuple[str, ...]] = {
    name: tuple(synonyms.split())
    for name, synonyms in {
        "value": "value indicator ioc ioc_value observable indicator_value iocs host entry "
        "artifact ip_or_domain",
        "ip": "ip ip_address ipaddress address dst_ip src_ip ipv4 ipv6 addr",
        "cidr": "cidr network subnet netblock prefix ip_range",
        "domain": "domain fqdn hostname domain_name dns",
        "url": "url uri",
        "hash": "hash md5 sha1 sha256 sha512 md5_hash sha1_hash sha256_hash file_hash filehash "
        "sha_256 sha_1",
        "email": "email mail email_address sender",
        "type": "type ioc_type indicator_type value_type kind",
        "level": "level threat_level severity risk risk_level verdict",
        "confidence": "confidence confidence_level confidence_score certainty",
        "tlp": "tlp marking traffic_light",
        "tags": "tags tag labels label malware malware_printable threat family malware_family "
        "threat_type signature category campaign",
        "description": "description comment comments note notes desc reference title name",
        "first_seen": "first_seen first_seen_utc firstseen dateadded date_added date created "
        "valid_from timestamp listingdate",
        "expires_at": "expires_at valid_until expires expiry expiration valid_to",
    }.items()
}
_COLUMN = {name: column for column, names in SYNONYMS.items() for name in names}
_VALUES = {
    "value": None,
    "ip": Kind.IP,
    "cidr": Kind.CIDR,
    "domain": Kind.DOMAIN,
    "url": Kind.URL,
    "hash": Kind.HASH,
    "email": Kind.EMAIL,
}
_KINDS = {
    **dict.fromkeys(("ip", "ipv4", "ipv6", "ip-src", "ip-dst", "ipv4-addr", "ipv6-addr"), Kind.IP),
    **dict.fromkeys(("address", "addr", "ip:port", "ip_address", "ip-dst|port"), Kind.IP),
    **dict.fromkeys(("cidr", "network", "subnet", "netblock"), Kind.CIDR),
    **dict.fromkeys(("domain", "hostname", "fqdn", "domain-name", "host"), Kind.DOMAIN),
    **dict.fromkeys(("url", "uri", "link"), Kind.URL),
    **dict.fromkeys(("hash", "md5", "sha1", "sha256", "sha512", "file", "filehash"), Kind.HASH),
    **dict.fromkeys(("md5_hash", "sha1_hash", "sha256_hash", "filehash-md5"), Kind.HASH),
    **dict.fromkeys(("filehash-sha1", "filehash-sha256", "file_hash"), Kind.HASH),
    **dict.fromkeys(("email", "email-src", "email-dst", "email-addr", "mail"), Kind.EMAIL),
}
_BENIGN = frozenset({"benign", "clean", "safe", "harmless", "allowlist", "whitelist", "trusted"})
_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})", re.ASCII)
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_EMPTY = frozenset({"", "-", "none", "null", "n/a", "nan", "unknown"})
_DELIMITERS = (",", "\t", ";", "|")


def known_columns(cells: Iterable[str], mapping: Mapping[str, str]) -> dict[int, str]:
    """Our column for each position of a header that we recognise."""
    found: dict[int, str] = {}
    mapped = {_plain(theirs): ours for theirs, ours in mapping.items()}
    for position, cell in enumerate(cells):
        name = _plain(cell)
        column = mapped.get(name) or _COLUMN.get(name)
        if column is not None:
            found[position] = column
    return found


def header(line: str, mapping: Mapping[str, str]) -> tuple[str, dict[int, str]] | None:
    """Delimiter and columns of a header line, with or without `#`; None when it is none."""
    text = line.lstrip("# \ufeff")
    for delimiter in _DELIMITERS:
        if delimiter not in text and delimiter != _DELIMITERS[0]:
            continue
        columns = known_columns(_cells(text, delimiter), mapping)
        if any(column in _VALUES for column in columns.values()):
            return delimiter, columns
    return None


def csv_rows(lines: Lines, mapping: Mapping[str, str]) -> Rows:
    """Rows of a table whose header is the last line before the data, or behind a `#`.

    Raises:
        InputError: no line names a column that holds indicators.
    """
    found: tuple[str, dict[int, str]] | None = None
    first: tuple[int, str] | None = None
    for number, line in lines:
        if not line.strip():
            continue
        candidate = header(line, mapping)
        if not line.startswith("#"):
            if candidate is not None:
                found = candidate
            else:
                first = (number, line)
            break
        found = candidate or found
    if found is None:
        if first is None:
            return
        raise InputError(
            "no column holds indicators; name one with a mapping such as their_column=value"
        )
    yield from _records(lines, first, found)


def json_rows(records: Iterable[object], mapping: Mapping[str, str]) -> Rows:
    """Rows of flat JSON records, or of bare texts."""
    for number, record in enumerate(records, 1):
        if isinstance(record, str):
            yield Row(number=number, value=record)
        elif isinstance(record, dict):
            names = [name for name in record if isinstance(name, str)]
            columns = known_columns(names, mapping)
            cells = [_text(record[name]) for name in names]
            yield from _row(number, cells, columns)
        else:
            yield ImportRowError(number, "neither a record nor a text")


def _records(
    lines: Lines, first: tuple[int, str] | None, found: tuple[str, dict[int, str]]
) -> Rows:
    delimiter, columns = found
    at = [0]

    def texts() -> Iterator[str]:
        if first is not None:
            at[0] = first[0]
            yield first[1] + "\n"
        for number, line in lines:
            at[0] = number
            yield line + "\n"

    reader = csv.reader(texts(), delimiter=delimiter, skipinitialspace=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield ImportRowError(at[0], f"is not readable as a table: {error}")
            continue
        if cells and not cells[0].startswith("#") and any(cell.strip() for cell in cells):
            yield from _row(at[0], cells, columns)


def _row(number: int, cells: list[str], columns: dict[int, str]) -> Rows:
    given: dict[str, list[str]] = {}
    for position, column in columns.items():
        if position < len(cells) and (cell := cells[position].strip()):
            given.setdefault(column, []).append(cell)
    level, problem = _level(given.get("level", ()))
    if problem:
        yield ImportRowError(number, problem)
        return
    common: dict[str, Any] = {
        "level": level,
        "confidence": _first(given, "confidence", words.confidence),
        "tlp": _first(given, "tlp", words.tlp),
        "tags": tuple(_tags(given.get("tags", ()))),
        "description": "; ".join(given.get("description", ())) or None,
        "first_seen": _first(given, "first_seen", words.moment),
        "expires_at": _first(given, "expires_at", words.moment),
    }
    if "expires_at" in given and common["expires_at"] is None:
        moment = given["expires_at"][0]
        if moment.lower() not in _EMPTY:
            yield ImportRowError(number, f"{shown(moment)} is no time of expiry")
            return
    stated = _KINDS.get(given["type"][0].lower()) if "type" in given else None
    empty = True
    for column, kind in _VALUES.items():
        for value in given.get(column, ()):
            if value.lower() in _EMPTY:
                continue
            empty = False
            yield _indicator_row(number, value, kind or stated, common)
    if empty:
        yield ImportRowError(number, "the row has no value")


def _indicator_row(number: int, value: str, kind: Kind | None, common: dict[str, Any]) -> Row:
    if kind in (None, Kind.IP, Kind.DOMAIN):
        port = _PORT.fullmatch(value)
        if port is not None:
            tags = (*common["tags"], f"port:{int(port.group(3))}")
            host = port.group(1) or port.group(2)
            return Row(number=number, value=host, kind=kind, **{**common, "tags": tags})
    return Row(number=number, value=value, kind=kind, **common)


def _level(given: Iterable[str]) -> tuple[Any, str]:
    """The first cell that names a level, and a problem when the cells say `benign`."""
    level = None
    for cell in given:
        if cell.lower() in _BENIGN:
            return None, f"listed as {shown(cell)}; only threats are imported"
        level = level or words.threat_level(cell)
    return level, ""


def _first(given: Mapping[str, list[str]], column: str, read: Any) -> Any:
    return next(
        (found for cell in given.get(column, ()) if (found := read(cell)) is not None), None
    )


def _tags(cells: Iterable[str]) -> Iterator[str]:
    for cell in cells:
        for tag in re.split(r"[,;|]", cell):
            if tag.strip().lower() not in _EMPTY:
                yield tag.strip()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value if isinstance(part, str | int | float))
    return str(value) if isinstance(value, str | int | float) else ""


def _plain(name: str) -> str:
    return _NOT_WORD.sub("_", name.lower()).strip("_")


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
