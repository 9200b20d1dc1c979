"""What came out of an evaluation, for people (HTML) and programs (JSON)."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from importlib.resources import files

import msgspec
import numpy as np
from jinja2 import Environment, StrictUndefined

from tocsin import __version__
from tocsin.evaluation import measures
from tocsin.evaluation.diagram import Series, reliability_svg
from tocsin.evaluation.scores import OF_RANKINGS, Interval, scores, too_few, values
from tocsin.model import Dossier, ModelMetrics, Severity, Verdict
from tocsin.rehearsal.outcome import Key, ModelUse, Outcome, Taught
from tocsin.rehearsal.perturbation import Difference

WORST = 20
CLAIMED = {
    Severity.CRITICAL: 0.9,
    Severity.HIGH: 0.7,
    Severity.MEDIUM: 0.5,
    Severity.LOW: 0.3,
    Severity.INFO: 0.1,
}
SIGNATURE_PRIOR = 1.0  # decisions that the overall share counts as for each signature


class Mistake(msgspec.Struct, frozen=True):
    """An alert that was placed badly."""

    title: str
    probability: float
    source: str | None


class Report(msgspec.Struct, frozen=True):
    """An evaluation. Shares are 0 to 1; `cpu_seconds_per_1000` is of processor time per alert.

    `measures` are Tocsin's with 95 % intervals, `baselines` the naive ones' values by name.
    `models` are all that judged, one for each fold; `examples` is the fewest that one of them
    learned from. `remarks` are what must be known to read the figures.
    """

    tocsin: str
    made_at: datetime
    model: str
    models: list[ModelUse]
    files: list[str]
    learned_from: list[str]
    examples: int
    grouped_by: list[str]
    alerts: int
    scored: int
    attacks: int
    left_out: dict[str, int]
    complaints: list[str]
    remarks: list[str]
    measures: dict[str, Interval]
    f1_as_called: float
    baselines: dict[str, dict[str, float | None]]
    reliability: list[tuple[float, float, int]]
    verdicts: dict[str, dict[str, int]]
    sources: dict[str, dict[str, int]]
    cpu_seconds_per_1000: float
    model_tokens: int
    missed: list[Mistake]
    false_alarms: list[Mistake]
    changed: Difference | None = None


def report(
    outcome: Outcome,
    *,
    seed: int,
    files: Sequence[str],
    learned_from: Sequence[str],
    grouped_by: Sequence[str],
    left_out: dict[str, int],
    complaints: Sequence[str],
    changed: Difference | None,
) -> Report:
    """All figures of an evaluation."""
    verdicts = [_verdict(dossier) for dossier in outcome.dossiers]
    chances = [verdict.probability for verdict in verdicts]
    truth, score, units, members = _scored(outcome, chances)
    true = np.asarray(truth, dtype=np.float64)
    scored = np.asarray(score, dtype=np.float64)
    order = sorted(range(len(truth)), key=lambda index: score[index])
    drawn, remarks = _drawn(truth, units, grouped=outcome.groups is not None)
    return Report(
        tocsin=__version__,
        made_at=datetime.now(UTC),
        model=", ".join(dict.fromkeys(use.version for use in outcome.models)),
        models=outcome.models,
        files=list(files),
        learned_from=list(learned_from),
        examples=min(use.examples for use in outcome.models),
        grouped_by=list(grouped_by),
        alerts=len(chances),
        scored=len(truth),
        attacks=int(true.sum()),
        left_out=left_out,
        complaints=list(complaints),
        remarks=outcome.remarks + remarks,
        measures=scores(truth, score, drawn, seed=seed),
        f1_as_called=measures.f1_at(true, scored, 0.5),
        baselines=_baselines(outcome, true),
        reliability=list(measures.reliability(true, scored)),
        verdicts=_counts(outcome, [verdict.verdict.value for verdict in verdicts]),
        sources=_counts(outcome, [dossier.source or "unknown" for dossier in outcome.dossiers]),
        cpu_seconds_per_1000=1000 * outcome.cpu_seconds / len(chances),
        model_tokens=0,
        missed=[_mistake(outcome, members[i], score[i]) for i in order if truth[i]][:WORST],
        false_alarms=[
            _mistake(outcome, members[i], score[i]) for i in reversed(order) if not truth[i]
        ][:WORST],
        changed=changed,
    )


def html(found: Report) -> str:
    """The report as one page that needs nothing else."""
    template = files("tocsin.rehearsal").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    diagram = reliability_svg("Reliability", (Series("Tocsin", _metrics(found)),))
    return page.render(report=found, diagram=diagram, of_rankings=OF_RANKINGS)


def _scored(
    outcome: Outcome, chances: Sequence[float]
) -> tuple[list[bool], list[float], list[Key], list[int]]:
    """Truth, score and bootstrap unit of each group, with the alert that stands for it."""
    if outcome.groups is None:
        return outcome.truths, list(chances), outcome.units, list(range(len(chances)))
    place: dict[Key, int] = {}
    truth: list[bool] = []
    score: list[float] = []
    units = []
    members: list[int] = []
    for index, group in enumerate(outcome.groups):
        at = place.setdefault(group, len(truth))
        if at == len(truth):
            truth.append(outcome.truths[index])
            score.append(chances[index])
            units.append(outcome.units[index])
            members.append(index)
            continue
        truth[at] = truth[at] or outcome.truths[index]
        if chances[index] > score[at]:
            score[at], members[at] = chances[index], index
    return truth, score, units, members


def _drawn(
    truth: Sequence[bool], units: Sequence[Key], *, grouped: bool
) -> tuple[Sequence[Hashable], list[str]]:
    """What the bootstrap draws, and what is to be said of it.

    Where folds keep together too much to draw from, single groups are drawn; the intervals then
    say how sure the figures are for more of the same, and nothing of what is kept together.
    """
    few = too_few(truth, units)
    if few is None:
        return units, []
    singles = range(len(truth))
    if grouped and too_few(truth, singles) is None:
        return singles, [f"the intervals draw single groups of --group-by: {few}"]
    return units, [f"no intervals: {few}"]


def _baselines(outcome: Outcome, true: measures.Numbers) -> dict[str, dict[str, float | None]]:
    """What a queue sorted by severity, by nothing, or by the rule's past would have reached."""
    found = {"severity": _ranked(outcome, true, _claimed), "always": _ranked(outcome, true, _same)}
    if outcome.taught is not None:
        overall = {id(table): _share(table) for table in outcome.taught}
        ranks = [
            _by_signature(table.get(_rule(dossier), (0, 0)), overall[id(table)])
            for dossier, table in zip(outcome.dossiers, outcome.taught, strict=True)
        ]
        found["signature"] = _figures(outcome, true, ranks)
    return found


def _share(table: Taught) -> float:
    """The share of attacks in all that was learned from."""
    return sum(a for a, _ in table.values()) / max(sum(a + b for a, b in table.values()), 1)


def _by_signature(seen: tuple[int, int], overall: float) -> float:
    attacks, harmless = seen
    return (attacks + SIGNATURE_PRIOR * overall) / (attacks + harmless + SIGNATURE_PRIOR)


def _ranked(
    outcome: Outcome, true: measures.Numbers, rank: Callable[[Dossier], float]
) -> dict[str, float | None]:
    return _figures(outcome, true, [rank(dossier) for dossier in outcome.dossiers])


def _figures(
    outcome: Outcome, true: measures.Numbers, ranks: Sequence[float]
) -> dict[str, float | None]:
    _, score, _, _ = _scored(outcome, ranks)
    found = values(true, np.asarray(score, dtype=np.float64))
    return {name: value for name, value in found.items() if name in OF_RANKINGS}


def _claimed(dossier: Dossier) -> float:
    severity = dossier.alert.event.severity if dossier.alert else None
    return CLAIMED[severity] if severity is not None else CLAIMED[Severity.MEDIUM]


def _same(_: Dossier) -> float:
    return 0.5


def _rule(dossier: Dossier) -> str:
    for fact in dossier.context:
        for seen in fact.data.prevalence:
            if seen.subject == "rule":
                return seen.value
    return ""


def _counts(outcome: Outcome, kinds: Sequence[str]) -> dict[str, dict[str, int]]:
    pairs = Counter(zip(kinds, outcome.truths, strict=True))
    return {
        kind: {"attacks": pairs[kind, True], "harmless": pairs[kind, False]}
        for kind in sorted(set(kinds))
    }


def _mistake(outcome: Outcome, index: int, score: float) -> Mistake:
    dossier = outcome.dossiers[index]
    title = dossier.alert.title[:160] if dossier.alert else ""
    return Mistake(title=title, probability=score, source=dossier.source)


def _verdict(dossier: Dossier) -> Verdict:
    assert dossier.verdict is not None  # every alert of a rehearsal is judged
    return dossier.verdict


def _metrics(found: Report) -> ModelMetrics:
    def value(name: str) -> float:
        return found.measures[name].value or 0.0

    return ModelMetrics(
        examples=found.scored,
        positives=found.attacks,
        log_loss=value("log_loss"),
        brier=value("brier"),
        ece=value("ece"),
        roc_auc=found.measures["roc_auc"].value,
        pr_auc=found.measures["average_precision"].value,
        reliability=tuple(found.reliability),
    )
