"""How the command line looks: on a terminal in colour, piped as plain text."""

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

PIPED_WIDTH = 240
WHOLE_WIDTH = 400
LEVEL_STYLE = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}


def console(*, stderr: bool = False) -> Console:
    """Standard output or error: the terminal's width, or lines as long as they are when piped."""
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        width=PIPED_WIDTH if piped else None, markup=False, highlight=False, stderr=stderr
    )


def table(*columns: str) -> Table:
    """A borderless table whose rows stay on one line."""
    made = Table(box=None, pad_edge=False)
    for name in columns:
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    return made


def show_whole(shown: Table) -> None:
    """Print a table of which nothing is cut: folded on a terminal, on long lines when piped."""
    terminal = sys.stdout.isatty()
    width = None if terminal else WHOLE_WIDTH
    Console(soft_wrap=not terminal, width=width, markup=False).print(shown)


def progress() -> Progress:
    """A progress bar on standard error; silent when that is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("alerts"),
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False, highlight=False),
        disable=not sys.stderr.isatty(),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a file must not go to the terminal
    )


def plain(text: str) -> str:
    """Text from an alert, made safe for a terminal: no control characters."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
