"""`tocsin assets`, `tocsin users` and `tocsin intel`: bring in what triage should know."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from tocsin.app import open_store
from tocsin.cli.files import expand
from tocsin.cli.importing import Outcome, R, printable, report, write_all
from tocsin.cli.look import show_whole
from tocsin.errors import ImportRowError, InputError
from tocsin.intel import FORMATS, parse_ttl, read_indicators
from tocsin.knowledge.directory import ASSET_COLUMNS, USER_COLUMNS, Cells, asset_of, user_of
from tocsin.knowledge.tabular import Columns, read_rows
from tocsin.model import AssetRecord, Indicator, ThreatLevel, Tlp, UserRecord
from tocsin.settings import Settings, load

assets_app = typer.Typer(no_args_is_help=True, help="The inventory: machines that alerts name.")
users_app = typer.Typer(no_args_is_help=True, help="The directory: accounts that alerts name.")
intel_app = typer.Typer(no_args_is_help=True, help="Threat intelligence: known indicators.")

Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Files or globs; - is standard input.")
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="THEIRS=OURS", help="The column THEIRS holds our OURS; repeat."),
]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
Limit = Annotated[int, typer.Option(min=1, help="The most rows to show.")]
AsNdjson = Annotated[bool, typer.Option("--ndjson", help="One JSON object per line.")]


@assets_app.command("import")
def import_assets(files: Files, maps: Maps = None, database: DatabaseUrl = None) -> None:
    """Import assets from CSV, JSON or NDJSON, plain or gzip; an asset that is there is replaced.

    \b
    Our columns: asset_id hostname ip type os owner department location environment
                 criticality (critical high medium low, or 5 to 1) exposed tags
    Usual other names (id, host, computer, ip_address, business_unit ...) are understood.

    \b
    Examples:
      tocsin assets import assets.csv
      tocsin assets import cmdb.json --map ci_name=hostname --map tier=criticality
      zcat export.csv.gz | tocsin assets import -

    Exit code 0: all rows are in; 1: some were refused; 2: a file cannot be used.
    """
    columns = Columns(ASSET_COLUMNS, _mapping(maps))
    rows = _records(expand(files), columns, asset_of)
    outcome = asyncio.run(_import_inventory(load(database=database), rows, users=False))
    report(outcome, "assets", columns.ignored)


@users_app.command("import")
def import_users(files: Files, maps: Maps = None, database: DatabaseUrl = None) -> None:
    """Import users from CSV, JSON or NDJSON, plain or gzip; a user that is there is replaced.

    \b
    Our columns: user_id user_name email full_name department title manager
                 privileged (yes/no) enabled (yes/no) tags
    Usual other names (samAccountName, login, mail, displayName, is_admin ...) are understood.

    \b
    Examples:
      tocsin users import users.csv
      tocsin users import ad.csv --map "Logon Name=user_name" --map Tier0=privileged

    Exit code 0: all rows are in; 1: some were refused; 2: a file cannot be used.
    """
    columns = Columns(USER_COLUMNS, _mapping(maps))
    rows = _records(expand(files), columns, user_of)
    outcome = asyncio.run(_import_inventory(load(database=database), rows, users=True))
    report(outcome, "users", columns.ignored)


@intel_app.command("import")
def import_indicators(
    files: Files,
    source: Annotated[str, typer.Option(help="Who says so, e.g. the feed's name.")],
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=f"One of: {' '.join(FORMATS)}.")
    ] = "auto",
    level: Annotated[ThreatLevel | None, typer.Option(help="For rows that say none.")] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="For rows that say none; default 0.7.")
    ] = None,
    tlp: Annotated[Tlp, typer.Option(help="For rows that say none.")] = Tlp.AMBER,
    ttl: Annotated[
        str | None, typer.Option(help="Expiry of rows that say none: 12h, 90d, 1y.")
    ] = None,
    maps: Maps = None,
    database: DatabaseUrl = None,
) -> None:
    """Import indicators: addresses, networks, domains, URLs, hashes, e-mail addresses.

    A running server knows them within seconds. The same indicator of the same source is updated.

    \b
    Examples:
      tocsin intel import blocklist.txt --source our-blocklist --level medium --ttl 30d
      tocsin intel import feed.csv --source partner --map indicator_value=value
      tocsin intel import bundle.json --source cert --format stix
      tocsin intel import 'misp/*.json' --source misp

    Exit code 0: all rows are in; 1: some were refused; 2: a file cannot be used.
    """
    lifetime = None if ttl is None else parse_ttl(ttl)
    mapping = _mapping(maps)

    def rows() -> Iterator[tuple[str, Indicator | ImportRowError]]:
        for name in expand(files):
            for row in read_indicators(
                name,
                source=source,
                format=form,
                level=level,
                confidence=confidence,
                tlp=tlp,
                ttl=lifetime,
                columns=mapping,
            ):
                yield name, row

    outcome = asyncio.run(_import_indicators(load(database=database), rows()))
    report(outcome, "indicators", ())


@assets_app.command("list")
def list_assets(limit: Limit = 50, ndjson: AsNdjson = False, database: DatabaseUrl = None) -> None:
    """List the inventory's first assets."""
    names = ("asset_id", "hostname", "ip", "type", "criticality", "exposed", "owner", "tags")
    _show(*asyncio.run(_list(load(database=database), limit, users=False)), names, ndjson)


@users_app.command("list")
def list_users(limit: Limit = 50, ndjson: AsNdjson = False, database: DatabaseUrl = None) -> None:
    """List the directory's first users."""
    names = ("user_id", "user_name", "email", "department", "privileged", "enabled", "tags")
    _show(*asyncio.run(_list(load(database=database), limit, users=True)), names, ndjson)


@intel_app.command("sources")
def list_sources(database: DatabaseUrl = None) -> None:
    """List who said something, and how many indicators each has, expired ones included."""
    counts = asyncio.run(_sources(load(database=database)))
    table = Table("source", "indicators", box=None)
    for source, count in sorted(counts.items()):
        table.add_row(printable(source), str(count))
    show_whole(table)


@intel_app.command("remove")
def remove_source(
    source: Annotated[str, typer.Argument(help="From: tocsin intel sources.")],
    database: DatabaseUrl = None,
) -> None:
    """Remove everything that one source said.

    Exit code 0: something was removed; 1: the source had nothing.
    """
    removed = asyncio.run(_remove(load(database=database), source))
    typer.echo(f"{removed} indicators of {printable(source)} removed")
    raise typer.Exit(0 if removed else 1)


def _mapping(maps: Sequence[str] | None) -> dict[str, str]:
    mapping = {}
    for item in maps or ():
        theirs, separator, ours = item.rpartition("=")
        if not separator or not theirs.strip() or not ours.strip():
            raise InputError(f"--map {item}: write --map THEIR_COLUMN=OUR_COLUMN")
        mapping[theirs.strip()] = ours.strip()
    return mapping


def _records(
    names: Sequence[str], columns: Columns, record: Callable[[int, Cells], R]
) -> Iterator[tuple[str, R | ImportRowError]]:
    for name in names:
        for row in read_rows(name):
            if isinstance(row, ImportRowError):
                yield name, row
                continue
            try:
                yield name, record(row[0], columns.fields(row[1]))
            except ImportRowError as error:
                yield name, error


async def _import_inventory(
    settings: Settings, rows: Iterable[tuple[str, Any]], *, users: bool
) -> Outcome:
    async with open_store(settings) as store:
        write = store.inventory.upsert_users if users else store.inventory.upsert_assets
        return await write_all(rows, write)


async def _import_indicators(
    settings: Settings, rows: Iterable[tuple[str, Indicator | ImportRowError]]
) -> Outcome:
    async with open_store(settings) as store:

        async def write(indicators: Sequence[Indicator]) -> tuple[int, int]:
            return 0, await store.indicators.upsert(indicators)

        before = sum((await store.indicators.count()).values())
        outcome = await write_all(rows, write)
        outcome.inserted = sum((await store.indicators.count()).values()) - before
        outcome.updated -= outcome.inserted
        return outcome


async def _list(
    settings: Settings, limit: int, *, users: bool
) -> tuple[Sequence[AssetRecord | UserRecord], int]:
    async with open_store(settings) as store:
        counts = await store.inventory.counts()
        if users:
            return await store.inventory.list_users(limit), counts.users
        return await store.inventory.list_assets(limit), counts.assets


async def _sources(settings: Settings) -> dict[str, int]:
    async with open_store(settings) as store:
        return await store.indicators.count()


async def _remove(settings: Settings, source: str) -> int:
    async with open_store(settings) as store:
        return await store.indicators.remove_source(source)


def _show(
    records: Sequence[AssetRecord | UserRecord], total: int, names: Sequence[str], ndjson: bool
) -> None:
    if ndjson:
        for record in records:
            typer.echo(msgspec.json.encode(record).decode())
        return
    table = Table(*names, box=None)
    for record in records:
        table.add_row(*[_cell(getattr(record, name)) for name in names])
    show_whole(table)
    if len(records) < total:
        typer.echo(f"... {len(records)} of {total}; --limit shows more", err=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return printable(" ".join(value)) or "-"
    return printable(str(value))
