"""`tocsin action`: proposed actions, approved or rejected; nothing is executed yet."""

import sys
from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from tocsin.cli.decide import actor
from tocsin.cli.incident import Database, run_on_store
from tocsin.cli.look import console, plain, table
from tocsin.model import Remediation, RemediationStatus
from tocsin.settings import load
from tocsin.store.remediation import RemediationFilter

app = typer.Typer(
    no_args_is_help=True,
    help="List, approve and reject proposed actions. Tocsin does not execute them yet: a decision "
    "is a record of who, why and when.\n\n"
    "Example: tocsin action list --status proposed",
)

Id = Annotated[str, typer.Argument(help="From: tocsin action list.", metavar="ACTION")]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]


@app.command("list")
def show(
    status: Annotated[RemediationStatus | None, typer.Option(help="Only these.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only of this incident.")] = None,
    alert: Annotated[str | None, typer.Option(help="Only of this alert.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=500, help="Actions to show.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    database: Database = None,
) -> None:
    """List proposed actions, the newest proposal first.

    Example: tocsin action list --incident INCIDENT
    """
    wanted = RemediationFilter(status, alert, incident)
    page = run_on_store(database, lambda store: store.remediation.page(wanted, limit=rows))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(page) + b"\n")
        return
    shown = table("proposed", "status", "phase", "what", "effort", "incident", "action")
    for action in page.actions:
        shown.add_row(
            action.proposed_at.strftime("%Y-%m-%d %H:%M:%S"),
            action.status.value,
            action.phase.value if action.phase else "-",
            plain(action.title)[:90],
            plain(action.effort or "-"),
            action.incident_id or "-",
            action.action_id,
        )
    console().print(shown)
    if page.next_cursor:
        typer.echo("there are more; see --rows", err=True)


@app.command("show")
def read(
    action: Id,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    database: Database = None,
) -> None:
    """Show one action: what, why, what it touches, how to undo it, who decided.

    Example: tocsin action show ACTION
    """
    found = run_on_store(database, lambda store: store.remediation.read(action))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return
    _print(found)


@app.command("approve")
def approve(
    action: Id,
    reason: Reason,
    digest: Annotated[
        str | None,
        typer.Option(help="What exactly is approved, as shown; left out: as it stands now."),
    ] = None,
    database: Database = None,
) -> None:
    """Approve a proposed action. Nothing is executed yet: this records the decision.

    Example: tocsin action approve ACTION --reason 'confirmed by phone'
    """
    hours = load(database=database).approval_hours
    if digest is None:
        digest = run_on_store(database, lambda store: store.remediation.read(action)).digest
    approved = run_on_store(
        database,
        lambda store: store.remediation.approve(
            action, digest, lifetime=timedelta(hours=hours), actor=actor(), reason=reason
        ),
    )
    typer.echo(
        plain(f"approved until {approved.expires_at:%Y-%m-%d %H:%M} UTC: {approved.title}")
        + "\nTocsin does not execute it; somebody has to."
    )


@app.command("reject")
def reject(action: Id, reason: Reason, database: Database = None) -> None:
    """Reject a proposed action, or take its approval back.

    Example: tocsin action reject ACTION --reason 'a planned change'
    """
    rejected = run_on_store(
        database,
        lambda store: store.remediation.reject(action, None, actor=actor(), reason=reason),
    )
    typer.echo(plain(f"rejected: {rejected.title}"))


def _print(action: Remediation) -> None:
    screen = console()
    screen.print(plain(action.title), style="bold")
    for name, value in (
        ("status", action.status.value),
        ("phase", action.phase.value if action.phase else None),
        ("why", action.reason),
        ("evidence", ", ".join(action.evidence) or None),
        ("effort", action.effort),
        ("touches", action.blast_radius),
        ("undo", action.undo),
        ("alert", action.alert_id),
        ("incident", action.incident_id),
        ("decided by", action.decided_by),
        ("because", action.decision_reason),
        ("until", action.expires_at.isoformat(timespec="seconds") if action.expires_at else None),
        ("digest", action.digest),
    ):
        if value:
            screen.print(plain(f"  {name:<11} {value}"))
