"""What is learned from people's decisions, and how good it was."""

from bisect import bisect_left
from datetime import datetime

import msgspec

from tocsin.model.dossier import Dossier
from tocsin.model.record import Record, Share
from tocsin.model.words import Disposition


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
    """Platt's logistic correction: `slope` (above 0) times the sum, plus `intercept`."""

    slope: float = 1.0
    intercept: float = 0.0


class Learned(Record, frozen=True, kw_only=True):
    """A learned model; `version` is the hash of its content. All weights are in log-odds.

    An alert's sum is `base`, plus `expert` times the sum of the expert weights, plus what is added
    here for each piece of `evidence` by its name, each of the alert's `words` and each number's
    `curves`. A calibration then turns the sum into the logit of the probability: `known` for rules
    whose alerts were among the examples, `new` for others.
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
