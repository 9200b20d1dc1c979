"""`tocsin evaluate`: how good triage is on labelled alerts, beside what is naive."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tocsin.cli import files
from tocsin.cli.judging import BY_TIME, Plan, judge, judge_changed
from tocsin.cli.label_words import is_file, words_of
from tocsin.cli.labels import Count, Reading
from tocsin.cli.look import console, plain, progress, table
from tocsin.cli.rehearse import read_whole, rehearsals, require_both
from tocsin.errors import InputError
from tocsin.settings import Settings, load

if TYPE_CHECKING:  # numpy and scipy cost time and memory that other commands do not need
    from tocsin.rehearsal.report import Report

SPLIT = ","


def evaluate(
    file: Annotated[list[str], typer.Argument(help="Files or globs of labelled alerts.")],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD|FILE",
            help="The field that holds an alert's label, in it or beside it (dotted path; triage "
            "does not see it), or a file with one label a line. Not needed for "
            '{"alert", "disposition"} lines.',
        ),
    ] = None,
    harmless: Annotated[
        str | None,
        typer.Option(
            metavar="WORD", help="The label of harmless alerts; every other one is an attack."
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
    ] = BY_TIME,
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
    every other word names an attack, as with --harmless. Undetermined ones are left out. A label
    that is not known ends the run: nothing is guessed. Intervals are of 95 %, by bootstrap over
    groups. Files are JSON in any layout, or CSV with a header.

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
    words = words_of(labels) if labels and is_file(labels) else None
    reading = Reading(
        label=labels if words is None else None,
        words=words,
        drop=tuple(drop.split(SPLIT)) if drop else (),
        keys=(*keys, *((by,) if folds and by != BY_TIME else ())),
        harmless=harmless,
    )
    for option, path in (("--html", html_file), ("--json", json_file)):
        if path is not None and not path.parent.is_dir():  # told before the work is done
            raise InputError(f"{option} {path}: there is no folder {path.parent}")
        if path is not None and path.is_dir():
            raise InputError(f"{option} {path}: it is a folder")
    settings = load(database=database)
    plan = Plan(
        names, learned_names, labels or "", reading, len(keys), folds, by, seed, perturb, overlap
    )
    found = asyncio.run(_evaluate(settings, plan))
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    if str(json_file) == files.STDIN:
        sys.stdout.buffer.write(encoded)
    else:
        show(found)
    try:
        if html_file is not None:
            from tocsin.rehearsal.report import html  # noqa: PLC0415  # see above

            html_file.write_text(html(found), encoding="utf-8")
        if json_file is not None and str(json_file) != files.STDIN:
            json_file.write_bytes(encoded)
    except OSError as error:
        raise InputError(f"the report cannot be written: {error}") from error


async def _evaluate(settings: Settings, plan: Plan) -> "Report":
    from tocsin.rehearsal.perturbation import difference  # noqa: PLC0415
    from tocsin.rehearsal.report import report  # noqa: PLC0415  # see above

    count = Count()
    with progress() as bar:
        async with rehearsals(settings) as made:
            tests = [
                one
                for name in plan.names
                for one in read_whole(name, plan.reading, made.limits, count)
            ]
            if plan.reading.words is not None:
                plan.reading.words.require_places(count.read, plan.labels)
            require_both(tests, ", ".join(plan.names))
            judged = await judge(made, tests, plan, bar)
            changed = None
            if plan.perturb:
                others = await judge_changed(made, judged, tests, plan.seed, bar)
                changed = difference(judged.outcome.dossiers, others, judged.outcome.truths)
    return report(
        judged.outcome,
        seed=plan.seed,
        files=plan.names,
        learned_from=plan.learned_names,
        grouped_by=plan.group_by,
        left_out={"refused": count.refused, "undetermined": count.undecided},
        complaints=count.complaints,
        changed=changed,
    )


def show(found: "Report") -> None:
    """The report on the terminal."""
    screen = console()
    what = "groups" if found.grouped_by else "alerts"
    screen.print(f"{found.alerts} alerts, {found.scored} {what}, {found.attacks} of them attacks")
    for use in found.models:
        learned = f", learned from {use.examples} alerts" if use.examples else ""
        screen.print(f"model {use.version}{learned}, judged {use.alerts}")
    for remark in found.remarks:
        screen.print(plain(remark))
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
