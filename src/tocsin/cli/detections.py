"""`tocsin detections`: what the authors of detections say of them, as a prior for triage."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from tocsin.app import open_store
from tocsin.cli.files import expand
from tocsin.cli.importing import Outcome, printable, report, write_all
from tocsin.cli.look import show_whole
from tocsin.errors import ImportRowError, InputError
from tocsin.knowledge.detections import read_detections
from tocsin.model import Detection
from tocsin.settings import Settings, load

LONGEST_CATALOGUE = 64

app = typer.Typer(
    no_args_is_help=True, help="Detection catalogues: what rules are worth, by their authors."
)

DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
Catalogue = Annotated[str | None, typer.Option(help="The catalogue's name.")]
AsNdjson = Annotated[bool, typer.Option("--ndjson", help="One JSON object per line.")]


@app.command("import")
def import_detections(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files or globs; - is standard input.")
    ],
    catalogue: Annotated[
        str | None,
        typer.Option(help="Whose they are; default: sigma or escu, told from their fields."),
    ] = None,
    database: DatabaseUrl = None,
) -> None:
    """Import Sigma rules or Splunk ESCU detections from YAML, JSON or JSON lines.

    Read are: id, title or name, level or risk score, type, status, ATT&CK techniques and the false
    positives that the authors state. Searches and conditions are not run. A detection whose
    catalogue and id are there is replaced. A running server knows them within seconds; an alert's
    rule is then looked up by its id or its name.

    \b
    Examples:
      tocsin detections import 'sigma/rules/**/*.yml'
      tocsin detections import detections.jsonl --catalogue our-rules

    Exit code 0: all are in; 1: some were refused; 2: a file cannot be used.
    """
    if catalogue is not None and not 0 < len(catalogue) <= LONGEST_CATALOGUE:
        raise InputError(f"--catalogue: 1 to {LONGEST_CATALOGUE} characters")
    names = expand(files)

    def rows() -> Iterator[tuple[str, Detection | ImportRowError]]:
        for name in names:
            for row in read_detections(name, catalogue):
                yield name, row

    outcome = asyncio.run(_import(load(database=database), rows()))
    report(outcome, "detections", ())


@app.command("list")
def list_detections(
    catalogue: Catalogue = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows to show.")] = 50,
    ndjson: AsNdjson = False,
    database: DatabaseUrl = None,
) -> None:
    """List detections in order of catalogue and id.

    Example: tocsin detections list --catalogue sigma --limit 20
    """
    found, total = asyncio.run(_first(load(database=database), limit, catalogue))
    if ndjson:
        for item in found:
            typer.echo(msgspec.json.encode(item).decode())
        return
    table = Table("catalogue", "id", "name", "level", "risk score", "kind", "status", box=None)
    for item in found:
        table.add_row(*[printable(cell) for cell in _cells(item)])
    show_whole(table)
    if len(found) < total:
        typer.echo(f"... {len(found)} of {total}; --limit shows more", err=True)


@app.command("show")
def show_detection(
    detection: Annotated[str, typer.Argument(metavar="ID|NAME", help="An id, or a whole name.")],
    ndjson: AsNdjson = False,
    database: DatabaseUrl = None,
) -> None:
    """Show what the catalogues say of one detection.

    Example: tocsin detections show "Suspicious Encoded Command"

    Exit code 0: it was found; 1: no catalogue has it.
    """
    found = asyncio.run(_find(load(database=database), detection))
    if not found:
        typer.echo(f"no catalogue has {printable(detection)}", err=True)
        raise typer.Exit(1)
    for item in found:
        if ndjson:
            typer.echo(msgspec.json.encode(item).decode())
            continue
        names = ("catalogue", "id", "name", "level", "risk score", "kind", "status")
        for name, cell in zip(names, _cells(item), strict=True):
            typer.echo(f"{name + ':':18}{printable(cell)}")
        typer.echo(f"{'techniques:':18}{printable(' '.join(item.techniques)) or '-'}")
        for cause in item.false_positives:
            typer.echo(f"{'false positive:':18}{printable(cause)}")


@app.command("remove")
def remove_catalogue(
    catalogue: Annotated[str, typer.Argument(help="From: tocsin detections list.")],
    database: DatabaseUrl = None,
) -> None:
    """Remove everything of one catalogue.

    Example: tocsin detections remove sigma

    Exit code 0: something was removed; 1: the catalogue had nothing.
    """
    removed = asyncio.run(_remove(load(database=database), catalogue))
    typer.echo(f"{removed} detections of {printable(catalogue)} removed")
    raise typer.Exit(0 if removed else 1)


def _cells(item: Detection) -> tuple[str, ...]:
    return (
        item.catalogue,
        item.detection_id,
        item.name,
        item.level.value if item.level else "-",
        "-" if item.risk_score is None else f"{item.risk_score:g}",
        item.kind.value,
        item.status.value if item.status else "-",
    )


async def _import(
    settings: Settings, rows: Iterator[tuple[str, Detection | ImportRowError]]
) -> Outcome:
    async with open_store(settings) as store:
        return await write_all(rows, store.detections.upsert)


async def _first(
    settings: Settings, limit: int, catalogue: str | None
) -> tuple[Sequence[Detection], int]:
    async with open_store(settings) as store:
        counts = await store.detections.count()
        total = sum(counts.values()) if catalogue is None else counts.get(catalogue, 0)
        return await store.detections.first(limit, catalogue), total


async def _find(settings: Settings, text: str) -> Sequence[Detection]:
    async with open_store(settings) as store:
        return await store.detections.find(text)


async def _remove(settings: Settings, catalogue: str) -> int:
    async with open_store(settings) as store:
        return await store.detections.remove_catalogue(catalogue)
