"""Readers of indicator files: one function for all formats, which it tells apart by itself.

plain     one value a line with `#` or `;` comments, hosts files and domain block lists included
csv       CSV or TSV with a header (also behind a `#`); columns recognised by name or by mapping
json      an array of flat records or texts, or one record a line
zeek      Zeek intelligence files      maltrail  maltrail trails      ipsum  IPsum's counted list
stix      STIX 2.1 bundles             misp      MISP events
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from tocsin.errors import ImportRowError, InputError
from tocsin.intel.formats.detect import detect
from tocsin.intel.formats.lines import Lines, ipsum, maltrail, plain
from tocsin.intel.formats.misp import misp
from tocsin.intel.formats.opening import IndicatorFile, opened
from tocsin.intel.formats.row import MAX_SOURCE, Defaults, Row, Rows, clean, indicator
from tocsin.intel.formats.stix import stix
from tocsin.intel.formats.table import SYNONYMS, csv_rows, json_rows
from tocsin.intel.formats.words import LONGEST_TTL, parse_ttl
from tocsin.intel.formats.zeek import zeek
from tocsin.model import Indicator, ThreatLevel, Tlp

FORMATS = ("auto", "plain", "csv", "json", "zeek", "maltrail", "ipsum", "stix", "misp")


def read_indicators(
    file: Path | str | BinaryIO,
    *,
    source: str,
    format: str = "auto",  # noqa: A002 - the word that the command line uses
    level: ThreatLevel | None = None,
    confidence: float | None = None,
    tlp: Tlp = Tlp.AMBER,
    tags: tuple[str, ...] = (),
    ttl: timedelta | None = None,
    columns: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Iterator[Indicator | ImportRowError]:
    """Read a file row by row; an unusable row is yielded as an error, and reading goes on.

    Args:
        file: a path, `-` for standard input, or a binary stream; gzip is recognised.
        source: the name under which the indicators are stored; with type and value it is their key.
        format: one of `FORMATS`.
        level: threat level of rows that do not say it; high when not given.
        confidence: confidence of such rows, between 0 and 1; 0.7 when not given.
        tlp: marking of such rows.
        tags: added to every row's own.
        ttl: after how long rows without an expiry expire.
        columns: their column name → ours (the keys of `SYNONYMS`), for tables.
        now: the time that `ttl` counts from.

    Raises:
        InputError: the file cannot be read, is not of the format, or an argument cannot be used.
    """
    if format not in FORMATS:
        raise InputError(f"{format!r} is no format; choose one of {', '.join(FORMATS)}")
    name = clean(source)
    if not name or len(name) > MAX_SOURCE:
        raise InputError(f"the source's name must have 1 to {MAX_SOURCE} characters")
    if confidence is not None and not 0 <= confidence <= 1:
        raise InputError("the confidence must lie between 0 and 1")
    if ttl is not None and not timedelta(0) < ttl <= LONGEST_TTL:
        raise InputError("the time to live must be positive and at most a hundred years")
    mapping = dict(columns or {})
    if wrong := set(mapping.values()) - set(SYNONYMS):
        raise InputError(f"no column {min(wrong)!r}; choose one of {', '.join(SYNONYMS)}")
    defaults = Defaults(
        source=name, level=level, confidence=confidence, tlp=tlp, tags=tags, ttl=ttl
    )
    return _read(file, format, defaults, mapping, now or datetime.now(UTC))


def _read(
    file: Path | str | BinaryIO,
    form: str,
    defaults: Defaults,
    mapping: Mapping[str, str],
    now: datetime,
) -> Iterator[Indicator | ImportRowError]:
    with opened(file) as content:
        if form == "auto":
            form = detect(content.sample, mapping)
        for row in _rows(content, form, mapping):
            if not isinstance(row, Row):
                yield row
                continue
            chosen = _unless_chosen(row, defaults) if form == "ipsum" else row
            yield indicator(chosen, defaults, now)


_LINES: dict[str, Callable[[Lines], Rows]] = {"plain": plain, "ipsum": ipsum, "zeek": zeek}
_DOCUMENTS: dict[str, Callable[[Any], Rows]] = {"stix": stix, "misp": misp}


def _rows(content: IndicatorFile, form: str, mapping: Mapping[str, str]) -> Rows:
    if (read_lines := _LINES.get(form)) is not None:
        return read_lines(content.lines())
    if (read_document := _DOCUMENTS.get(form)) is not None:
        return read_document(content.json())
    if form == "maltrail":
        return maltrail(content.lines(), _family(content.name))
    if form == "csv":
        return csv_rows(content.lines(), mapping)
    return json_rows(_json_records(content), mapping)


def _json_records(content: IndicatorFile) -> Iterable[object]:
    """The records of an array, of an array inside a record, or one a line."""
    if content.sample.lstrip()[:1] == "[":
        document: Any = content.json()
        return document if isinstance(document, list) else [document]
    return _json_lines(content)


def _json_lines(content: IndicatorFile) -> Iterator[object]:
    for _, line in content.lines():
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            yield None


def _unless_chosen(row: Row, defaults: Defaults) -> Row:
    """A row whose guessed level and confidence give way to those that were asked for."""
    return Row(
        number=row.number,
        value=row.value,
        kind=row.kind,
        level=defaults.level or row.level,
        confidence=row.confidence if defaults.confidence is None else defaults.confidence,
        tags=row.tags,
    )


def _family(name: str) -> str:
    """The malware's name from a trail file such as `emotet.txt`."""
    stem = Path(name).name.partition(".")[0]
    return stem if stem.replace("_", "").replace("-", "").isalnum() else ""


__all__ = [
    "FORMATS",
    "SYNONYMS",
    "Defaults",
    "Indicator",
    "parse_ttl",
    "read_indicators",
]
