"""Files of alerts, in any of the forms that people have them in."""

import glob
import gzip
import re
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from json import JSONDecodeError
from pathlib import Path
from typing import IO

import msgspec

from tocsin.errors import ImportRowError, InputError, PayloadError
from tocsin.ingest import BodyKind, Item, Limits, read_body, read_item
from tocsin.knowledge.elements import DOCUMENTS, Broken, elements
from tocsin.knowledge.tabular import header_of, read_rows
from tocsin.knowledge.wrapped import alerts_in

STDIN = "-"
BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
JSON_MARKS = frozenset('{}]":')
TABLES = (".csv", ".tsv")
LONGEST_HEADER = 65_536
_FURTHER = re.compile(r"""\n(?:\}.*|(?=[^\s\[\]}":,]))""")
"""Where reading goes on after a document that cannot be read: behind the line of its last brace, or
before a line that is no part of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One alert of a file: its payload, or why it could not be read."""

    payload: bytes
    error: str | None = None
    text: bool = False  # a line of text, not JSON

    def item(self, limits: Limits) -> Item | PayloadError:
        """What the front door makes of it."""
        if self.error is not None:
            return PayloadError("invalid_json", self.error)
        if not self.text:
            return read_item(self.payload, limits)
        try:
            return read_body(self.payload, BodyKind.TEXT, limits)[0]
        except PayloadError as error:
            return error


def expand(patterns: Iterable[str]) -> list[str]:
    """File names from names and globs, in order and each once; `-` is standard input.

    Raises:
        InputError: a name or pattern matches nothing.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STDIN or Path(pattern).is_file():
            names[pattern] = None
            continue
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path's takes no absolute ones
        matches = [name for name in sorted(found) if Path(name).is_file()]
        if not matches:
            raise InputError(f"{pattern}: no such file")
        names.update(dict.fromkeys(matches))
    return list(names)


def read(name: str, columns: Collection[str] = ()) -> Iterator[Record]:
    """The alerts of a file: a JSON array, NDJSON, JSON documents one after the other, text, CSV.

    Only an array is one thing as a whole; in all other files each line, or each document that
    spans lines, is read for itself, so that JSON and text may stand in one file. A document that
    wraps a list of alerts, as exports do, gives each of them. A table needs a header, and a name
    that says so (`.csv`, `.tsv`) or one of `columns` in its header; each row becomes an object.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if name != STDIN and _is_table(name, columns):
            yield from _rows(name)
            return
        with _open(name) as file:
            for record in _records(file):
                if record.text or record.error is not None:
                    yield record
                else:
                    yield from map(Record, alerts_in(record.payload))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: {error}") from error


def _is_table(name: str, columns: Collection[str]) -> bool:
    with _open(name) as file:
        lines = (file.readline(LONGEST_HEADER) for _ in range(10))  # blank ones may come first
        first = next((line for line in lines if line.strip(b" \t\r\n" + BOM)), b"")
    head = first.removeprefix(BOM).strip()
    if head.startswith((b"{", b"[", b"<")):
        return False
    header = header_of(head.decode("utf-8", "replace"))
    return bool(header) and (is_called_table(name) or not header.isdisjoint(columns))


def is_called_table(name: str) -> bool:
    """Whether a file's name says that it is a table."""
    return name.lower().removesuffix(".gz").endswith(TABLES)


def _rows(name: str) -> Iterator[Record]:
    for row in read_rows(name):
        if isinstance(row, ImportRowError):
            yield Record(b"", str(row))
        else:
            filled = {column: cell for column, cell in row[1].items() if cell.strip()}
            yield Record(msgspec.json.encode(filled))


def size(name: str) -> int | None:
    """The file's size in bytes; None for standard input."""
    return None if name == STDIN else Path(name).stat().st_size


def _open(name: str) -> IO[bytes]:
    if name == STDIN:
        piped = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115  # it stays open
        packed = piped.peek(2)[:2] == GZIP_MAGIC
        return gzip.open(piped, "rb") if packed else piped  # type: ignore[return-value]  # see below
    file = Path(name).open("rb")  # noqa: SIM115  # the caller closes it
    magic = file.read(2)
    file.seek(0)
    return gzip.open(file, "rb") if magic == GZIP_MAGIC else file  # type: ignore[return-value]  # GzipFile reads bytes as IO[bytes] does


def _records(file: IO[bytes]) -> Iterator[Record]:
    lines = iter(file)
    first = next((line for line in lines if line.strip(b" \t\r\n" + BOM)), b"")
    start = first.removeprefix(BOM).lstrip()
    if start.startswith(b"[") and _not_a_line_of_text(start):
        yield from _array(start + b"".join(lines))
    elif start.startswith(b"{") and not _is_json(start):
        yield from _documents(start + b"".join(lines))
    else:
        yield from _lines(start.startswith(b"{"), chain((start,), lines))


def _lines(json: bool, lines: Iterator[bytes]) -> Iterator[Record]:
    """A record for each line; `json`: the first of them is JSON."""
    for raw in lines:
        line = raw.removeprefix(BOM).strip()  # files that were put together have it inside
        if line == b"{":  # neither an alert nor text: a document that spans lines begins
            yield from _documents(b"{\n" + b"".join(lines))
        elif line:
            yield Record(line, text=_is_text(line, json))


def _is_text(line: bytes, json: bool) -> bool:
    """Whether a line is no JSON.

    Among JSON a line in braces that cannot be read, and one that is a string or a number, are
    mistakes, which somebody must hear of. Among text they are text like everything else.
    """
    if line.startswith(b"{"):
        return not json and not _is_json(line)
    return not (json and _is_json(line))


def _not_a_line_of_text(start: bytes) -> bool:
    """`[` opens an array unless the line is text such as `[2026-…] sshd …`."""
    inside = start[1:].lstrip()
    return not inside or inside[:1] in b'{["]' or _is_json(start)


def _array(content: bytes) -> Iterator[Record]:
    for part in elements(content):
        if isinstance(part, Broken):
            yield Record(
                b"", f"the JSON array cannot be read from character {part.place} on: {part.why}"
            )
        else:
            yield Record(part)


def _documents(content: bytes) -> Iterator[Record]:
    """JSON documents one after the other, however they are laid out, and lines of text between."""
    text = content.decode("utf-8", "surrogateescape")
    place = 0
    while place < len(text):
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        if place == len(text):
            return
        line = _line_at(text, place)
        if _is_text_between(line):
            yield Record(_bytes(line.strip()), text=True)
            place += len(line)
            continue
        try:
            _, end = DOCUMENTS.raw_decode(text, place)
        except (JSONDecodeError, RecursionError) as error:
            yield Record(b"", f"the JSON cannot be read at character {place}: {error}")
            further = _FURTHER.search(text, place)
            if further is None:
                return
            place = further.end()
            continue
        yield Record(_bytes(text[place:end]))
        place = end


def _line_at(text: str, place: int) -> str:
    end = text.find("\n", place)
    return text[place:] if end < 0 else text[place:end]


def _bytes(text: str) -> bytes:
    """As they stood in the file, also where they are no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _is_text_between(line: str) -> bool:
    """Whether a line where a document may begin is text; one in braces was meant as JSON."""
    start = _bytes(line.strip())
    if start.startswith(b"["):
        return not _not_a_line_of_text(start)
    return line[0] not in JSON_MARKS and not _is_json(start)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
