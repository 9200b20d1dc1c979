"""`tocsin triage`: the whole pipeline over files, without a server."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tocsin.app import System, running
from tocsin.cli import files
from tocsin.cli.envelopes import opened
from tocsin.cli.labels import Count, Reading
from tocsin.cli.look import LEVEL_STYLE, console, plain, progress, table
from tocsin.cli.rehearse import decisions, learn_from, rehearsals, triaged
from tocsin.errors import PayloadError
from tocsin.ingest import Item, Limits, read_item
from tocsin.model import Dossier
from tocsin.pipeline import TO_VERDICT
from tocsin.settings import Settings, load

PORTION = 2000
ENVELOPE = b'"alert"'
POLL_SECONDS = 0.01
UNJUDGED = frozenset(step.name for step in TO_VERDICT)
FIELDS = ("alert", "context", "intel", "verdict")

_encoder = msgspec.json.Encoder()


class Form(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"


def triage(
    file: Annotated[list[str], typer.Argument(help="Files, globs or - for standard input.")],
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Default: table on a terminal, ndjson when piped."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Name of the source; detected if left out.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="Database URL to use and keep; else a temporary one is used."),
    ] = None,
    learn: Annotated[
        list[str] | None,
        typer.Option(
            "--learn-from",
            metavar="LABELLED",
            help='Decided alerts to learn from first: lines {"alert": …, "disposition": …}.',
        ),
    ] = None,
) -> None:
    """Triage alerts and print one result for each, in input order.

    The inventory, directory and indicators are those of the database, so give --database (or
    TOCSIN_DATABASE) to use yours. Exit code 1 if any alert could not be triaged.

    With --learn-from, a model is learned from those decisions first and used for the file; nothing
    is stored, and the database is only asked. Dispositions: true_positive, benign_positive,
    false_positive; undetermined ones say nothing.

    \b
    Examples:
      tocsin triage samples/suricata.ndjson --format ndjson
      tocsin triage new.ndjson --learn-from decided.ndjson
    """
    names = files.expand(file)
    chosen = form or (Form.TABLE if sys.stdout.isatty() else Form.NDJSON)
    settings = load(database=database)
    if learn:
        results = asyncio.run(_rehearse(names, files.expand(learn), source, settings))
        failed = _write(results, chosen)
    else:
        failed = asyncio.run(_triage(names, chosen, source, settings))
    raise typer.Exit(1 if failed else 0)


async def _triage(names: list[str], form: Form, source: str | None, settings: Settings) -> int:
    failed = 0
    results: list[dict[str, Any]] = []
    with progress() as bar:
        task = bar.add_task("triage", total=None)
        async with _system(settings) as system:
            async for result in _results(system, names, source):
                failed += "error" in result
                bar.advance(task)
                if form is Form.NDJSON:
                    sys.stdout.buffer.write(_encoder.encode(result) + b"\n")
                else:
                    results.append(result)
    sys.stdout.buffer.flush()
    if form is not Form.NDJSON:
        _write(results, form)
    return failed


def _write(results: Sequence[dict[str, Any]], form: Form) -> int:
    """All results at once; gives how many are errors."""
    if form is Form.JSON:
        sys.stdout.buffer.write(msgspec.json.format(_encoder.encode(results), indent=2) + b"\n")
    elif form is Form.TABLE:
        _print_table(results)
    else:
        for result in results:
            sys.stdout.buffer.write(_encoder.encode(result) + b"\n")
    return sum("error" in result for result in results)


async def _rehearse(
    names: list[str], lessons: list[str], source: str | None, settings: Settings
) -> list[dict[str, Any]]:
    """Learn from decided alerts, then triage the files by what was learned."""
    count = Count()
    with progress() as bar:
        async with rehearsals(settings) as made:
            rehearsal = made.begin()
            task = bar.add_task("learn", total=None)
            lines = decisions(lessons, Reading(), made.limits, count)
            learned = await learn_from(rehearsal, lines, bar, task)
            records = [_item(record, made.limits) for name in names for record in files.read(name)]
            good = [item for item in records if not isinstance(item, PayloadError)]
            task = bar.add_task("triage", total=len(good))
            dossiers = iter(await triaged(rehearsal, good, bar, task, source))
    said = f"learned from {learned.examples} of {count.read} lines ({learned.attacks} attacks)"
    if (used := rehearsal.models.learned) is not None and used.levels:
        said += f"; levels of {len(used.levels)} other rules from the alerts that are judged"
    if count.refused or count.undecided:
        said += f"; left out: {count.refused} refused, {count.undecided} undetermined"
    console(stderr=True).print(said)
    for complaint in count.complaints:
        console(stderr=True).print("  " + plain(complaint))
    return [
        {
            "index": index,
            **(
                {"error": str(item), "reason": item.code}
                if isinstance(item, PayloadError)
                else _result(next(dossiers))
            ),
        }
        for index, item in enumerate(records)
    ]


@asynccontextmanager
async def _system(settings: Settings) -> AsyncIterator[System]:
    patience = {"max_attempts": 2, "retry_pause": 0.05, "sweep_interval": 0.2}
    if settings.database:
        async with running(settings.model_copy(update=patience), alone=False) as system:
            yield system
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        url = f"sqlite:///{Path(folder) / 'triage.db'}"
        temporary = settings.model_copy(update={**patience, "database": url})
        steps = tuple(step.name for step in TO_VERDICT)  # nobody would see what follows
        async with running(temporary, steps=steps) as system:
            yield system


async def _results(
    system: System, names: list[str], source: str | None
) -> AsyncIterator[dict[str, Any]]:
    records = (record for name in names for record in files.read(name))
    index = 0
    while portion := list(islice(records, PORTION)):
        for result in await _portion(system, portion, source):
            yield {"index": index, **result}
            index += 1


async def _portion(
    system: System, records: list[files.Record], source: str | None
) -> Iterator[dict[str, Any]]:
    limits = Limits(system.settings.max_alert_bytes, system.settings.max_depth)
    items = [_item(record, limits) for record in records]
    good = [item for item in items if not isinstance(item, PayloadError)]
    answers = await system.door.submit(good, source) if good else []
    ids = [answer.alert_id for answer in answers]
    await _settled(system, ids)
    dossiers = {d.alert_id: d for d in await system.store.dossiers.load(ids, FIELDS)}
    stored = iter(ids)
    return iter(
        [
            {"error": str(item), "reason": item.code}
            if isinstance(item, PayloadError)
            else _result(dossiers[next(stored)])
            for item in items
        ]
    )


def _item(record: files.Record, limits: Limits) -> Item | PayloadError:
    """An alert; out of its envelope, if its line has one, so that no label is taken for a part."""
    item = record.item(limits)
    if isinstance(item, PayloadError) or record.text or ENVELOPE not in record.payload:
        return item
    alert, around = opened(msgspec.json.decode(item.payload))
    if not around or not isinstance(alert, dict):
        return item
    inner = read_item(msgspec.json.encode(alert), limits)
    if isinstance(inner, PayloadError) or inner.chosen_id is not None:
        return inner
    return replace(inner, chosen_id=item.chosen_id)


async def _settled(system: System, ids: Sequence[str]) -> None:
    """Wait for these alerts alone: others may come into the same database all the time."""
    while not UNJUDGED.isdisjoint((await system.store.balance.steps_of(ids)).values()):
        await asyncio.sleep(POLL_SECONDS)


def _result(dossier: Dossier) -> dict[str, Any]:
    verdict = dossier.verdict
    if verdict is None:
        return {"alert_id": dossier.alert_id, "error": "the alert was parked", "reason": "parked"}
    return {
        "alert_id": dossier.alert_id,
        "source": dossier.source,
        "title": dossier.alert.title if dossier.alert else None,
        "verdict": verdict.verdict,
        "probability": verdict.probability,
        "impact": verdict.impact,
        "risk_score": verdict.risk_score,
        "risk_level": verdict.risk_level,
        "confidence": verdict.confidence,
        "requires_human_review": verdict.requires_human_review,
        "analysis": verdict.analysis,
        "evidence": verdict.evidence,
        "recommended_actions": verdict.recommended_actions,
        "gaps": dossier.gaps,
        "model_version": verdict.model_version,
    }


def _print_table(results: Sequence[dict[str, Any]]) -> None:
    shown = table("#", "risk", "verdict", "p", "conf.", "review", "source", "title")
    for result in results:
        if "error" in result:
            shown.add_row(str(result["index"]), "-", "error", "", "", "", "", result["error"][:100])
            continue
        level = result["risk_level"].value
        shown.add_row(
            str(result["index"]),
            f"{result['risk_score']:5.1f} {level}",
            result["verdict"].value,
            f"{result['probability']:.2f}",
            f"{result['confidence']:.2f}",
            "yes" if result["requires_human_review"] else "no",
            result["source"],
            plain(result["title"] or "")[:80],
            style=LEVEL_STYLE[level],
        )
    console().print(shown)
