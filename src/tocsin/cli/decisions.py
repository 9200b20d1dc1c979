"""`tocsin decisions`: bring in what was decided before, and take decisions elsewhere."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

import msgspec
import typer

from tocsin.app import Store, System, open_store, running
from tocsin.cli import files
from tocsin.cli.decide import actor
from tocsin.cli.importing import printable
from tocsin.cli.look import progress
from tocsin.cli.past import SHOWN, Ledger, Line, decision_id, read_decisions
from tocsin.ingest import Limits
from tocsin.model import Disposition
from tocsin.settings import Settings, load
from tocsin.store.decisions import Order, reason_text
from tocsin.trial.noise import signature

app = typer.Typer(no_args_is_help=True, help="Past decisions: import them, export them.")

DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
PORTION = 500
POLL_SECONDS = 0.02

_encoder = msgspec.json.Encoder()


@app.command("import")
def import_decisions(
    files_: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files or globs; - is standard input.")
    ],
    source: Annotated[
        str | None, typer.Option(help="Name of the alerts' source; detected if left out.")
    ] = None,
    database: DatabaseUrl = None,
) -> None:
    """Import decisions from CSV, JSON or NDJSON, plain or gzip; safe to repeat.

    A line names a stored alert, {"alert_id": …, "disposition": …}, or holds one, {"alert": {…},
    "disposition": …}, with decided_at, reason and analyst if they are known. Or it is a closed
    alert or incident of another product: Sentinel, Defender, Splunk ES, Elastic, QRadar, Google
    SecOps, TheHive, SentinelOne, Cortex XDR, Jira, Security Hub, GuardDuty. Alerts in the lines go
    through the front door and the whole pipeline first, without the fields that say how they ended.

    Alerts that nobody judged are not learned from. Nor are duplicates and alerts that were closed
    by automation or without a reason. A word that is not known is listed, never guessed.

    Exit code 0: all lines were understood; 1: some were refused or hold unknown words; 2: a file
    cannot be used.

    \b
    Examples:
      tocsin decisions import closed-incidents.csv --source sentinel
      tocsin decisions import decided.ndjson.gz
    """
    names = files.expand(files_)
    ledger = asyncio.run(_import(load(database=database), names, source))
    _report(ledger)
    raise typer.Exit(1 if ledger.refused or ledger.unknown else 0)


@app.command("export")
def export_decisions(
    payloads: Annotated[
        bool, typer.Option(help="With the alerts as they were sent, so that others can import it.")
    ] = True,
    database: DatabaseUrl = None,
) -> None:
    """Write the decisions that stand, one JSON object per line, to standard output.

    What comes out can be imported elsewhere with: tocsin decisions import.

    Example: tocsin decisions export | gzip > decided.ndjson.gz
    """
    asyncio.run(_export(load(database=database), payloads))


async def _import(settings: Settings, names: list[str], source: str | None) -> Ledger:
    ledger = Ledger()
    limits = Limits(settings.max_alert_bytes, settings.max_depth)
    lines = (line for name in names for line in read_decisions(name, limits, ledger))
    seen: dict[bytes, set[bool]] = {}
    with progress() as bar:
        task = bar.add_task("decisions", total=None)
        async with _pipeline(settings) as system:
            while portion := list(islice(lines, PORTION)):
                await _portion(system, portion, source, ledger, seen)
                bar.update(task, completed=ledger.read)
    return ledger


@asynccontextmanager
async def _pipeline(settings: Settings) -> AsyncIterator[System]:
    """The front door and the pipeline, within this process, beside whoever else works."""
    here = {
        "broker": "memory://", "max_attempts": 2, "retry_pause": 0.05, "sweep_interval": 0.5,
    }  # fmt: skip
    async with running(settings.model_copy(update=here), alone=False) as system:
        yield system


async def _portion(
    system: System,
    lines: Sequence[Line],
    source: str | None,
    ledger: Ledger,
    seen: dict[bytes, set[bool]],
) -> None:
    lines = await _without_known(system.store, lines)
    items = [line.item for line in lines if line.item is not None]
    answers = iter(await system.door.submit(items, source) if items else ())
    ids = [next(answers).alert_id if line.item is not None else line.alert_id for line in lines]
    await _settled(system, [i for i, line in zip(ids, lines, strict=True) if i and line.item])
    orders, places = [], []
    for alert_id, line in zip(ids, lines, strict=True):
        assert alert_id is not None
        who = f"import:{line.analyst}"[:200] if line.analyst else "import"
        orders.append(
            Order(
                alert_id,
                line.disposition,
                reason_text(line.reason),
                reason_text(who),
                decision_id(alert_id, line),
                line.decided_at,
            )
        )
        places.append(line.place)
    outcomes = await system.store.decisions.bring_in(orders, actor=actor())
    for place, outcome in zip(places, outcomes, strict=True):
        if outcome.problem is not None:
            ledger.refuse(place, f"alert {outcome.order.alert_id}: {outcome.problem}")
        elif outcome.repeated:
            ledger.repeated += 1
        else:
            ledger.stored[outcome.order.disposition.value] += 1
    await _note_conflicts(system.store, orders, places, ledger, seen)


async def _without_known(store: Store, lines: Sequence[Line]) -> list[Line]:
    """Lines whose alert is stored need not bring it in again."""
    both = [line.alert_id for line in lines if line.alert_id and line.item]
    known = {dossier.alert_id for dossier in await store.dossiers.load(both)} if both else set()
    return [replace(line, item=None) if line.alert_id in known else line for line in lines]


async def _settled(system: System, ids: Sequence[str]) -> None:
    while await system.store.balance.steps_of(ids):
        await asyncio.sleep(POLL_SECONDS)


async def _note_conflicts(
    store: Store,
    orders: Sequence[Order],
    places: Sequence[str],
    ledger: Ledger,
    seen: dict[bytes, set[bool]],
) -> None:
    """Decisions that say the opposite of an earlier one in the import on the same content."""
    found = await store.dossiers.load([order.alert_id for order in orders], ("alert",))
    alerts = {dossier.alert_id: dossier for dossier in found}
    for place, order in zip(places, orders, strict=True):
        dossier = alerts.get(order.alert_id)
        if dossier is None or dossier.alert is None:
            continue
        if order.disposition is Disposition.UNDETERMINED:
            continue
        attack = order.disposition is Disposition.TRUE_POSITIVE
        before = seen.setdefault(signature(dossier), set())
        if before and attack not in before:
            ledger.conflict(
                f"{place}: {order.disposition.value}, but an alert with the same content was "
                f"decided {'harmless' if attack else 'true_positive'}"
            )
        before.add(attack)


def _report(ledger: Ledger) -> None:
    for title, lines, total in (
        ("", ledger.complaints, ledger.refused),
        ("conflict: ", ledger.conflicts, ledger.conflicting),
    ):
        for line in lines:
            typer.echo(title + printable(line), err=True)
        if total > len(lines):
            typer.echo(f"… and {total - len(lines)} more", err=True)
    _list("words that are not known, left out", ledger.unknown)
    _list("closed, but not judged, left out", ledger.no_decision)
    stored = ", ".join(f"{count} {word}" for word, count in sorted(ledger.stored.items()))
    typer.echo(
        f"decisions: {sum(ledger.stored.values())} imported{f' ({stored})' if stored else ''}, "
        f"{ledger.repeated} known before, {ledger.unlabelled} unlabelled, "
        f"{sum(ledger.no_decision.values())} closed without a judgement, "
        f"{sum(ledger.unknown.values())} with unknown words, {ledger.refused} refused, "
        f"{ledger.conflicting} in conflict"
    )


def _list(title: str, counts: Counter[str]) -> None:
    if counts:
        named = ", ".join(f"{word} ({count})" for word, count in counts.most_common(SHOWN))
        typer.echo(f"{title}: {printable(named)}", err=True)


async def _export(settings: Settings, payloads: bool) -> None:
    async with open_store(settings) as store:
        async for portion in store.decided.scan():
            for decision, payload in portion:
                line: dict[str, Any] = {
                    "alert_id": decision.alert_id,
                    "disposition": decision.disposition,
                    "decided_at": decision.decided_at,
                    "reason": decision.reason,
                    "analyst": _analyst(decision.actor),
                }
                if payloads and payload is not None:
                    line["alert"] = _payload(payload)
                sys.stdout.buffer.write(_encoder.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _analyst(actor: str) -> str:
    """Who decided; nobody where an import did not say who."""
    return "" if actor == "import" else actor.removeprefix("import:")


def _payload(payload: str) -> Any:
    """A JSON alert as it was sent but on one line, a line of text as text."""
    try:
        alert = msgspec.json.decode(payload)
        line = msgspec.json.format(payload, indent=-1)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return payload
    return msgspec.Raw(line.encode()) if isinstance(alert, dict) else payload
