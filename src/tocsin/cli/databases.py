"""`tocsin db` and `tocsin doctor`: the database, and whether everything is well."""

import asyncio
import sys
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.app import Store, data_folder, open_store
from tocsin.cli.folder import running_server
from tocsin.errors import TocsinError
from tocsin.settings import Settings, load
from tocsin.store import migrate
from tocsin.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Look after the database.")

DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]


@app.command("upgrade")
def upgrade(database: DatabaseUrl = None) -> None:
    """Bring the database to this version's tables; safe to repeat."""
    before, after = asyncio.run(_upgrade(load(database=database)))
    typer.echo(
        f"database: {before or 'empty'} -> {after}"
        if before != after
        else f"database: {after}, nothing to do"
    )


def doctor(database: DatabaseUrl = None) -> None:
    """Check this installation: settings, data folder, database, counts.

    Exit code 1 if something needs attention.
    """
    settings = load(database=database)
    problems = 0
    typer.echo(f"tocsin {__version__}, Python {sys.version.split()[0]}")
    try:
        folder = data_folder(settings)
        typer.echo(f"ok    data folder {folder}")
        problems += asyncio.run(_examine(settings))
    except TocsinError as error:
        typer.echo(f"FAIL  {error}")
        problems += 1
    server = running_server(settings)
    typer.echo(
        f"ok    server at {server.url} (process {server.pid})"
        if server
        else "-     no server runs on this data folder (start one: tocsin up)"
    )
    raise typer.Exit(1 if problems else 0)


async def _upgrade(settings: Settings) -> tuple[str | None, str | None]:
    database = Database(settings.database_url)
    try:
        return await migrate.upgrade(database)
    finally:
        await database.close()


async def _examine(settings: Settings) -> int:
    async with open_store(settings) as store:
        typer.echo(
            f"ok    database {store.database.url.render_as_string(hide_password=True)} "
            f"at revision {await migrate.current(store.database)}"
        )
        return await _report(store)


async def _report(store: Store) -> int:
    counts = await store.balance.counts()
    kept = counts.triaged + counts.folded + counts.parked + counts.in_flight
    balanced = counts.received == kept
    typer.echo(
        f"{'ok   ' if balanced else 'FAIL '} balance: {counts.received} received = "
        f"{counts.triaged} triaged + {counts.folded} folded + {counts.parked} parked + "
        f"{counts.in_flight} in flight"
    )
    if counts.parked:
        typer.echo(f"WARN  {counts.parked} alerts are parked; see GET /api/v1/alerts?status=parked")
    indicators = await store.indicators.count()
    typer.echo(
        f"{'ok   ' if indicators else '-    '} intelligence: "
        f"{sum(indicators.values())} indicators from {len(indicators)} sources"
    )
    keys = await store.accounts.list_keys()
    typer.echo(f"{'ok   ' if keys else '-    '} API keys: {len(keys)}")
    return int(not balanced)
