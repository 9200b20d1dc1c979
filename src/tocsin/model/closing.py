"""What closes alerts without a person: the rules, the proven bounds, and what was done."""

from bisect import bisect_left, bisect_right
from datetime import datetime
from math import exp
from typing import Annotated

import msgspec

from tocsin.model.record import Record, Share
from tocsin.model.words import ClosingAction, ClosingMode, Disposition

ClassName = Annotated[str, msgspec.Meta(min_length=3, max_length=128)]

EDGES: tuple[float, ...] = tuple(round(1 / (1 + exp(7 - step / 4)), 6) for step in range(29))
"""The probabilities that can be a threshold: every quarter of log-odds from −7 to 0. They are fixed
here, before any alert is seen, because the guarantee needs candidates that no decision has moved.
"""


def score_bin(probability: float) -> int:
    """The number of the first edge that is not below; `len(EDGES)` above the last."""
    return bisect_left(EDGES, probability)


def ceiling_bin(ceiling: float) -> int:
    """The number of the highest edge that is not above a ceiling."""
    return max(bisect_right(EDGES, ceiling) - 1, 0)


class ClosingRules(
    Record, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False
):
    """What people ask of the policy; every change of it begins a new calibration.

    Attributes:
        classes: the classes that may be closed, `SOURCE/KIND`; `delta` is split evenly over them.
        alpha: the largest share of attacks among the closed alerts of a class.
        delta: the chance, over all classes and looks, that a bound does not hold.
        sample_rate: the share of alerts that is drawn at random for people, for good.
        ceiling: no threshold is above it.
        samples: samples of a class that its first look waits for; 0: the fewest that can do.
        looks: how often the samples may be looked at; each waits for twice as many as the one
            before, and gets an even part of `delta`.
        max_gaps: an alert with more checks that could not be made is not closed.
        least_confidence: nor one whose verdict is less sure.
        undetermined: whether alerts whose verdict is undetermined may be closed too.
        same_model: whether thresholds hold only for the version of the model that was calibrated.
        alarm: the chance of ever switching off for missed attacks although the bound holds.
        shift: the population stability index of the scores above which it switches off.
        review_days: days within which samples are to be judged.
        backlog: samples that may be overdue; with more it switches off.
    """

    classes: tuple[ClassName, ...]
    alpha: Annotated[float, msgspec.Meta(ge=0.0001, le=0.2)] = 0.01
    delta: Annotated[float, msgspec.Meta(ge=0.0001, le=0.5)] = 0.05
    sample_rate: Annotated[float, msgspec.Meta(ge=0.01, le=1)] = 0.05
    ceiling: Annotated[float, msgspec.Meta(ge=0.001, le=0.5)] = 0.25
    samples: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    looks: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    max_gaps: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3
    least_confidence: Share = 0.4
    undetermined: bool = False
    same_model: bool = True
    alarm: Annotated[float, msgspec.Meta(ge=0.0001, le=0.5)] = 0.01
    shift: Annotated[float, msgspec.Meta(ge=0.01, le=10)] = 0.25
    review_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 7
    backlog: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200

    @property
    def level(self) -> float:
        """The part of `delta` that one class has at one look (Bonferroni)."""
        return self.delta / (len(self.classes) * self.looks)


class ClassBound(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What the samples of one class prove; `threshold` None with the reason in `why`.

    Attributes:
        needed: samples that the next look waits for.
        samples: samples of the class that a threshold could close, so far.
        undecided: samples of that look that people have not judged yet.
        look: the number of the look that this comes from; 0 before the first.
        below, attacks: samples of that look up to the threshold, and the attacks among them.
        bound: one-sided Clopper–Pearson upper bound on the share of attacks among closed alerts.
        closes: share of the samples of that look that the threshold closes.
        known_attacks: attacks among all samples of that time, closable or not.
        lost: upper bound on the share of all attacks that is closed; 1: nothing is known.
        distinct: different things among the samples: repeats of one alert are one.
    """

    class_name: str = msgspec.field(name="class")
    threshold: float | None = None
    why: str = ""
    needed: int = 0
    samples: int = 0
    undecided: int = 0
    look: int = 0
    below: int = 0
    attacks: int = 0
    bound: float = 1.0
    closes: float = 0.0
    known_attacks: int = 0
    lost: float = 1.0
    distinct: int = 0


class ClosingPolicy(Record, frozen=True, kw_only=True):
    """What decides about an alert; `revision` changes with every change, `version` with the rules.

    `seed` is the secret key, in hexadecimal digits, by which alerts are drawn for people.
    `model_version` is empty where thresholds hold for every version.
    """

    version: int
    revision: int
    mode: ClosingMode
    rules: ClosingRules
    seed: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    thresholds: dict[str, float] = msgspec.field(default_factory=dict)
    model_version: str = ""


class Closing(Record, frozen=True, kw_only=True):
    """What a policy did with one alert, and why.

    `probability` is what is held against the threshold: that of the verdict, without what people's
    decisions on the rule have moved at once. `closable` says that nothing but its probability keeps
    the alert from being closed; `likeness` is equal for alerts that repeat each other.
    """

    action: ClosingAction
    class_name: str = msgspec.field(name="class")
    probability: Share
    policy_version: int
    why: str = ""
    threshold: float | None = None
    closable: bool = False
    revision: int = 0
    likeness: str = ""
    model_version: str = ""
    at: datetime | None = None  # when it was stored
    reopened_at: datetime | None = None
    reopened_by: str | None = None


class Sample(Record, frozen=True, kw_only=True):
    """One alert that was drawn at random, and what people say of it; None: nothing yet."""

    alert_id: str
    class_name: str = msgspec.field(name="class")
    probability: float
    closable: bool
    at: datetime
    likeness: str = ""
    model_version: str = ""
    decision: Disposition | None = None

    @property
    def attack(self) -> bool:
        """Whether it counts as an attack; what people could not decide does."""
        return self.decision in (Disposition.TRUE_POSITIVE, Disposition.UNDETERMINED)


class PolicyState(Record, frozen=True, kw_only=True):
    """A policy with all that is kept about it.

    `reference` holds, by class, how many alerts fell into each bin of the scores before the policy
    was enabled; `tripped` says that it switched itself off, `reason` why it is off.
    """

    policy: ClosingPolicy
    bounds: tuple[ClassBound, ...] = ()
    reference: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)
    reason: str = ""
    tripped: bool = False
    changed_at: datetime
    changed_by: str
    enabled_at: datetime | None = None


NOT_CLOSABLE = 100
"""Added to the bin of an alert that a guard keeps open, whatever its probability."""
