"""Exact binomial statistics: how many samples are needed, what they prove, which threshold holds.

scipy is imported where it is used, because it costs memory that a worker never needs.
"""

from collections.abc import Sequence
from math import ceil, log, log1p
from typing import Any


def samples_needed(alpha: float, level: float) -> int:
    """The fewest samples that, all clean, show a share of at most `alpha` at this level.

    (1 − alpha)ⁿ ≤ level: 299 for 1 % at 5 %.
    """
    return ceil(log(level) / log1p(-alpha) - 1e-12)


def upper_bound(found: int, samples: int, level: float) -> float:
    """One-sided Clopper–Pearson upper bound (1934) on a share, at confidence 1 − `level`.

    It is the largest share at which finding so few has a probability of at least `level`.
    """
    if found >= samples:
        return 1.0
    from scipy.special import betaincinv  # noqa: PLC0415  # see the module

    return float(betaincinv(found + 1, samples - found, 1 - level))


def climb(below: Any, attacks: Any, start: Any, alpha: float, level: float) -> Any:
    """The largest threshold that fixed-sequence testing reaches, for one or many histories.

    For each candidate the hypothesis "more than `alpha` of what it closes are attacks" is tested
    at `level` by the exact binomial tail, which is the same as asking whether the Clopper–Pearson
    bound is at most `alpha`. The candidates are tested upward from `start`, and the first that is
    not rejected ends it; so the chance that a wrong one is passed is at most `level` however many
    there are (Learn then Test: Angelopoulos, Bates, Candès, Jordan, Lei 2021).

    Args:
        below: samples up to each candidate; an array, the candidates along its last axis.
        attacks: the attacks among them.
        start: the number of the first candidate, for each history; not chosen by decisions.
        alpha: the largest share that is allowed.
        level: the chance of a wrong threshold that is allowed.

    Returns:
        The number of the threshold, for each history; −1 where there is none.
    """
    import numpy as np  # noqa: PLC0415  # see the module
    from scipy.special import bdtr  # noqa: PLC0415

    below, attacks = np.asarray(below), np.asarray(attacks)
    first = np.asarray(start)[..., np.newaxis]
    chance = np.where(below > 0, bdtr(attacks, np.maximum(below, 1), alpha), 1.0)
    passed = (chance <= level) | (np.arange(below.shape[-1]) < first)
    reached = np.logical_and.accumulate(passed, axis=-1).sum(axis=-1) - 1
    return np.where(reached >= np.asarray(start), reached, -1)


START_MARGIN = 1.15
"""At the first candidate so many times the fewest samples are expected, so that it is not missed by
bad luck."""


def first_candidate(passing: Sequence[int], samples: int, fewest: int) -> int:
    """Where to begin the climb: the lowest threshold that should have samples enough.

    Decided by alerts that were *not* drawn (`passing`, by candidate), which are independent of the
    samples; so the choice costs no confidence. Without enough of them it is the last candidate.
    """
    total, sum_ = sum(passing), 0
    last = len(passing) - 1
    for number, count in enumerate(passing):
        sum_ += count
        if total and samples * sum_ / total >= START_MARGIN * fewest:
            return number
    return last
