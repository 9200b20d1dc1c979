"""Measures of a ranking and of probabilities; all take 0/1 truths, scores and optional weights."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

Numbers: TypeAlias = NDArray[np.float64]

BINS = 10
LEAST = 1e-9


def roc_auc(truth: Numbers, score: Numbers) -> float | None:
    """Area under the ROC curve; None where there is only one kind."""
    return float(roc_auc_score(truth, score)) if 0 < truth.sum() < len(truth) else None


def average_precision(truth: Numbers, score: Numbers) -> float | None:
    """Area under the precision-recall curve, as average precision; None without positives."""
    return float(average_precision_score(truth, score)) if truth.sum() > 0 else None


def false_positive_rate(truth: Numbers, score: Numbers, recall: float) -> float | None:
    """The least share of negatives that must be kept to keep `recall` of the positives."""
    if not 0 < truth.sum() < len(truth):
        return None
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    return float(fpr[int(np.searchsorted(tpr, recall - LEAST))])


def workload_cut(truth: Numbers, score: Numbers, recall: float) -> float | None:
    """The share of all items that need not be looked at while `recall` of the positives are."""
    positives = truth.sum()
    if positives == 0:
        return None
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(truth[order])
    needed = int(np.searchsorted(found, np.ceil(recall * positives - LEAST))) + 1
    threshold = score[order][needed - 1]
    return float((score < threshold).mean())


def best_f1(truth: Numbers, score: Numbers) -> tuple[float, float] | None:
    """The best F1 over all thresholds, and the threshold; None without positives."""
    positives = truth.sum()
    if positives == 0:
        return None
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # ties stand together
    found = np.cumsum(truth[order])[last]
    taken = np.arange(1, len(score) + 1)[last]
    f1 = 2 * found / (taken + positives)
    place = int(np.argmax(f1))
    return float(f1[place]), float(ranked[last][place])


def f1_at(truth: Numbers, score: Numbers, threshold: float) -> float:
    """F1 of calling everything from `threshold` on an attack."""
    called = score >= threshold
    found = float(truth[called].sum())
    whole = float(called.sum()) + float(truth.sum())
    return 2 * found / whole if whole else 0.0


def brier(truth: Numbers, probability: Numbers) -> float:
    """Mean squared distance of the probability from the truth (Brier, 1950)."""
    return float(np.mean((probability - truth) ** 2))


def log_loss(truth: Numbers, probability: Numbers) -> float:
    """Mean negative log-likelihood, in nats."""
    p = np.clip(probability, LEAST, 1 - LEAST)
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p)))


def reliability(
    truth: Numbers, probability: Numbers, bins: int = BINS
) -> tuple[tuple[float, float, int], ...]:
    """For each tenth of the scale that holds any: mean predicted, share true, count."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    found = []
    for index in range(bins):
        inside = place == index
        if inside.any():
            mean, share = float(probability[inside].mean()), float(truth[inside].mean())
            found.append((mean, share, int(inside.sum())))
    return tuple(found)


def ece(truth: Numbers, probability: Numbers, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal width (Naeini et al., AAAI 2015)."""
    groups = reliability(truth, probability, bins)
    return sum(count * abs(mean - share) for mean, share, count in groups) / len(truth)
