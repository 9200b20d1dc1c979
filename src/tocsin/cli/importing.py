"""How an import runs: rows are written by the thousand, refused ones are counted and shown."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tocsin.errors import ImportRowError
from tocsin.model import AssetRecord, Detection, Indicator, UserRecord

R = TypeVar("R", AssetRecord, UserRecord, Indicator, Detection)

ROWS_PER_WRITE = 1000
ERRORS_SHOWN = 20


@dataclass(slots=True)
class Outcome:
    """What became of the rows of an import."""

    inserted: int = 0
    updated: int = 0
    refused: int = 0
    complaints: list[str] = field(default_factory=list)

    def refuse(self, name: str, error: ImportRowError) -> None:
        """Count a refused row, and remember the first few."""
        self.refused += 1
        if len(self.complaints) < ERRORS_SHOWN:
            self.complaints.append(f"{name}: {error}")


async def write_all(
    rows: Iterable[tuple[str, R | ImportRowError]],
    write: Callable[[Sequence[R]], Awaitable[tuple[int, int]]],
) -> Outcome:
    """Write the rows a thousand at a time; a bar on a terminal shows how far it is."""
    outcome = Outcome()
    waiting: list[R] = []
    progress = Progress(
        TextColumn("{task.completed} rows"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )

    async def flush() -> None:
        if waiting:
            inserted, updated = await write(waiting)
            outcome.inserted += inserted
            outcome.updated += updated
            waiting.clear()

    with progress:
        task = progress.add_task("rows", total=None)
        for name, row in rows:
            progress.advance(task)
            if isinstance(row, ImportRowError):
                outcome.refuse(name, row)
                continue
            waiting.append(row)
            if len(waiting) >= ROWS_PER_WRITE:
                await flush()
        await flush()
    return outcome


def report(outcome: Outcome, what: str, ignored: Iterable[str]) -> None:
    """Say what became of the rows, and leave with 0, or 1 when some were refused.

    Refused rows and columns that nobody used go to standard error.
    """
    for complaint in outcome.complaints:
        typer.echo(printable(complaint), err=True)
    if outcome.refused > len(outcome.complaints):
        typer.echo(f"... and {outcome.refused - len(outcome.complaints)} more", err=True)
    if names := sorted(ignored):
        typer.echo(f"columns not used: {printable(', '.join(names))}", err=True)
    typer.echo(
        f"{what}: {outcome.inserted} inserted, {outcome.updated} updated, {outcome.refused} refused"
    )
    raise typer.Exit(1 if outcome.refused else 0)


def printable(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
