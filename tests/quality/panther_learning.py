"""How well what was learned of some rules' tests tells hits from look-alikes of other rules.

Rules are kept apart: five folds by a hash of the rule, each judged by a model that was learned from
the other four. Beside it stands what a plain bag of words reaches in the same folds.
"""

import hashlib
import json
import random
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tests.quality.panther import Pair, area, interval, judged, within_rules

from tocsin import learn
from tocsin.evaluation import measures
from tocsin.learn.sample import Sample, probability_by
from tocsin.model import Disposition, Dossier, Example

FOLDS = 5
FEW = 500  # decisions after which probabilities are to be right


def fold(pair: Pair, seed: int) -> int:
    """In which fold the pair's rule is judged."""
    return hashlib.sha256(f"{seed}:{pair.rule}".encode()).digest()[0] % FOLDS


def learned_scores(
    chosen: Sequence[Pair],
    dossiers: Sequence[Dossier],
    seed: int,
    most: int | None = None,
    folds: Sequence[int] = tuple(range(FOLDS)),
) -> list[float]:
    """The probability of each pair by a model that never saw its rule.

    `most`: how many decisions a model is learned from; None for all of the other folds'. Pairs
    outside of `folds` are not judged and get 0.
    """
    examples = [
        Example(
            dossier=dossier,
            disposition=Disposition.TRUE_POSITIVE if pair.hit else Disposition.FALSE_POSITIVE,
            decided_at=dossier.received_at,
        )
        for pair, dossier in zip(chosen, dossiers, strict=True)
    ]
    rows = Sample.of(examples, thin=False).rows
    scores = [0.0] * len(chosen)
    for number in folds:
        inside = [n for n, pair in enumerate(chosen) if fold(pair, seed) != number]
        if most is not None:
            inside = sorted(random.Random(seed + number).sample(inside, most))
        learned = learn.fit([examples[n] for n in inside], seed=seed)
        for n, pair in enumerate(chosen):
            if fold(pair, seed) == number:
                scores[n] = probability_by(learned, rows[n])
    return scores


def words_alone(chosen: Sequence[Pair], seed: int) -> list[float]:
    """The same by a logistic regression on the words of rule and event."""
    texts = [json.dumps([pair.about, pair.event]) for pair in chosen]
    scores = np.zeros(len(chosen))
    place = np.array([fold(pair, seed) for pair in chosen])
    truth = np.array([pair.hit for pair in chosen])
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(place != number), np.flatnonzero(place == number)
        words = TfidfVectorizer(token_pattern=r"\w+", min_df=2, sublinear_tf=True)
        matrix = words.fit_transform([texts[n] for n in inside])
        model = LogisticRegression(C=10, max_iter=2000).fit(matrix, truth[inside])
        held = words.transform([texts[n] for n in outside])
        scores[outside] = model.predict_proba(held)[:, 1]
    return [float(score) for score in scores]


def report(every: Sequence[Pair], envelope: str, seed: int) -> None:
    """Print both halves alone, then all."""
    dossiers = judged(every, envelope)
    for name, half in (("developed on", True), ("held back", False), ("all", None)):
        places = [n for n, pair in enumerate(every) if half is None or pair.develops is half]
        chosen = [every[n] for n in places]
        some = [dossiers[n] for n in places]
        print(f"{envelope}, {name}: {len(chosen)} events, rules kept apart, seed {seed}")
        for what, scores in (
            ("learned", learned_scores(chosen, some, seed)),
            (f"learned from {FEW}", learned_scores(chosen, some, seed, FEW)),
            ("bag of words", words_alone(chosen, seed)),
        ):
            low, high = interval(chosen, scores)
            truth = np.array([pair.hit for pair in chosen], dtype=np.float64)
            print(
                f"  {what:17} AUC {area([pair.hit for pair in chosen], scores):.3f} "
                f"({low:.3f} to {high:.3f}), within rules {within_rules(chosen, scores):.3f}, "
                f"ECE {measures.ece(truth, np.array(scores)):.3f}",
                flush=True,
            )
