"""What is learned from people's decisions, and how good it was."""

from bisect import bisect_left
from datetime import datetime

import msgspec

from tocsin.model.dossier import Dossier
from tocsin.model.record import Record, Share
from tocsin.model.words import Disposition

PULL = 0.5  # how many alerts the expectation that a rule is like others is worth
FARTHEST = 3.0  # log-odds


class Example(Record, frozen=True, kw_only=True):
    """An alert that a person has decided: what learning takes."""

    dossier: Dossier  # with alert, context, intel and verdict
    disposition: Disposition
    decided_at: datetime


class Curve(Record, frozen=True, kw_only=True):
    """A weight (log-odds) that depends on a number in steps.

    `levels` has one entry more than `edges`: the weight below the first edge, between the first and
    the second, and so on; a value that equals an edge belongs below it.
    """

    edges: tuple[float, ...] = ()
    levels: tuple[float, ...] = (0.0,)

    def at(self, value: float) -> float:
        """The weight of a value."""
        return self.levels[bisect_left(self.edges, value)]


class Decided(Record, frozen=True, kw_only=True):
    """How the alerts of one rule had been decided when the model was learned."""

    attacks: int = 0
    harmless: int = 0


class Calibration(Record, frozen=True, kw_only=True):
    """Platt's logistic correction: `slope` (above 0) times the sum, plus `intercept`.

    `level` times the standing of the alert's rule (see `Learned.standing`) is added: from minus
    `slope`, where what all alerts of a rule have in common says nothing, to 0, where it counts as
    much as what tells them apart. `centre` is the mean sum of the average rule's alerts.
    """

    slope: float = 1.0
    intercept: float = 0.0
    level: float = 0.0
    centre: float = 0.0


class Level(Record, frozen=True, kw_only=True):
    """How far above the average rule's the sums of a rule's alerts are, and of how many alerts."""

    mean: float
    count: int


class Learned(Record, frozen=True, kw_only=True):
    """A learned model; `version` is the hash of its content. All weights are in log-odds.

    An alert's sum is `base`, plus `expert` times the sum of the expert weights, plus what is added
    here for each piece of `evidence` by its name, each of the alert's `words` and each number's
    `curves`. A calibration then turns the sum into the logit of the probability: `known` for rules
    whose alerts were among the examples, `new` for others. `levels` says how high the alerts of
    such others scored when the model was made; `inside` that the alerts to be judged are those.
    """

    version: str
    examples: int = 0
    attacks: int = 0
    base: float = 0.0
    expert: float = 1.0
    evidence: dict[str, float] = msgspec.field(default_factory=dict)
    words: dict[str, float] = msgspec.field(default_factory=dict)
    curves: dict[str, Curve] = msgspec.field(default_factory=dict)
    rules: dict[str, Decided] = msgspec.field(default_factory=dict)
    known: Calibration = Calibration()
    new: Calibration = Calibration()
    levels: dict[str, Level] = msgspec.field(default_factory=dict)
    inside: bool = False

    def calibration(self, rule: str | None) -> Calibration:
        """That of a rule's alerts."""
        return self.known if rule in self.rules else self.new

    def standing(self, rule: str | None, total: float) -> float:
        """How far above other rules the alerts of an undecided rule score, as far as that is known.

        The best linear prediction of what is the rule's own (Robinson, That BLUP is a good thing,
        1991): the mean of its alerts, this one (whose sum is `total`) among them, pulled to the
        average rule's as if some more alerts had scored so.
        """
        level = self.levels.get(rule) if rule is not None else None
        own = held_back(total - self.new.centre)
        if level is None:
            return own / (1 + PULL)
        known = level.count * level.mean
        return (
            known / (level.count + PULL)
            if self.inside
            else (known + own) / (level.count + 1 + PULL)
        )


def held_back(above: float) -> float:
    """How far an alert or a rule is above others, held to `FARTHEST` either way."""
    return min(max(above, -FARTHEST), FARTHEST)


class ModelMetrics(Record, frozen=True, kw_only=True, omit_defaults=False):
    """How well probabilities met decisions; a measure that one kind alone cannot have is None.

    `reliability` has (mean predicted probability, share that were true positives, count) of each
    group of like predictions.
    """

    examples: int
    positives: int
    log_loss: float
    brier: Share
    ece: Share
    roc_auc: Share | None
    pr_auc: Share | None
    reliability: tuple[tuple[Share, Share, int], ...] = ()
