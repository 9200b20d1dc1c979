"""What is learned from people's decisions, and how good it was."""

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


class Learned(Record, frozen=True, kw_only=True):
    """A learned model; `version` is the hash of its content.

    `weights` are in log-odds, by the name of the evidence.
    """

    version: str
    weights: dict[str, float] = msgspec.field(default_factory=dict)


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
