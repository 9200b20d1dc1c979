"""How well probabilities met decisions, for predictions that no model of ours made."""

from collections.abc import Sequence
from itertools import groupby
from math import log

from tocsin.model import ModelMetrics

BINS = 10
EDGE = 1e-6  # no probability is surer than this, so that no loss is infinite


def measures(chances: Sequence[float], truths: Sequence[bool]) -> ModelMetrics:
    """The measures of predictions, each with what was true.

    The log-loss is in nats. ECE and the reliability have ten bins of equal width. PR-AUC is the
    average precision; ties count as one step in both areas.
    """
    count, positives = len(truths), sum(truths)
    sure = [min(max(chance, EDGE), 1 - EDGE) for chance in chances]
    pairs = list(zip(sure, truths, strict=True))
    loss = -sum(log(p) if true else log(1 - p) for p, true in pairs) / max(count, 1)
    brier = sum((p - true) ** 2 for p, true in pairs) / max(count, 1)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, true in pairs:
        bins.setdefault(min(int(p * BINS), BINS - 1), []).append((p, true))
    reliability = tuple(
        (sum(p for p, _ in some) / len(some), sum(t for _, t in some) / len(some), len(some))
        for _, some in sorted(bins.items())
    )
    ece = sum(abs(mean - share) * n for mean, share, n in reliability) / max(count, 1)
    both = 0 < positives < count
    return ModelMetrics(
        examples=count,
        positives=positives,
        log_loss=loss,
        brier=brier,
        ece=ece,
        roc_auc=_roc_auc(pairs) if both else None,
        pr_auc=_average_precision(pairs) if both else None,
        reliability=reliability,
    )


def _roc_auc(pairs: Sequence[tuple[float, bool]]) -> float:
    area = below = 0.0
    for _, tied in groupby(sorted(pairs), key=lambda pair: pair[0]):
        truths = [true for _, true in tied]
        hits = sum(truths)
        misses = len(truths) - hits
        area += hits * (below + misses / 2)
        below += misses
    hits = sum(true for _, true in pairs)
    return area / (hits * (len(pairs) - hits))


def _average_precision(pairs: Sequence[tuple[float, bool]]) -> float:
    total = sum(true for _, true in pairs)
    area = found = seen = 0.0
    for _, tied in groupby(sorted(pairs, reverse=True), key=lambda pair: pair[0]):
        truths = [true for _, true in tied]
        seen += len(truths)
        found += sum(truths)
        area += sum(truths) / total * (found / seen)
    return area
