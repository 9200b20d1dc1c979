"""`tocsin watch`: verdicts as they come."""

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from tocsin.app import Store, open_store
from tocsin.cli.look import LEVEL_STYLE, console, plain, table
from tocsin.settings import Settings, load
from tocsin.store.balance import Counts
from tocsin.store.queries import AlertFilter, AlertSummary

POLL_SECONDS = 0.1


class Sort(StrEnum):
    """Which verdicts to show."""

    NEWEST = "newest"
    RISKIEST = "riskiest"


def watch(
    rows: Annotated[int, typer.Option(min=1, max=500, help="Verdicts to show.")] = 20,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    sort: Annotated[
        Sort, typer.Option(help="Which verdicts: the newest or the riskiest.")
    ] = Sort.NEWEST,
    once: Annotated[bool, typer.Option("--once", help="Show once and end.")] = False,
    settled: Annotated[
        bool, typer.Option("--settled", help="Wait until nothing is in flight, show once and end.")
    ] = False,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
) -> None:
    """Show verdicts, live. Ctrl-C ends it; piped, it shows them once."""
    once = once or settled or not sys.stdout.isatty()
    try:
        asyncio.run(_watch(load(database=database), rows, every, sort, once, settled))
    except KeyboardInterrupt:
        raise typer.Exit from None


async def _watch(
    settings: Settings, rows: int, every: float, sort: Sort, once: bool, settled: bool
) -> None:
    screen = console()
    async with open_store(settings) as store:
        while settled and await store.dossiers.in_flight():
            await asyncio.sleep(POLL_SECONDS)
        if once:
            screen.print(await _look(store, rows, sort))
            return
        with Live(console=screen, auto_refresh=False, screen=False) as live:
            while True:
                live.update(await _look(store, rows, sort), refresh=True)
                await asyncio.sleep(every)


async def _look(store: Store, rows: int, sort: Sort) -> Table:
    if sort is Sort.RISKIEST:
        page = await store.queries.page(AlertFilter(), sort="risk_score", limit=rows)
        return _table(page.alerts, await store.balance.counts())
    return _table(await store.queries.newest(rows), await store.balance.counts())


def _table(alerts: Sequence[AlertSummary], counts: Counts) -> Table:
    shown = table("received", "risk", "verdict", "source", "host", "user", "title", "alert")
    shown.title = (
        f"{counts.received} received, {counts.triaged} triaged, {counts.folded} folded, "
        f"{counts.parked} parked, {counts.in_flight} in flight"
    )
    for alert in alerts:
        level = alert.risk_level.value if alert.risk_level else "info"
        shown.add_row(
            alert.received_at.strftime("%H:%M:%S"),
            f"{alert.risk_score or 0:5.1f} {level}",
            alert.verdict.value if alert.verdict else "-",
            plain(alert.source or "-"),
            plain(alert.host_name or alert.asset_id or "-"),
            plain(alert.user_name or "-"),
            plain(alert.title or "-")[:60],
            alert.alert_id,
            style=LEVEL_STYLE[level],
        )
    return shown
