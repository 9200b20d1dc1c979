"""Whether what was proven still holds: missed attacks, a shift of the scores, samples unjudged.

`Alarm` works on numbers and on arrays of them, so that the simulation runs what the server runs.
"""

from collections.abc import Mapping
from math import log
from typing import Any

TIMES = (2.0, 4.0, 8.0, 16.0, 32.0)
"""How many times more attacks than allowed the bets are placed on; capped at a half of all."""
LEAST_ALERTS = 300
"""Fewer alerts than that on either side say nothing about a shift."""
RECENT_ALERTS = 2000
"""The newest alerts that are compared with those of before; whole hours of them."""


class Alarm:
    """A test of "at most `alpha` of what is closed are attacks" that may be looked at all the time.

    For each way in which it could be wrong (2, 4, … times as many) it bets on every judged sample
    at the likelihood ratio; while the hypothesis is true no such bet gains on average, so the mean
    `value` of all bets is an e-process and passes 1/ε with a probability of at most ε, ever
    (Ville; Waudby-Smith and Ramdas 2024). A part of the stake, 1/k(k+1), is kept for the k-th
    sample, so that a change after a long good time is not paid from what was lost until then.
    """

    def __init__(self, alpha: float) -> None:
        rates = sorted({min(times * alpha, 0.5) for times in TIMES})
        self._bets = [((1 - rate) / (1 - alpha), rate / alpha) for rate in rates if rate > alpha]
        self._sums: list[Any] = [0.0] * len(self._bets)
        self._seen = 0
        self.value: Any = 1.0
        self.highest: Any = 1.0

    def take(self, attack: Any) -> None:
        """One more judged sample: 1 for an attack, else 0."""
        self._seen += 1
        stake = 1 / (self._seen * (self._seen + 1))
        self._sums = [
            (so_far + stake) * (clean + attack * (hit - clean))
            for so_far, (clean, hit) in zip(self._sums, self._bets, strict=True)
        ]
        kept = 1 / (self._seen + 1)  # for samples to come
        self.value = sum(self._sums) / len(self._sums) + kept
        larger = self.value > self.highest
        self.highest = self.value * larger + self.highest * (1 - larger)


def shift(before: Mapping[int, int], now: Mapping[int, int]) -> tuple[float, float] | None:
    """How far the scores have moved: the population stability index, and what chance explains.

    The index is Σ (q − p) ln(q / p) over the bins, each count raised by a half so that an empty
    bin is no infinity. Without any shift it is about (bins − 1)(1/n + 1/m) on average, which is
    the second number. None when there are too few alerts on either side.
    """
    total, recent = sum(before.values()), sum(now.values())
    if total < LEAST_ALERTS or recent < LEAST_ALERTS:
        return None
    bins = sorted(before.keys() | now.keys())
    index = 0.0
    for number in bins:
        p = (before.get(number, 0) + 0.5) / (total + 0.5 * len(bins))
        q = (now.get(number, 0) + 0.5) / (recent + 0.5 * len(bins))
        index += (q - p) * log(q / p)
    return index, (len(bins) - 1) * (1 / total + 1 / recent)
