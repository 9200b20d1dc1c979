"""`tocsin explain`: why an alert was judged as it was."""

import asyncio
import sys
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from tocsin.app import open_store
from tocsin.cli.look import console, plain
from tocsin.cli.opinion import show_opinion
from tocsin.errors import NotFoundError
from tocsin.model import Dossier, Evidence, risk_level
from tocsin.narrate import unasked
from tocsin.settings import Settings, load

FIELDS = ("alert", "context", "intel", "verdict", "links")
BAR = 24


def explain(
    alert_id: Annotated[str, typer.Argument(help="As given when the alert was sent.")],
    raw: Annotated[bool, typer.Option("--raw", help="Show the payload as it was sent.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The whole dossier as JSON.")] = False,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
) -> None:
    """Show the evidence of a verdict as a waterfall: each reason, its weight, where it stands.

    The weights (log-odds) add up to the probability: what is shown is the computation.
    """
    dossier = asyncio.run(_load(load(database=database), alert_id))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(dossier) + b"\n")
    elif raw:
        sys.stdout.buffer.write(dossier.payload.encode() + b"\n")
    else:
        _show(dossier)


async def _load(settings: Settings, alert_id: str) -> Dossier:
    async with open_store(settings) as store:
        found = await store.dossiers.load([alert_id], FIELDS)
        if not found:
            raise NotFoundError(f"there is no alert {alert_id} in this database")
        return msgspec.structs.replace(
            found[0],
            closing=await store.closing.closing_of(alert_id),
            opinion=await store.opinions.of(alert_id) or unasked(found[0], settings),
        )


def _show(dossier: Dossier) -> None:
    screen = console()
    alert, verdict = dossier.alert, dossier.verdict
    screen.print(plain(alert.title if alert else "(not normalised yet)"), style="bold")
    screen.print(
        f"alert {dossier.alert_id}  source {dossier.source or '-'}  "
        f"received {dossier.received_at.isoformat(timespec='seconds')}"
    )
    if verdict is None:
        screen.print("There is no verdict yet.")
        return
    change = dossier.opinion.change if dossier.opinion else None
    risk = change.risk_before if change else verdict.risk_score
    screen.print(
        f"\n{verdict.verdict.value}  risk {risk:.1f} ({risk_level(risk).value}) = "
        f"100 × probability {verdict.probability:.3f} × impact {verdict.impact:.2f}\n"
        f"confidence {verdict.confidence:.2f}, "
        f"{'a person must look' if verdict.requires_human_review else 'no person needs to look'}\n"
    )
    if (closing := dossier.closing) is not None:
        threshold = "-" if closing.threshold is None else f"{closing.threshold:.4f}"
        reopened = f", reopened by {plain(closing.reopened_by)}" if closing.reopened_by else ""
        screen.print(
            f"autoclose {closing.action.value}: policy {closing.policy_version}, class "
            f"{plain(closing.class_name)}, threshold {threshold}{reopened}\n"
        )
    if change and change.risk_after > change.risk_before:
        screen.print(
            f"raised to {verdict.risk_score:.1f} ({verdict.risk_level.value}) by a model's second "
            "opinion, see below\n",
            style="red",
        )
    screen.print(_waterfall(verdict.evidence))
    screen.print("\n" + plain(verdict.analysis) + "\n")
    if dossier.gaps:
        screen.print("Not checked:", style="bold")
        for gap in dossier.gaps:
            screen.print(
                f"  {gap.step}: {plain(gap.subject)} ({gap.reason.value}) {plain(gap.detail)}"
            )
    screen.print("Recommended:", style="bold")
    for action in sorted(verdict.recommended_actions, key=lambda a: a.priority):
        screen.print(f"  {action.priority}. {plain(action.title)} — {plain(action.reason)}")
    if dossier.opinion:
        show_opinion(screen, dossier.opinion)
    if dossier.incident_id:
        screen.print(f"\nIt belongs to incident {dossier.incident_id}: tocsin incident show …")
    screen.print(f"\nmodel {verdict.model_version}", style="dim")


def _waterfall(evidence: tuple[Evidence, ...]) -> Table:
    shown = Table("weight", "sum", "", "why", "where", box=None)
    total = 0.0
    largest = max((abs(item.weight) for item in evidence), default=1.0) or 1.0
    for item in evidence:
        total += item.weight
        bar = "█" * round(abs(item.weight) / largest * BAR)
        style = "red" if item.weight > 0 else "green" if item.weight < 0 else "dim"
        shown.add_row(
            f"{item.weight:+.2f}",
            f"{total:+.2f}",
            bar,
            plain(item.statement),
            item.pointer,
            style=style,
        )
    return shown
