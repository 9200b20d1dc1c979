"""Whether a challenger is better than the champion: a paired bootstrap over groups.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 16; groups are
drawn instead of rows, since rows of a group are not independent.
"""

import random
from collections.abc import Callable, Sequence

from tocsin.model import Example, Learned, ModelMetrics, Record, Share
from tocsin.trial.split import Group

RESAMPLES = 2000
NEEDED_SHARE = 0.9

Assess = Callable[[Learned | None, Sequence[Example]], ModelMetrics]


class Comparison(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Challenger minus champion, in log-loss per decision (nats); less is better.

    `share_better` is the share of resamples in which the challenger was better; `low` and `high`
    are the 2.5th and 97.5th percentiles of the difference.
    """

    difference: float
    low: float
    high: float
    share_better: Share
    groups: int
    resamples: int

    @property
    def better(self) -> bool:
        """Whether the challenger may go live."""
        return self.difference < 0 and self.share_better >= NEEDED_SHARE


def compare(
    assess: Assess,
    champion: Learned | None,
    challenger: Learned,
    held: Sequence[Group],
    *,
    seed: int = 0,
) -> Comparison:
    """Compare two models on decisions that neither has learned from."""
    sizes = [len(group) for group in held]
    changes = []
    for group in held:
        before, after = assess(champion, group).log_loss, assess(challenger, group).log_loss
        changes.append((after - before) * len(group))
    draw = random.Random(seed)  # noqa: S311  # statistics, not secrets
    places = range(len(held))
    drawn = []
    for _ in range(RESAMPLES):
        sample = draw.choices(places, k=len(held))
        drawn.append(sum(changes[i] for i in sample) / sum(sizes[i] for i in sample))
    drawn.sort()
    return Comparison(
        difference=sum(changes) / sum(sizes),
        low=drawn[int(0.025 * RESAMPLES)],
        high=drawn[int(0.975 * RESAMPLES)],
        share_better=sum(value < 0 for value in drawn) / RESAMPLES,
        groups=len(held),
        resamples=RESAMPLES,
    )
