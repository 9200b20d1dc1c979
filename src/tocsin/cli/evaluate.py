"""`tocsin evaluate`: how good triage is on labelled alerts, beside what is naive."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import Progress

from tocsin.cli import files
from tocsin.cli.labels import Count, Labelled, Reading, disposition_of, words_of
from tocsin.cli.look import console, plain, progress, table
from tocsin.cli.rehearse import (
    Rehearsals,
    learn_from,
    read_whole,
    rehearsals,
    require_both,
    triaged,
)
from tocsin.errors import InputError
from tocsin.evaluation.folds import folds_of
from tocsin.model import Dossier, Learned
from tocsin.rehearsal import Rehearsal
from tocsin.settings import Settings, load

if TYPE_CHECKING:  # numpy and scipy cost time and memory that other commands do not need
    from tocsin.rehearsal.report import Outcome, Report, Taught

SPLIT = ","


def evaluate(
    file: Annotated[list[str], typer.Argument(help="Files or globs of labelled alerts.")],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD|FILE",
            help="The field of each alert that holds its label (dotted path; triage does not see "
            'it), or a file with one label a line. Not needed for {"alert", "disposition"} lines.',
        ),
    ] = None,
    learn: Annotated[
        list[str] | None,
        typer.Option("--learn-from", metavar="FILE", help="Labelled alerts to learn from first."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Score groups instead of alerts: fields, e.g. host,ip,name,hour(time). A group's "
            "score is its alerts' greatest; it is an attack if any of them is."
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, max=50, help="Cross-validate: learn from all folds but one.")
    ] = 0,
    by: Annotated[
        str,
        typer.Option(help="What folds keep together: a field, or time for blocks of time."),
    ] = "time",
    drop: Annotated[
        str | None, typer.Option(help="Further fields that triage must not see, e.g. notes,owner.")
    ] = None,
    perturb: Annotated[
        bool,
        typer.Option("--perturb", help="Again with hosts, users, addresses and times changed."),
    ] = False,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write the report as a page.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report as JSON; - for standard output.")
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Go on when alerts were also learned from.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and the folds.")] = 0,
    database: Annotated[
        str | None,
        typer.Option(help="Database whose inventory, directory and indicators are used."),
    ] = None,
) -> None:
    """Measure triage on labelled alerts: ranking, workload, calibration, beside naive baselines.

    The alerts go through the pipeline's own steps. Labels: true_positive, benign_positive,
    false_positive, true/false, 1/0, attack/benign; where a set marks harmless alerts with "-",
    every other word names an attack. Undetermined ones are left out. A label that is not known ends
    the run: nothing is guessed. Intervals are of 95 %, by bootstrap over groups.

    \b
    Examples:
      tocsin evaluate decided.ndjson
      tocsin evaluate test.ndjson --labels truth --learn-from train.ndjson --html report.html
      tocsin evaluate all.ndjson --labels event_label --folds 5 --by scenario
          --group-by scenario,host,ip,name,hour(time)
    """
    if folds == 1:
        raise InputError("--folds: 2 or more, or leave it out")
    if folds and learn:
        raise InputError("give --folds or --learn-from, not both")
    names, learned_names = files.expand(file), files.expand(learn or [])
    keys = tuple(group_by.split(SPLIT)) if group_by else ()
    words = words_of(labels) if labels and Path(labels).is_file() else None
    reading = Reading(
        label=labels if words is None else None,
        words=words,
        drop=tuple(drop.split(SPLIT)) if drop else (),
        keys=(*keys, *((by,) if folds and by != "time" else ())),
    )
    for option, path in (("--html", html_file), ("--json", json_file)):
        if path is not None and not path.parent.is_dir():  # told before the work is done
            raise InputError(f"{option} {path}: there is no folder {path.parent}")
    settings = load(database=database)
    plan = _Plan(names, learned_names, reading, len(keys), folds, by, seed, perturb, overlap)
    found = asyncio.run(_evaluate(settings, plan))
    if html_file is not None:
        from tocsin.rehearsal.report import html  # noqa: PLC0415  # see above

        html_file.write_text(html(found), encoding="utf-8")
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=2)
    if json_file is not None and str(json_file) != "-":
        json_file.write_bytes(encoded + b"\n")
    if json_file is not None and str(json_file) == "-":
        sys.stdout.buffer.write(encoded + b"\n")
    else:
        show(found)


class _Plan(msgspec.Struct, frozen=True):
    names: list[str]
    learned_names: list[str]
    reading: Reading
    keys: int  # how many of the reading's keys make a group
    folds: int
    by: str
    seed: int
    perturb: bool
    overlap: bool


async def _evaluate(settings: Settings, plan: _Plan) -> "Report":
    from tocsin.rehearsal.perturbation import Perturbation, difference  # noqa: PLC0415
    from tocsin.rehearsal.report import report  # noqa: PLC0415  # see above

    count = Count()
    with progress() as bar:
        async with rehearsals(settings) as made:
            tests = [
                one
                for name in plan.names
                for one in read_whole(name, plan.reading, made.limits, count)
            ]
            require_both(tests, ", ".join(plan.names))
            _require_groups(tests, plan)
            if plan.folds:
                outcome = await _folded(made, tests, plan, bar)
            else:
                outcome = await _learned(made, tests, plan, bar)
            changed = None
            if plan.perturb:
                perturbation = Perturbation.of(outcome.dossiers, plan.seed)
                others = [perturbation.item(one.item) for one in tests]
                rehearsal = made.begin()
                rehearsal.models.use(outcome.learned)
                task = bar.add_task("changed", total=len(others))
                changed = difference(
                    outcome.dossiers, await triaged(rehearsal, others, bar, task), outcome.truths
                )
    return report(
        outcome,
        seed=plan.seed,
        files=plan.names,
        learned_from=plan.learned_names,
        grouped_by=plan.reading.keys[: plan.keys],
        left_out={"refused": count.refused, "undetermined": count.undecided},
        complaints=count.complaints,
        changed=changed,
    )


async def _learned(
    made: Rehearsals, tests: Sequence[Labelled], plan: _Plan, bar: Progress
) -> "Outcome":
    """The alerts judged by the expert's model, or by what was learned from other files."""
    rehearsal, learned, taught = made.begin(), None, None
    if plan.learned_names:
        plain_reading = Reading(label=plan.reading.label, drop=plan.reading.drop)
        count = Count()
        lessons = [
            one
            for name in plan.learned_names
            for one in read_whole(name, plain_reading, made.limits, count)
        ]
        _guard(lessons, tests, allowed=plan.overlap)
        learned, taught = await _teach(rehearsal, lessons, bar)
    task = bar.add_task("triage", total=len(tests))
    before = time.process_time()
    dossiers = await triaged(rehearsal, [one.item for one in tests], bar, task)
    tables = None if taught is None else [taught] * len(tests)
    return _outcome(tests, dossiers, plan, (learned, tables), time.process_time() - before)


async def _folded(
    made: Rehearsals, tests: Sequence[Labelled], plan: _Plan, bar: Progress
) -> "Outcome":
    """Each alert judged by what was learned from the folds that it is not in."""
    kept = [one.keys[plan.keys] if plan.by != "time" else "" for one in tests]
    if plan.by != "time" and not any(kept):
        raise InputError(f"--by {plan.by}: no alert has this field")
    places = folds_of(kept, plan.folds, plan.seed)
    dossiers: list[Dossier | None] = [None] * len(tests)
    tables: list[Taught] = [{}] * len(tests)
    learned, seconds = None, 0.0
    for fold in range(plan.folds):
        held = [index for index, place in enumerate(places) if place == fold]
        rest = [one for one, place in zip(tests, places, strict=True) if place != fold]
        if not held:
            continue
        rehearsal = made.begin()
        learned, taught = await _teach(rehearsal, rest, bar)
        task = bar.add_task(f"fold {fold + 1}", total=len(held))
        items = [tests[index].item for index in held]
        before = time.process_time()
        judged = await triaged(rehearsal, items, bar, task)
        seconds += time.process_time() - before
        for index, dossier in zip(held, judged, strict=True):
            dossiers[index], tables[index] = dossier, taught
    whole = [dossier for dossier in dossiers if dossier is not None]
    return _outcome(tests, whole, plan, (learned, tables), seconds)


async def _teach(
    rehearsal: Rehearsal, lessons: Sequence[Labelled], bar: Progress
) -> "tuple[Learned, Taught]":
    task = bar.add_task("learn", total=len(lessons))
    pairs = [(one.item, disposition_of(one)) for one in lessons]
    learned = await learn_from(rehearsal, pairs, bar, task)
    taught = {rule: (seen.attacks, seen.harmless) for rule, seen in learned.rules.items()}
    return learned, taught


def _require_groups(tests: Sequence[Labelled], plan: _Plan) -> None:
    """A field that no alert has makes one group of all.

    Raises:
        InputError: a field of the groups is such a one.
    """
    for place, path in enumerate(plan.reading.keys[: plan.keys]):
        if not any(one.keys[place] for one in tests):
            raise InputError(f"--group-by {path}: no alert has this field")


def _guard(lessons: Sequence[Labelled], tests: Sequence[Labelled], *, allowed: bool) -> None:
    """No alert may be learned from and tested on.

    Raises:
        InputError: some are.
    """
    known = {one.item.canonical for one in lessons}
    shared = sum(one.item.canonical in known for one in tests)
    if shared and not allowed:
        raise InputError(
            f"{shared} of {len(tests)} alerts are also in the file that is learned from, so the "
            "figures would be too good; take them out, or say --allow-overlap"
        )


def _outcome(
    tests: Sequence[Labelled],
    dossiers: Sequence[Dossier],
    plan: _Plan,
    taught: "tuple[Learned | None, list[Taught] | None]",
    seconds: float,
) -> "Outcome":
    from tocsin.rehearsal.report import Outcome  # noqa: PLC0415  # see above

    return Outcome(
        dossiers=list(dossiers),
        truths=[bool(one.attack) for one in tests],
        groups=[one.keys[: plan.keys] for one in tests] if plan.keys else None,
        units=[one.keys[plan.keys :] or one.keys for one in tests],
        learned=taught[0],
        taught=taught[1],
        cpu_seconds=seconds,
    )


def show(found: "Report") -> None:
    """The report on the terminal."""
    screen = console()
    what = "groups" if found.grouped_by else "alerts"
    screen.print(
        f"{found.alerts} alerts, {found.scored} {what}, {found.attacks} of them attacks; "
        f"model {found.model}"
    )
    for name, count in found.left_out.items():
        if count:
            screen.print(f"left out: {count} {name}")
    for complaint in found.complaints:
        screen.print("  " + plain(complaint))
    shown = table("measure", "Tocsin", "95 % interval", *found.baselines)
    for name, one in found.measures.items():
        others = [_number(scores.get(name)) for scores in found.baselines.values()]
        interval = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
        shown.add_row(name.replace("_", " "), _number(one.value), interval, *others)
    screen.print(shown)
    screen.print(f"cost: {found.cpu_seconds_per_1000:.2f} s of processor time per 1,000 alerts")
    if found.changed is not None:
        screen.print(
            f"changed names and times: probabilities move by {found.changed.mean_move:.4f} on "
            f"average, {found.changed.verdicts_changed:.2%} of the verdicts change"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
