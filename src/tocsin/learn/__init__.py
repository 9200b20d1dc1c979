"""Learning from people's decisions: around the expert's weights, and calibrated.

A fit is a penalised logistic regression whose penalty pulls every weight to what the expert wrote,
so that little data moves them little. `fit` and `assess` are what `ports.Learner` asks for.
numpy, scipy and scikit-learn are loaded where they are used: they cost time and memory, which
processes that only gather a sample need not pay.
"""

from collections.abc import Mapping, Sequence

from tocsin.learn.levels import levelled
from tocsin.learn.sample import Sample, probability_by
from tocsin.model import Decided, Example, Learned, ModelMetrics

__all__ = ["Sample", "assess", "fit", "fit_sample", "levelled"]


def fit(
    examples: Sequence[Example], *, seed: int = 0, by_rule: Mapping[str, Decided] | None = None
) -> Learned:
    """A model of these decisions; the same decisions and seed give the same bytes.

    `by_rule`: how all alerts of each rule stand decided, where the examples are only some of them.

    Raises:
        InputError: the decisions are all of one kind, or there are none.
    """
    return fit_sample(Sample.of(examples), seed=seed, by_rule=by_rule)


def fit_sample(
    sample: Sample, *, seed: int = 0, by_rule: Mapping[str, Decided] | None = None
) -> Learned:
    """The model of a sample; see `fit`.

    On one thread: several wait for each other by spinning, and beside a busy server a fit of
    seconds then takes minutes.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # see above

    from tocsin.learn import fitting  # noqa: PLC0415  # see above

    with threadpool_limits(1, user_api="blas"):
        return fitting.fit_sample(sample, seed=seed, by_rule=by_rule)


def assess(learned: Learned | None, examples: Sequence[Example]) -> ModelMetrics:
    """How good a model is on decisions; None stands for the expert model that ships.

    Every example counts once, undetermined ones not at all.
    """
    import numpy as np  # noqa: PLC0415  # see above

    from tocsin.evaluation import measures  # noqa: PLC0415  # see above

    rows = Sample.of(examples, thin=False).rows
    truth = np.array([row.attack for row in rows], dtype=np.float64)
    chance = np.array([probability_by(learned, row) for row in rows], dtype=np.float64)
    return ModelMetrics(
        examples=len(rows),
        positives=int(truth.sum()),
        log_loss=measures.log_loss(truth, chance),
        brier=measures.brier(truth, chance),
        ece=measures.ece(truth, chance),
        roc_auc=measures.roc_auc(truth, chance),
        pr_auc=measures.average_precision(truth, chance),
        reliability=measures.reliability(truth, chance),
    )
