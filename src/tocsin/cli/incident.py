"""`tocsin incident`: alerts that belong together, and what to do with them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer

from tocsin.app import Store, open_store
from tocsin.cli.decide import actor
from tocsin.cli.look import LEVEL_STYLE, console, plain, table
from tocsin.model import IncidentStatus
from tocsin.settings import load
from tocsin.store.incident_pages import IncidentDetail, IncidentFilter, IncidentPage

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="List, read and change incidents: alerts that belong together.\n\n"
    "Example: tocsin incident list\n\n"
    "Example: tocsin incident split INCIDENT ALERT ALERT --reason 'another attacker'",
)

Database = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history and the audit trail.")]
Id = Annotated[str, typer.Argument(help="From: tocsin incident list.", metavar="INCIDENT")]
Alerts = Annotated[list[str], typer.Argument(help="Ids of alerts.", metavar="ALERT...")]
WHY = 3  # links of an alert that are shown


@app.command("list")
def show(
    status: Annotated[IncidentStatus | None, typer.Option(help="Only these.")] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="Also those that were merged into others.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, max=500, help="Incidents to show.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    database: Database = None,
) -> None:
    """List incidents, the one that changed last first.

    Example: tocsin incident list --status open
    """
    wanted = IncidentFilter(status, merged=merged)
    page = run_on_store(database, lambda store: store.incident_pages.page(wanted, limit=rows))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(page) + b"\n")
        return
    _list(page)


@app.command("show")
def read(
    incident: Id,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    database: Database = None,
) -> None:
    """Show one incident: its timeline, why each alert belongs to it, what they share.

    Example: tocsin incident show INCIDENT
    """
    detail = run_on_store(database, lambda store: store.incident_pages.detail(incident))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(detail) + b"\n")
        return
    _detail(detail)


@app.command("split")
def split(incident: Id, alerts: Alerts, reason: Reason = "", database: Database = None) -> None:
    """Split alerts off into an incident of their own; prints its id.

    Example: tocsin incident split INCIDENT ALERT --reason 'not the same attacker'
    """
    typer.echo(
        run_on_store(
            database,
            lambda store: store.incidents.split(incident, alerts, actor=actor(), reason=reason),
        )
    )


@app.command("merge")
def merge(
    incident: Id,
    other: Annotated[str, typer.Argument(help="Whose alerts it takes over.", metavar="OTHER")],
    reason: Reason = "",
    database: Database = None,
) -> None:
    """Take over another incident's alerts, and close that one.

    Example: tocsin incident merge INCIDENT OTHER --reason 'same actor'
    """
    run_on_store(
        database, lambda s: s.incidents.merge(incident, other, actor=actor(), reason=reason)
    )
    typer.echo(f"merged {other} into {incident}; to take it back: tocsin incident undo {incident}")


@app.command("add")
def add(incident: Id, alerts: Alerts, reason: Reason = "", database: Database = None) -> None:
    """Put alerts into an incident, out of whichever they are in.

    Example: tocsin incident add INCIDENT ALERT --reason 'seen by hand'
    """
    run_on_store(
        database, lambda s: s.incidents.add(incident, alerts, actor=actor(), reason=reason)
    )
    typer.echo(f"added {len(alerts)} to {incident}")


@app.command("remove")
def remove(incident: Id, alerts: Alerts, reason: Reason = "", database: Database = None) -> None:
    """Take alerts out of an incident; the pipeline never puts them back into it.

    Example: tocsin incident remove INCIDENT ALERT --reason 'a planned test'
    """
    run_on_store(
        database, lambda s: s.incidents.remove(incident, alerts, actor=actor(), reason=reason)
    )
    typer.echo(f"removed {len(alerts)} from {incident}")


@app.command("close")
def close(incident: Id, reason: Reason = "", database: Database = None) -> None:
    """Close an incident: no alert goes in any more.

    Example: tocsin incident close INCIDENT --reason contained
    """
    run_on_store(database, lambda s: s.incidents.close(incident, actor=actor(), reason=reason))
    typer.echo(f"closed {incident}")


@app.command("reopen")
def reopen(incident: Id, reason: Reason = "", database: Database = None) -> None:
    """Open a closed incident again.

    Example: tocsin incident reopen INCIDENT
    """
    run_on_store(database, lambda s: s.incidents.reopen(incident, actor=actor(), reason=reason))
    typer.echo(f"reopened {incident}")


@app.command("assign")
def assign(
    incident: Id,
    to: Annotated[str, typer.Argument(help="Who looks after it; '' for nobody.", metavar="WHO")],
    reason: Reason = "",
    database: Database = None,
) -> None:
    """Say who looks after an incident.

    Example: tocsin incident assign INCIDENT carol
    """
    who = to.strip() or None
    run_on_store(
        database, lambda s: s.incidents.assign(incident, who, actor=actor(), reason=reason)
    )
    typer.echo(f"assigned {incident} to {plain(who or 'nobody')}")


@app.command("undo")
def undo(incident: Id, reason: Reason = "", database: Database = None) -> None:
    """Take the last change back, if things still are as it left them.

    Example: tocsin incident undo INCIDENT
    """
    run_on_store(database, lambda s: s.incidents.undo(incident, actor=actor(), reason=reason))
    typer.echo(f"took the last change of {incident} back")


def run_on_store(database: str | None, question: Callable[[Store], Awaitable[T]]) -> T:
    """Open the database, ask or change something in it, and close it again."""

    async def ask() -> T:
        async with open_store(load(database=database)) as store:
            return await question(store)

    return asyncio.run(ask())


def _list(page: IncidentPage) -> None:
    shown = table("updated", "status", "severity", "alerts", "assigned", "title", "incident")
    for incident in page.incidents:
        level = incident.severity.value if incident.severity else "info"
        shown.add_row(
            incident.updated_at.strftime("%Y-%m-%d %H:%M:%S"),
            f"merged into {incident.merged_into}"
            if incident.merged_into
            else incident.status.value,
            level,
            str(incident.alerts),
            plain(incident.assigned_to or "-"),
            plain(incident.title)[:90],
            incident.incident_id,
            style=LEVEL_STYLE[level],
        )
    console().print(shown)
    if page.next_cursor:
        typer.echo("there are more; see --rows", err=True)


def _detail(detail: IncidentDetail) -> None:
    screen, incident = console(), detail.incident
    screen.print(plain(incident.title), style="bold")
    state = incident.status.value
    if incident.merged_into:
        state += f", merged into {incident.merged_into}"
    screen.print(
        f"incident {incident.incident_id}  {state}  "
        f"severity {incident.severity.value if incident.severity else '-'}  "
        f"assigned to {plain(incident.assigned_to or 'nobody')}"
    )
    screen.print("\n" + plain(incident.summary or "") + "\n")
    shown = table("when", "risk", "title", "host", "link", "alert")
    for alert in detail.alerts:
        shown.add_row(
            alert.at.strftime("%Y-%m-%d %H:%M:%S"),
            f"{alert.risk_score:5.1f} {alert.risk_level.value}",
            plain(alert.title)[:60],
            plain(alert.host or "-")[:30],
            "-" if alert.score is None else f"{alert.score:.2f}",
            alert.alert_id,
            style=LEVEL_STYLE[alert.risk_level.value],
        )
    screen.print(shown)
    screen.print("\nWhy they belong together:", style="bold")
    for alert in detail.alerts:
        for link in alert.links[:WHY]:
            because = "; ".join(reason.statement.rstrip(".") for reason in link.reasons)
            screen.print(
                plain(f"  {alert.alert_id} with {link.alert_id} ({link.score:.2f}): {because}")
            )
    screen.print("\nWhat they share:", style="bold")
    for entity in detail.entities:
        if entity.alerts > 1:
            screen.print(plain(f"  {entity.kind.value} {entity.value}: {entity.alerts} alerts"))
    if detail.history:
        screen.print("\nHistory:", style="bold")
    for change in detail.history:
        undone = " (taken back)" if change.undone_at else ""
        screen.print(
            plain(
                f"  {change.changed_at:%Y-%m-%d %H:%M:%S} {change.action.value} by {change.actor}"
                f"{undone}: {change.reason or '-'}"
            )
        )
