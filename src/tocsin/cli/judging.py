"""The alerts of an evaluation, judged: by the expert, by what was learned, or fold by fold."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from rich.progress import Progress

from tocsin.cli.labels import Count, Labelled, Reading, disposition_of
from tocsin.cli.rehearse import Rehearsals, learn_from, read_whole, triaged
from tocsin.errors import InputError
from tocsin.evaluation.folds import folds_of
from tocsin.ingest import Item
from tocsin.model import Dossier, Learned
from tocsin.rehearsal.outcome import Key, ModelUse, Outcome, Taught

BY_TIME = "time"
WARM_UP = 200  # alerts that are triaged before the clock runs: tables are loaded by the first


class Plan(msgspec.Struct, frozen=True):
    """What is evaluated, and how."""

    names: list[str]
    learned_names: list[str]
    labels: str  # the field or file that holds them; empty where each line has its own
    reading: Reading
    keys: int  # how many of the reading's keys make a group
    folds: int
    by: str
    seed: int
    perturb: bool
    overlap: bool

    @property
    def group_by(self) -> Sequence[str]:
        """The fields that make a group."""
        return self.reading.keys[: self.keys]


class Part(NamedTuple):
    """The places of alerts that are judged together, and what is learned from before."""

    places: Sequence[int]
    lessons: Sequence[Labelled]


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome, with the parts and their models, by which it can be repeated."""

    outcome: Outcome
    parts: list[tuple[Part, Learned | None]]


async def judge(made: Rehearsals, tests: Sequence[Labelled], plan: Plan, bar: Progress) -> Judged:
    """All alerts, each judged by a model that has not learned from it.

    Raises:
        InputError: there is nothing to learn from, or alerts would be tested on that were.
    """
    remarks = _lacking(tests, plan)
    parts = _folded(tests, plan) if plan.folds else [_whole(made, tests, plan, remarks)]
    dossiers: list[Dossier | None] = [None] * len(tests)
    tables: list[Taught] = [{}] * len(tests)
    models: list[ModelUse] = []
    done: list[tuple[Part, Learned | None]] = []
    seconds = 0.0
    for number, part in enumerate(parts, 1):
        name = f"fold {number}" if plan.folds else "triage"
        rehearsal, learned, taught = made.begin(), None, Taught()
        if part.lessons:
            task = bar.add_task("learn", total=len(part.lessons))
            pairs = [(one.item, disposition_of(one)) for one in part.lessons]
            try:
                learned = await learn_from(rehearsal, pairs, bar, task)
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
            taught = {rule: (seen.attacks, seen.harmless) for rule, seen in learned.rules.items()}
        items = [tests[place].item for place in part.places]
        if not done:
            await _warm_up(made, items, learned)
        task = bar.add_task(name, total=len(items))
        before = time.process_time()
        judged = await triaged(rehearsal, items, bar, task)
        seconds += time.process_time() - before
        for place, dossier in zip(part.places, judged, strict=True):
            dossiers[place], tables[place] = dossier, taught
        models.append(_use(judged, learned))
        if (used := rehearsal.models.learned) is not None and used.levels:
            remarks.append(
                f"{name}: how high alerts of {len(used.levels)} rules score that were not learned "
                "from is known of the alerts here, not of their labels"
            )
        done.append((part, learned))
    outcome = Outcome(
        dossiers=[dossier for dossier in dossiers if dossier is not None],
        truths=[bool(one.attack) for one in tests],
        groups=_groups(tests, plan) if plan.keys else None,
        units=_units(tests, plan),
        models=models,
        taught=tables if any(learned for _, learned in done) else None,
        cpu_seconds=seconds,
        remarks=remarks,
    )
    return Judged(outcome, done)


async def judge_changed(
    made: Rehearsals, judged: Judged, tests: Sequence[Labelled], seed: int, bar: Progress
) -> list[Dossier]:
    """The same alerts under other names at other times, each judged by the same model as before.

    What the model was learned from is put into context under other names too, so that as much is
    known of the past as before; nothing is learned again.
    """
    from tocsin.rehearsal.perturbation import Perturbation  # noqa: PLC0415  # numpy costs memory

    perturbation = Perturbation.of(judged.outcome.dossiers, seed)
    found: dict[int, Dossier] = {}
    task = bar.add_task("changed", total=len(tests))
    for part, learned in judged.parts:
        rehearsal = made.begin()
        await rehearsal.remember([perturbation.item(one.item) for one in part.lessons])
        rehearsal.models.use(learned)
        items = [perturbation.item(tests[place].item) for place in part.places]
        found.update(zip(part.places, await triaged(rehearsal, items, bar, task), strict=True))
    return [found[place] for place in range(len(tests))]


async def _warm_up(made: Rehearsals, items: Sequence[Item], learned: Learned | None) -> None:
    rehearsal = made.begin()
    rehearsal.models.use(learned)
    await rehearsal.triage(items[:WARM_UP])


def _use(judged: Sequence[Dossier], learned: Learned | None) -> ModelUse:
    verdict = judged[0].verdict
    version = verdict.model_version if verdict is not None else ""
    return ModelUse(version, learned.examples if learned else 0, len(judged))


def _whole(made: Rehearsals, tests: Sequence[Labelled], plan: Plan, remarks: list[str]) -> Part:
    """All alerts, judged by the expert's model or by what is learned from other files."""
    reading = Reading(label=plan.reading.label, drop=plan.reading.drop)
    lessons: list[Labelled] = []
    count = Count()
    for name in plan.learned_names:
        lessons += read_whole(name, reading, made.limits, count)
    if count.refused or count.undecided:
        remarks.append(f"not learned from: {count.refused} refused, {count.undecided} undetermined")
    _guard(lessons, tests, allowed=plan.overlap)
    return Part(range(len(tests)), lessons)


def _folded(tests: Sequence[Labelled], plan: Plan) -> list[Part]:
    """Each alert judged by what is learned from the folds that it is not in.

    Raises:
        InputError: all alerts would be in one fold.
    """
    kept = [one.keys[plan.keys] if plan.by != BY_TIME else "" for one in tests]
    if plan.by != BY_TIME and not any(kept):
        raise InputError(f"--by {plan.by}: no alert has this field")
    folds = folds_of(kept, plan.folds, plan.seed)
    if len(set(folds)) < 2:
        raise InputError(f"--by {plan.by}: all alerts have the same value, so nothing is left over")
    return [
        Part(
            [place for place, its in enumerate(folds) if its == fold],
            [one for one, its in zip(tests, folds, strict=True) if its != fold],
        )
        for fold in sorted(set(folds))
    ]


def _groups(tests: Sequence[Labelled], plan: Plan) -> list[Key]:
    """The group of each alert; one that has none of the fields is a group of its own."""
    return [
        keys if any(keys) else (*keys, str(place))
        for place, keys in enumerate(one.keys[: plan.keys] for one in tests)
    ]


def _units(tests: Sequence[Labelled], plan: Plan) -> list[Key]:
    """What the bootstrap draws: what folds keep together, else groups, else single alerts."""
    if plan.folds and plan.by != BY_TIME:
        kept = [one.keys[plan.keys] for one in tests]
        return [(value,) if value else ("", str(place)) for place, value in enumerate(kept)]
    if plan.keys:
        return _groups(tests, plan)
    return [(str(place),) for place in range(len(tests))]


def _lacking(tests: Sequence[Labelled], plan: Plan) -> list[str]:
    """Remarks on alerts that lack a field of the groups or folds.

    Raises:
        InputError: no alert has a field of the groups, so it would tell nothing apart.
    """
    said = []
    for place, path in enumerate(plan.group_by):
        without = sum(not one.keys[place] for one in tests)
        if without == len(tests):
            raise InputError(f"--group-by {path}: no alert has this field")
        if without and plan.keys > 1:
            said.append(f"{without} of {len(tests)} alerts lack {path}")
    alone = sum(not any(one.keys[: plan.keys]) for one in tests) if plan.keys else 0
    if alone:
        said.append(f"{alone} of {len(tests)} alerts have no field of --group-by: each is a group")
    if plan.folds and plan.by != BY_TIME:
        without = sum(not one.keys[plan.keys] for one in tests)
        if without:
            said.append(
                f"{without} of {len(tests)} alerts lack {plan.by}: folds take them in blocks of "
                "their order"
            )
    return said


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
