"""How well what was learned of some rules' tests tells hits from look-alikes of other rules.

Rules are kept apart: five folds by a hash of the rule, each judged by a model that was learned from
the other four. How high a rule's alerts score among others is known of those that lie there to be
judged (as in `tocsin triage FILE --learn-from`), of those that came before, or of none. Beside it
stands what a plain bag of words reaches in the same folds.
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
PORTIONS = 10
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
    portions: int = 1,
) -> list[float]:
    """The probability of each pair by a model that never saw its rule.

    Args:
        chosen, dossiers: the pairs, and what triage made of them.
        seed: of the folds.
        most: how many decisions a model is learned from; None for all of the other folds'.
        folds: pairs outside of these are not judged and get 0.
        portions: in how many portions those to be judged arrive, in an order drawn by lot. With
            each, the levels of rules are learned anew: of one portion, of the alerts themselves; of
            several, of the portions before. 0: no rule has a level.
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
        outside = [n for n, pair in enumerate(chosen) if fold(pair, seed) == number]
        random.Random(seed).shuffle(outside)
        size = -(-len(outside) // max(portions, 1))
        for start in range(0, len(outside), size):
            known = outside if portions == 1 else outside[: start if portions else 0]
            known_ones = [dossiers[n] for n in known]
            level = learn.levelled(learned, known_ones, inside=portions == 1)
            for n in outside[start : start + size]:
                scores[n] = probability_by(level, rows[n])
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
            ("levels of before", learned_scores(chosen, some, seed, portions=PORTIONS)),
            ("no levels", learned_scores(chosen, some, seed, portions=0)),
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
