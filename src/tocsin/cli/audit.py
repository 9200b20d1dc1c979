"""`tocsin audit`: check the audit trail, copy it, look at it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tocsin.app import open_database
from tocsin.audit_chain import AuditRow, Head
from tocsin.cli.importing import printable
from tocsin.cli.look import console, plain, table
from tocsin.errors import InputError
from tocsin.settings import Settings, load
from tocsin.store import migrate
from tocsin.store.audit_check import Checker, Report, places
from tocsin.store.audit_trail import AuditStore

PROGRESS_ROWS = 1000
WIDTHS = (27, 24, 24, 36, 72, 40)  # most characters of a column that a list shows

app = typer.Typer(no_args_is_help=True, help="The audit trail: check it, copy it, look at it.")

DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]


def _line(kind: str, part: type[Head | AuditRow]) -> type[msgspec.Struct]:
    """A line of an export: an object that says of which kind it is, with the fields of the part."""
    return msgspec.defstruct(
        part.__name__ + "Line",
        part.__annotations__.items(),
        frozen=True,
        tag=kind,
        tag_field="kind",
        forbid_unknown_fields=True,
    )


HeadLine, RowLine = _line("head", Head), _line("row", AuditRow)
_decoder = msgspec.json.Decoder(HeadLine | RowLine)
_encoder = msgspec.json.Encoder()


@app.command("verify")
def verify(
    database: DatabaseUrl = None,
    file: Annotated[
        Path | None, typer.Option(help="Check this export instead of a database.")
    ] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(help="An earlier export: what it holds must still be there, unchanged."),
    ] = None,
) -> None:
    """Check every row of the audit trail, and say where it was touched.

    The key that the hashes were made with is read from TOCSIN_AUDIT_KEY, where there is one.

    \b
    Examples:
      tocsin audit verify
      tocsin audit verify --anchor audit-2026-06.ndjson
      tocsin audit verify --file audit-2026-06.ndjson

    Exit code 0: intact; 1: tampered with, each broken place on a line; 2: cannot be read.
    """
    settings = load(database=database)
    anchors = [] if anchor is None else [p for p in _read(anchor) if isinstance(p, Head)]
    if file is not None:
        report = check_file(file, settings.audit_key.get_secret_value(), anchors)
    else:
        report = asyncio.run(_verify(settings, anchors))
    _show(report, keyed=bool(settings.audit_key.get_secret_value()))
    raise typer.Exit(0 if report.intact else 1)


@app.command("export")
def export(
    output: Annotated[Path | None, typer.Option(help="Default: standard output.")] = None,
    database: DatabaseUrl = None,
) -> None:
    """Write the whole audit trail as NDJSON: the heads of all chains, then their rows.

    Keep exports where who can write the database cannot; verify takes them with --file, and with
    --anchor to prove that nothing was cut off or written anew since.

    Example: tocsin audit export --output audit-2026-06.ndjson
    """
    settings = load(database=database)
    if output is None:
        asyncio.run(_export(settings, sys.stdout.buffer))
        return
    try:
        with output.open("wb") as target:
            count = asyncio.run(_export(settings, target))
    except OSError as error:
        raise InputError(f"{output}: {error.strerror}") from error
    typer.echo(f"{count} rows and heads in {output}")


@app.command("list")
def show(
    limit: Annotated[int, typer.Option(min=1, help="The most rows to show.")] = 50,
    subject: Annotated[
        str | None, typer.Option(help="Only about this: a key's id, an alert's, assets, alerts …")
    ] = None,
    database: DatabaseUrl = None,
) -> None:
    """List what was recorded last, newest first."""
    rows = asyncio.run(_newest(load(database=database), limit, subject))
    shown = table("when", "who", "what", "on", "detail", "chain", "row")
    for row in rows:
        texts = (row.logged_at, row.actor, row.action, row.subject, row.detail, row.writer)
        cells = (printable(text[:width]) for text, width in zip(texts, WIDTHS, strict=True))
        shown.add_row(*cells, str(row.sequence))
    console().print(shown)


@app.command("prune")
def prune(
    before: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC) that stays.")
    ],
    database: DatabaseUrl = None,
) -> None:
    """Remove the oldest part of the trail; what is left can still be verified.

    Export it first: what is removed cannot be brought back. That it was removed, by whom and up to
    where is recorded.

    Example: tocsin audit prune --before 2026-01-01
    """
    first = before.replace(tzinfo=UTC)
    removed = asyncio.run(_prune(load(database=database), first))
    typer.echo(f"{removed} rows removed" if removed else "nothing is that old")


async def _prune(settings: Settings, before: datetime) -> int:
    async with _trail(settings) as trail:
        return await trail.prune(before, "cli")


async def _verify(settings: Settings, anchors: Sequence[Head]) -> Report:
    async with _trail(settings) as trail:
        with _progress() as progress:
            task = progress.add_task("rows", total=None)
            return await trail.verify(anchors, lambda rows: progress.update(task, completed=rows))


async def _export(settings: Settings, target: IO[bytes]) -> int:
    count = 0

    def write(part: Head | AuditRow) -> None:
        nonlocal count
        count += 1
        line = HeadLine(*part) if isinstance(part, Head) else RowLine(*part)
        target.write(_encoder.encode(line) + b"\n")

    async with _trail(settings) as trail:
        await trail.export(write)
    return count


async def _newest(settings: Settings, limit: int, subject: str | None) -> list[AuditRow]:
    async with _trail(settings) as trail:
        return await trail.newest(limit, subject)


@asynccontextmanager
async def _trail(settings: Settings) -> AsyncIterator[AuditStore]:
    """The trail as it is: nothing is migrated, so that checking changes nothing."""
    database = open_database(settings)
    try:
        if await migrate.current(database) is None:
            raise InputError("the database has no tables of Tocsin (make them: tocsin db upgrade)")
        yield AuditStore(database, settings.audit_key.get_secret_value())
    finally:
        await database.close()


def check_file(file: Path, keys: str, anchors: Sequence[Head]) -> Report:
    """Check an export.

    Raises:
        InputError: the file cannot be read.
    """
    checker = Checker(keys, anchors)
    with _progress() as progress:
        task = progress.add_task("rows", total=None)
        for part in _read(file):
            if isinstance(part, Head):
                checker.head(part)
            elif isinstance(part, AuditRow):
                checker.row(part)
            else:
                checker.unreadable(part)
            if checker.rows % PROGRESS_ROWS == 0:
                progress.update(task, completed=checker.rows)
    return checker.report()


def _read(file: Path) -> Iterator[Head | AuditRow | str]:
    """Heads and rows; for a line that is neither, where it stands.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = _decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    yield f"line {number} of the export"
                    continue
                values = msgspec.structs.astuple(found)
                yield Head(*values) if isinstance(found, HeadLine) else AuditRow(*values)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error


def _show(report: Report, *, keyed: bool) -> None:
    for line in places(report.findings):
        typer.echo(plain(line))
    if report.further:
        typer.echo(f"… and {report.further} more")
    counted = table("chain", "rows", "removed by retention")
    for chain in report.chains:
        counted.add_row(plain(chain.writer), str(chain.rows), str(chain.pruned))
    console().print(counted)
    if report.foreign:
        hint = "another key than this one" if keyed else "a key: set TOCSIN_AUDIT_KEY"
        typer.echo(f"not one hash is right: perhaps they were made with {hint}", err=True)
    if report.unkeyed:
        typer.echo(f"{report.unkeyed} rows carry no key's hash: written before it was set")
    found = len(report.findings) + report.further
    verdict = "intact" if report.intact else f"TAMPERED WITH ({found} findings)"
    typer.echo(f"{verdict}: {report.rows} rows in {len(report.chains)} chains")


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.completed} rows"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
