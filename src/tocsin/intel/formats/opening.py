"""Indicator files as lines or as JSON: a path or a stream, compressed or not, UTF-8 or UTF-16."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from tocsin.errors import InputError

MAX_LINE = 64 * 1024
SAMPLE = 64 * 1024
_GZIP = b"\x1f\x8b"
_READ_ERRORS = (OSError, EOFError, zlib.error)


class IndicatorFile:
    """An opened file: `sample` is its beginning; `lines` or `json` may be read once."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        head = _read(stream, len(_GZIP), name)
        content: Any = _Rejoined(head, stream)
        if head == _GZIP:
            content = gzip.GzipFile(fileobj=io.BufferedReader(content))
        beginning = _read(content, SAMPLE, name)
        self._encoding = "utf-16" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        self.sample = beginning.decode(self._encoding, errors="replace")
        self._text = io.TextIOWrapper(
            io.BufferedReader(_Rejoined(beginning, content)), self._encoding, errors="replace"
        )

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbered lines without their ends; one beyond 64 KiB comes empty.

        Raises:
            InputError: the compressed data are damaged or the disk fails.
        """
        number = 0
        cut = False
        while True:
            try:
                line = self._text.readline(MAX_LINE)
            except _READ_ERRORS as error:
                raise InputError(f"cannot read {self.name} to its end: {error}") from error
            if not line:
                return
            ended = line.endswith("\n")
            if cut:
                cut = not ended
                continue
            number += 1
            cut = not ended and len(line) >= MAX_LINE
            yield number, "" if cut else line.rstrip("\n")

    def json(self) -> Any:
        """The whole file as one JSON value.

        Raises:
            InputError: it is no JSON, or it cannot be read.
        """
        try:
            return msgspec.json.decode(self._text.read().encode("utf-8", errors="replace"))
        except _READ_ERRORS as error:
            raise InputError(f"cannot read {self.name} to its end: {error}") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(f"{self.name} is not JSON: {error}") from error


class _Rejoined(io.RawIOBase):
    """Bytes that were read already, followed by the rest of their stream."""

    def __init__(self, head: bytes, stream: Any) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        chunk = self._head[:size] if self._head else self._stream.read(size)
        self._head = self._head[size:]
        buffer[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def opened(file: Path | str | BinaryIO) -> Iterator[IndicatorFile]:
    """Open a path (`-` is standard input) or take a binary stream, which stays open.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if not isinstance(file, str | Path):
        yield IndicatorFile(file, "the stream")
    elif str(file) == "-":
        yield IndicatorFile(sys.stdin.buffer, "standard input")
    else:
        try:
            stream = Path(file).open("rb")  # noqa: SIM115 - closed below
        except (OSError, ValueError) as error:
            raise InputError(f"cannot open {file}: {error}") from error
        with stream:
            yield IndicatorFile(stream, str(file))


def _read(stream: Any, size: int, name: str) -> bytes:
    """Up to `size` bytes; fewer only at the end of the stream."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part: bytes = stream.read(size)
        except _READ_ERRORS as error:
            raise InputError(f"cannot read {name}: {error}") from error
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
