"""Files of records that people import: CSV, JSON and NDJSON, plain or gzip, or standard input."""

import csv
import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tocsin.errors import ImportRowError, InputError
from tocsin.knowledge.elements import Broken, elements
from tocsin.knowledge.wrapped import alerts_in

BOM: Final = b"\xef\xbb\xbf"
MAX_BYTES: Final = 1 << 30
MAX_CELL: Final = 1 << 20
DELIMITERS: Final = (",", ";", "\t", "|")

_NAME = re.compile(r"[^\W\d][^\n\t]{0,99}")

Row = tuple[int, dict[str, Any]]


def read_rows(name: str) -> Iterator[Row | ImportRowError]:
    """The records of a file as (row number, cells), or what is wrong with a row.

    CSV needs a header line, which is row 1; its delimiter is found out. A JSON array, a JSON
    object that holds one array, and one JSON object per line are recognised by their content.

    Args:
        name: a path, or `-` for standard input; gzip is recognised by content.

    Raises:
        InputError: the file cannot be read, is no UTF-8 (CSV), or holds no records.
    """
    data = read_bytes(name)
    content = data.removeprefix(BOM).strip()
    if not content:
        raise InputError(f"{name}: the file is empty")
    if content.startswith(b"["):
        return _array(content, name)
    if content.startswith(b"{"):
        return _objects(content, data, name)
    return _csv(decode(data, name), name)


def read_bytes(name: str) -> bytes:
    """All bytes of a file or of standard input (`-`), decompressed.

    Raises:
        InputError: the file cannot be read, or is larger than 1 GiB.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as stored:
                if os.fstat(stored.fileno()).st_size > MAX_BYTES:  # it is not even read
                    raise InputError(_too_large(name))
                data = stored.read(MAX_BYTES + 1)
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise InputError(_too_large(name))
    return data


def _too_large(name: str) -> str:
    return f"{name}: is larger than {MAX_BYTES >> 20} MiB"


def decode(data: bytes, name: str) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: the file has another encoding; says which line, and what to do.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            f"{name}: the file is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 FILE"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name}: line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); "
            "if the file is Latin-1 or Windows-1252, convert it first: "
            "iconv -f WINDOWS-1252 -t UTF-8 FILE"
        ) from error


def header_of(line: str) -> frozenset[str]:
    """The names of a table's header; none if the line is data or text instead.

    Every name begins with a letter, as times, numbers and addresses do not.
    """
    try:
        cells = next(csv.reader([line], delimiter=_delimiter(line)), [])
    except csv.Error:
        return frozenset()
    names = [cell.strip() for cell in cells]
    named = len(names) > 1 and all(_NAME.fullmatch(name) for name in names if name)
    return frozenset(names) - {""} if named else frozenset()


def _delimiter(head: str) -> str:
    return max(DELIMITERS, key=lambda mark: _outside_quotes(head).count(mark))


def _array(content: bytes, name: str) -> Iterator[Row | ImportRowError]:
    parts = list(elements(content))
    if not parts:
        raise InputError(f"{name}: the list is empty")
    if isinstance(parts[-1], Broken):
        raise InputError(f"{name}: is not JSON: {parts[-1].why}")
    whole = (part for part in parts if isinstance(part, bytes))
    return (_row(n, part) for n, part in enumerate(_each(whole), 1))


def _each(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The records, also those that an export wraps, such as a search's hits."""
    return (record for part in parts for record in alerts_in(part))


def _objects(content: bytes, data: bytes, name: str) -> Iterator[Row | ImportRowError]:
    """One document, an object or a wrapper around one list; else one object per line."""
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        if not _has_lines_of_json(content):
            raise InputError(f"{name}: is not JSON: {error}") from error
        return _lines(data.removeprefix(BOM))
    inside = list(alerts_in(content))
    if inside != [content]:
        return (_row(number, part) for number, part in enumerate(inside, 1))
    try:
        return _numbered(_unwrapped(msgspec.json.decode(content)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name}: {_complaint(error)}") from error


def _has_lines_of_json(content: bytes) -> bool:
    """Whether one of the first two lines is a whole document; the other may be broken."""
    lines = content.split(b"\n", 2)[:2]
    return len(lines) == 2 and any(isinstance(_row(0, line), tuple) for line in lines)


def _unwrapped(document: Any) -> list[Any]:
    lists = [value for value in document.values() if _is_records(value)]
    return lists[0] if len(lists) == 1 else [document]


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _numbered(items: Sequence[Any]) -> Iterator[Row | ImportRowError]:
    return (_record(number, item) for number, item in enumerate(items, 1))


def _lines(content: bytes) -> Iterator[Row | ImportRowError]:
    lines = enumerate(content.split(b"\n"), 1)
    full = ((number, line) for number, line in lines if line.strip())
    return (_row(number, part) for number, line in full for part in alerts_in(line))


def _row(number: int, raw: bytes) -> Row | ImportRowError:
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return ImportRowError(number, _complaint(error))
    return _record(number, item)


def _record(number: int, item: Any) -> Row | ImportRowError:
    return (
        (number, item) if isinstance(item, dict) else ImportRowError(number, "is not a JSON object")
    )


def _complaint(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 (byte 0x{error.object[error.start]:02x})"
    return f"is not JSON: {error}"


def _csv(text: str, name: str) -> Iterator[Row | ImportRowError]:
    csv.field_size_limit(MAX_CELL)
    head = text.lstrip("\r\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(head))
    try:
        header = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
    except csv.Error as error:
        raise InputError(f"{name}: the header line cannot be read: {error}") from error
    columns = [cell.strip() for cell in header]
    twice = {column for column in columns if column and columns.count(column) > 1}
    if twice:
        raise InputError(f"{name}: the header names {', '.join(sorted(twice))} twice")
    return _cells(reader, columns)


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _cells(reader: Any, columns: Sequence[str]) -> Iterator[Row | ImportRowError]:
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield ImportRowError(number, f"cannot be read: {error}")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            yield ImportRowError(
                number, f"has {len(cells)} cells, but the header names {len(columns)} columns"
            )
            continue
        yield number, {column: cell for column, cell in zip(columns, cells, strict=False) if column}


class Columns:
    """Which of the file's columns fill which of our fields.

    Names are compared without case, spaces and punctuation. An explicit mapping wins over our
    own names, and those win over synonyms.
    """

    def __init__(
        self, synonyms: Mapping[str, Sequence[str]], mapping: Mapping[str, str] | None = None
    ) -> None:
        """Check the mapping.

        Args:
            synonyms: for each of our fields the usual other names of its column, best first.
            mapping: the file's column to our field, as a person gave it.

        Raises:
            InputError: the mapping names a field that does not exist.
        """
        self._ranked: dict[str, tuple[str, int]] = {}
        for field, others in synonyms.items():
            for rank, other in enumerate((field, *others), 1):
                self._ranked.setdefault(plain(other), (field, rank))
        for theirs, ours in (mapping or {}).items():
            if ours not in synonyms:
                raise InputError(f"there is no field {ours!r}; fields: {', '.join(synonyms)}")
            self._ranked[plain(theirs)] = (ours, 0)
        self._known: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self.ignored: set[str] = set()

    def fields(self, cells: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        """Our fields with (the file's column name, its value); empty cells are left out."""
        names = tuple(cells)
        plan = self._known.get(names)
        if plan is None:
            plan = self._known[names] = self._plan(names)
        found: dict[str, tuple[str, Any]] = {}
        for column, field in plan:
            value = cells[column]
            if field not in found and value not in (None, "") and str(value).strip():
                found[field] = (column, value)
        return found

    def _plan(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Columns with the field that each fills, the best column of a field first."""
        ranked = [(name, self._ranked.get(plain(name))) for name in names]
        self.ignored.update(name for name, found in ranked if found is None)
        taken = [(found[1], name, found[0]) for name, found in ranked if found is not None]
        return [(name, field) for _, name, field in sorted(taken)]


def plain(name: str) -> str:
    """A column's name without case, spaces and punctuation."""
    return "".join(character for character in name.lower() if character.isalnum())
