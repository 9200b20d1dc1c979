"""`tocsin send`: files through the front door."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec
import typer
from rich.progress import Progress, TaskID

from tocsin.cli import files, folder
from tocsin.cli.look import plain, progress
from tocsin.errors import InputError
from tocsin.http import HttpClient, Reply
from tocsin.settings import Settings, load

ABREAST = 4
BATCH_BYTES = 4 * 1024 * 1024
SHOWN_ERRORS = 20
TOO_LARGE = 413
T = TypeVar("T")
UNREADABLE = b'"unreadable"'


class _Sent(msgspec.Struct, frozen=True):
    index: int
    status: str
    error: dict[str, str] | None = None


class _Receipt(msgspec.Struct, frozen=True):
    alerts: list[_Sent]


class _Problem(msgspec.Struct, frozen=True):
    detail: str


@dataclass(slots=True)
class Tally:
    """What the server said so far."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)


def send(
    file: Annotated[list[str], typer.Argument(help="Files, globs or - for standard input.")],
    source: Annotated[
        str | None, typer.Option(help="Name of the source; detected if left out.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Server; default TOCSIN_URL.")] = None,
    key: Annotated[str | None, typer.Option(help="API key; default TOCSIN_KEY.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=5000, help="Alerts in a request.")] = 500,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a server that is busy or away.")
    ] = 120.0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Send from the start, not from where it broke off.")
    ] = False,
) -> None:
    """Send alerts to a running Tocsin: JSON arrays, NDJSON, JSON documents, text lines, gzip.

    A busy server is waited for. A run that broke off goes on where it was; sending the same alert
    twice does no harm. Exit code 1 if the server refused any alert.

    Example: tocsin send samples/*.ndjson
    Example: tail -f eve.json | tocsin send - --source suricata --batch 1
    """
    settings = load(url=url, key=key)
    tally = asyncio.run(_send(settings, files.expand(file), source, batch, patience, restart))
    typer.echo(f"accepted {tally.accepted}, duplicates {tally.duplicates}, refused {tally.refused}")
    for error in tally.errors[:SHOWN_ERRORS]:
        typer.echo(plain(error), err=True)
    if len(tally.errors) > SHOWN_ERRORS:
        typer.echo(f"… and {len(tally.errors) - SHOWN_ERRORS} more", err=True)
    raise typer.Exit(1 if tally.refused else 0)


async def _send(
    settings: Settings,
    names: list[str],
    source: str | None,
    batch: int,
    patience: float,
    restart: bool,
) -> Tally:
    tally = Tally()
    url = folder.server_url(settings)
    headers = {"Authorization": f"Bearer {folder.client_key(settings)}"}
    path = "/api/v1/alerts" + (f"?source={quote(source)}" if source else "")
    async with HttpClient(url, settings, headers=headers, patience=patience) as client:
        with progress() as bar:
            for name in names:
                mark = Bookmark(settings, name, f"{url}{path}", restart)
                task = bar.add_task(f"send {Path(name).name}", total=None)
                await _send_file(client, path, name, batch, mark, tally, bar, task)
    return tally


async def _send_file(
    client: HttpClient,
    path: str,
    name: str,
    batch: int,
    mark: "Bookmark",
    tally: Tally,
    bar: Progress,
    task: TaskID,
) -> None:
    done = mark.read()
    if done:
        typer.echo(f"{name}: going on after {done} alerts", err=True)
        bar.advance(task, done)
    portions = _portions(islice(files.read(name), done, None), batch)
    while window := list(islice(portions, ABREAST)):
        replies = await asyncio.gather(*(_post(client, path, portion) for portion in window))
        for portion, reply in zip(window, replies, strict=True):
            _count(f"{name}: alert", done, portion, reply, tally)
            done += len(portion)
            bar.advance(task, len(portion))
        mark.write(done)
    mark.remove()


async def _post(client: HttpClient, path: str, portion: list[files.Record]) -> Reply:
    text = portion[0].text
    body = b"\n".join(_line(record) for record in portion)
    kind = "text/plain; charset=utf-8" if text else "application/x-ndjson"
    return await client.post(path, body, {"Content-Type": kind})


def _portions(records: Iterator[files.Record], batch: int) -> Iterator[list[files.Record]]:
    portion: list[files.Record] = []
    size = 0
    for record in records:
        full = len(portion) >= batch or size + len(record.payload) > BATCH_BYTES
        if portion and (full or portion[0].text != record.text):
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += len(record.payload)
    if portion:
        yield portion


def _line(record: files.Record) -> bytes:
    """One line of a body; what is no alert has a place in it, so that numbers agree.

    Not as it is: a line that begins with a bracket would make an array of the whole body.
    """
    if record.error is not None or not (record.text or record.payload.startswith(b"{")):
        return UNREADABLE
    return record.payload.replace(b"\r", b" ").replace(b"\n", b" ")


def _count(label: str, start: int, portion: list[files.Record], reply: Reply, tally: Tally) -> None:
    receipt = _read(reply.body, _Receipt)
    if receipt is None:
        if reply.status == TOO_LARGE and len(portion) == 1:
            tally.refused += 1
            tally.errors.append(f"{label} {start}: {len(portion[0].payload)} bytes are too many")
            return
        told = _read(reply.body, _Problem)
        detail = told.detail if told else repr(reply.body[:200])
        raise InputError(f"the server answered {reply.status}: {detail}")
    if sorted(sent.index for sent in receipt.alerts) != list(range(len(portion))):
        raise InputError(
            f"the server answered {reply.status} for {len(receipt.alerts)} alerts where "
            f"{len(portion)} were sent; is it a Tocsin?"
        )
    for sent in receipt.alerts:
        if sent.status == "accepted":
            tally.accepted += 1
        elif sent.status == "duplicate":
            tally.duplicates += 1
        else:
            tally.refused += 1
            why = portion[sent.index].error or (sent.error or {}).get("detail", sent.status)
            tally.errors.append(f"{label} {start + sent.index}: {why}")


def _read(body: bytes, kind: type[T]) -> T | None:
    """The answer, if it is of this kind; whatever stands before the server may answer too."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class Bookmark:
    """How many alerts of a file a server has answered for; kept in the data folder."""

    def __init__(self, settings: Settings, name: str, target: str, restart: bool) -> None:
        self._path: Path | None = None
        if name == files.STDIN:
            return
        state = Path(name).stat()
        identity = f"{Path(name).resolve()}|{state.st_size}|{state.st_mtime_ns}|{target}"
        digest = blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        self._path = settings.data / "sends" / digest
        if restart:
            self.remove()

    def read(self) -> int:
        """Alerts answered so far."""
        try:
            return int(self._path.read_text()) if self._path else 0
        except (OSError, ValueError):
            return 0

    def write(self, done: int) -> None:
        """Remember."""
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(str(done))

    def remove(self) -> None:
        """The file has been sent."""
        if self._path:
            self._path.unlink(missing_ok=True)
