"""`tocsin db` and `tocsin doctor`: the database, and whether everything is well."""

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.app import Store, data_folder, open_broker, open_database, open_store
from tocsin.cli.folder import running_server
from tocsin.cli.look import plain, progress
from tocsin.errors import InputError, TocsinError
from tocsin.model import AlertStatus
from tocsin.ports import DEAD_LETTERS
from tocsin.settings import Settings, load, settings_file
from tocsin.store import migrate

NOTHING = "nothing is that old"
DONE = (AlertStatus.TRIAGED, AlertStatus.FOLDED, AlertStatus.CLOSED)
SHOWN = 10  # of many that are alike

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


@app.command("retention")
def retention(
    older_than: Annotated[
        str, typer.Option(help="Age since receipt: 90d, 36h, 12w …", metavar="AGE")
    ],
    status: Annotated[
        list[AlertStatus] | None,
        typer.Option(help="Only alerts of this status; repeat for several. Default: all done."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    database: DatabaseUrl = None,
) -> None:
    """Delete old alerts and all that was found about them.

    Alerts in flight or parked stay whatever their age. Their ids stay known, so the same alert
    sent again is not triaged twice.

    Example: tocsin db retention --older-than 90d --status triaged --dry-run
    """
    statuses = list(dict.fromkeys(status or DONE))
    if waiting := [one.value for one in statuses if one not in DONE]:
        raise InputError(f"{' and '.join(waiting)} alerts stay whatever their age")
    before = _before(older_than)
    asyncio.run(_retain(load(database=database), before, statuses, dry_run))


@app.command("recount")
def recount(database: DatabaseUrl = None) -> None:
    """Count anew how earlier alerts were decided, from the decisions themselves.

    The counts move with each decision; this is for a database that somebody has worked on by hand,
    or that was restored from parts. Alerts and decisions stay as they are.

    Example: tocsin db recount
    """
    rows, wrong = asyncio.run(_recount(load(database=database)))
    typer.echo(f"{rows} counts, of which {wrong} {'was' if wrong == 1 else 'were'} wrong")


def doctor(database: DatabaseUrl = None) -> None:
    """Check this installation: settings, data folder, database, broker, counts.

    Exit code 1 if something needs attention.
    """
    settings = load(database=database)
    problems = 0
    typer.echo(f"tocsin {__version__}, Python {sys.version.split()[0]}")
    file = settings_file()
    told = f"ok    settings file {file}" if file.exists() else f"-     no settings file {file}"
    typer.echo(plain(told))
    try:
        folder = data_folder(settings)
        typer.echo(f"ok    data folder {folder}")
        problems += asyncio.run(_examine(settings))
    except TocsinError as error:
        typer.echo(f"FAIL  {plain(str(error))}")
        problems += 1
    if not settings.broker.startswith("memory:"):
        problems += asyncio.run(_examine_broker(settings))
    server = running_server(settings)
    typer.echo(
        f"ok    server at {server.url} (process {server.pid})"
        if server
        else "-     no server runs on this data folder (start one: tocsin up)"
    )
    raise typer.Exit(1 if problems else 0)


async def _retain(
    settings: Settings, before: datetime, statuses: list[AlertStatus], dry_run: bool
) -> None:
    async with open_store(settings) as store:
        expired = await store.retention.preview(before, statuses)
        total = sum(found.alerts for found in expired)
        for found in expired:
            typer.echo(f"{found.month} {found.status.value}: {found.alerts} alerts")
        if dry_run or not expired:
            would = f"{total} alerts would go; nothing was deleted" if total else NOTHING
            typer.echo(would)
            return
        deleted = 0
        with progress() as bar:
            task = bar.add_task("delete", total=total)
            async for count in store.retention.purge(before, statuses):
                deleted += count
                bar.advance(task, count)
        typer.echo(f"deleted {deleted} alerts")


async def _recount(settings: Settings) -> tuple[int, int]:
    async with open_store(settings) as store:
        return await store.decision_counts.recount()


def _before(text: str) -> datetime:
    """The moment so long ago.

    Raises:
        InputError: the text is no age, or there was no such moment.
    """
    found = re.fullmatch(r"(\d{1,6})\s*([hdw])", text.strip().lower(), re.ASCII)
    if found is None:
        raise InputError(f"--older-than {text}: give a number and h, d or w, such as 90d")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    try:
        return datetime.now(UTC) - timedelta(**{unit: int(found[1])})
    except OverflowError as error:
        raise InputError(f"--older-than {text}: nothing can be that old") from error


async def _upgrade(settings: Settings) -> tuple[str | None, str | None]:
    database = open_database(settings)
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


async def _examine_broker(settings: Settings) -> int:
    try:
        async with open_broker(settings) as bus:
            dead = await bus.dead()
    except TocsinError as error:
        typer.echo(f"FAIL  {plain(str(error))}")
        return 1
    typer.echo("ok    broker")
    if dead:
        typer.echo(
            f"WARN  {dead} envelopes were given out too often and lie in {DEAD_LETTERS}; the "
            "sweeper rings for their alerts: see why workers end, then: tocsin queue replay"
        )
    return 0


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
    following = await store.balance.follow_ups()
    if following.parked:
        typer.echo(
            f"WARN  {following.parked} follow-ups are parked (their alerts are triaged); try one "
            "again: POST /api/v1/alerts/ID/retry"
        )
        for alert_id in await store.balance.parked_follow_ups(SHOWN):
            typer.echo(f"      {alert_id}")
    indicators = await store.indicators.count()
    typer.echo(
        f"{'ok   ' if indicators else '-    '} intelligence: "
        f"{sum(indicators.values())} indicators from {len(indicators)} sources"
    )
    keys = await store.accounts.list_keys()
    typer.echo(f"{'ok   ' if keys else '-    '} API keys: {len(keys)}")
    return int(not balanced)
