"""Which format an indicator file has, from its first 64 KiB."""

import re
from collections.abc import Mapping

from tocsin.intel.formats.table import header

_IPSUM = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]+:[0-9a-fA-F:]+)\s+\d{1,4}", re.ASCII)
_MALTRAIL_COMMENT = re.compile(
    r"^# (?:Reference|Aliases): |\bmaltrail\b", re.MULTILINE | re.IGNORECASE
)
_STIX = re.compile(r'"type"\s*:\s*"(?:bundle|indicator)"|"spec_version"')
_MISP = re.compile(r'"(?:Event|Attribute|to_ids)"\s*:')
_SAMPLE_LINES = 50


def detect(sample: str, mapping: Mapping[str, str]) -> str:
    """One of `FORMATS` but `auto`; a text that resembles none of the others is `plain`."""
    text = sample.lstrip("\ufeff \t\r\n")
    if text[:1] in ("{", "["):
        return _json(text)
    if re.search(r"^#fields\t.*\bindicator\b", text, re.MULTILINE):
        return "zeek"
    lines = text.splitlines()
    data = [line.strip() for line in lines if line.strip() and line.lstrip()[0] not in "#;!"]
    if not data:
        return "csv" if any(_is_header(line, mapping) for line in lines) else "plain"
    return _lines(text, lines, data[:_SAMPLE_LINES], mapping)


def _lines(text: str, lines: list[str], data: list[str], mapping: Mapping[str, str]) -> str:
    """The format of a text with lines of data."""
    counted = sum(_IPSUM.fullmatch(line.partition("#")[0].strip()) is not None for line in data)
    if counted * 10 > len(data) * 9:
        return "ipsum"
    if _MALTRAIL_COMMENT.search(text):
        return "maltrail"
    before = lines[: lines.index(_raw(lines, data[0]))]
    commented = [line for line in before if line.startswith("#")]
    if any(_is_header(line, mapping) for line in (data[0], *commented)):
        return "csv"
    return "plain"


def _json(text: str) -> str:
    if _STIX.search(text):
        return "stix"
    if _MISP.search(text):
        return "misp"
    return "json"


def _is_header(line: str, mapping: Mapping[str, str]) -> bool:
    """Whether a line is a table's header: at least two columns, or one that is a known word."""
    found = header(line, mapping)
    if found is None:
        return False
    delimiter, columns = found
    return delimiter in line or len(columns) == 1 == len(line.split())


def _raw(lines: list[str], stripped: str) -> str:
    return next(line for line in lines if line.strip() == stripped)
