"""All measures of one ranking at once, with intervals by bootstrap."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.evaluation import measures
from tocsin.evaluation.measures import Numbers

RECALLS = (90, 95, 99)  # percent
RESAMPLES = 200
LEAST_UNITS = 20  # to draw from; fewer say too little of what others would have been like
LEAST_OF_A_KIND = 5  # units with an attack, and units with a harmless one
LOW, HIGH = 2.5, 97.5  # percentiles: a 95 % interval


class Interval(msgspec.Struct, frozen=True):
    """A value and its 95 % interval; None where it cannot be told."""

    value: float | None
    low: float | None = None
    high: float | None = None


def _best_f1(truth: Numbers, score: Numbers) -> float | None:
    found = measures.best_f1(truth, score)
    return None if found is None else found[0]


def _suppression(truth: Numbers, score: Numbers, recall: float) -> float | None:
    """The share of harmless ones that need not be looked at while `recall` of attacks are."""
    kept = measures.false_positive_rate(truth, score, recall)
    return None if kept is None else 1 - kept


MEASURES: dict[str, Callable[[Numbers, Numbers], float | None]] = {
    "roc_auc": measures.roc_auc,
    "average_precision": measures.average_precision,
    "best_f1": _best_f1,
    **{
        f"suppression_at_{recall}": partial(_suppression, recall=recall / 100) for recall in RECALLS
    },
    **{
        f"workload_cut_at_{recall}": partial(measures.workload_cut, recall=recall / 100)
        for recall in RECALLS
    },
    "ece": measures.ece,
    "brier": measures.brier,
    "log_loss": measures.log_loss,
}
OF_RANKINGS = frozenset(name for name in MEASURES if name not in {"ece", "brier", "log_loss"})


def scores(
    truth: Sequence[bool], score: Sequence[float], units: Sequence[Hashable], *, seed: int = 0
) -> dict[str, Interval]:
    """Every measure with its interval.

    The bootstrap (Efron, 1979) draws whole units with replacement, so that what belongs together
    is drawn together; where they are `too_few` there is no interval.
    """
    true = np.asarray(truth, dtype=np.float64)
    scored = np.asarray(score, dtype=np.float64)
    found = values(true, scored)
    places = _places(units)
    if too_few(truth, units):
        return {name: Interval(value) for name, value in found.items()}
    dice = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(RESAMPLES):
        chosen = np.concatenate([places[n] for n in dice.integers(len(places), size=len(places))])
        for name, measure in MEASURES.items():
            value = measure(true[chosen], scored[chosen])
            if value is not None:
                drawn[name].append(value)
    return {
        name: Interval(
            value,
            float(np.percentile(drawn[name], LOW)) if drawn[name] else None,
            float(np.percentile(drawn[name], HIGH)) if drawn[name] else None,
        )
        for name, value in found.items()
    }


def values(truth: Numbers, score: Numbers) -> dict[str, float | None]:
    """Every measure without an interval."""
    return {name: measure(truth, score) for name, measure in MEASURES.items()}


def too_few(truth: Sequence[bool], units: Sequence[Hashable]) -> str | None:
    """Why there can be no intervals; None where there can."""
    kinds = {
        kind: {u for t, u in zip(truth, units, strict=True) if t is kind} for kind in (True, False)
    }
    attacks, harmless, total = len(kinds[True]), len(kinds[False]), len(set(units))
    if total >= LEAST_UNITS and min(attacks, harmless) >= LEAST_OF_A_KIND:
        return None
    return (
        f"there are {total} independent groups to draw from, {attacks} with attacks and {harmless} "
        f"with harmless alerts; {LEAST_UNITS}, and {LEAST_OF_A_KIND} of each kind, are the fewest"
    )


def _places(units: Sequence[Hashable]) -> list[NDArray[np.int64]]:
    by_unit: dict[Hashable, list[int]] = {}
    for index, unit in enumerate(units):
        by_unit.setdefault(unit, []).append(index)
    return [np.array(found) for found in by_unit.values()]
