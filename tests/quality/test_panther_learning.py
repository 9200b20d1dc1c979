"""What was learned of some rules tells hits from look-alikes of others, with honest numbers."""

import numpy as np
import pytest
from tests.quality.panther import FILE, Pair, area, judged, pairs, within_rules
from tests.quality.panther_learning import FEW, fold, learned_scores

from tocsin.evaluation import measures
from tocsin.model import Dossier

pytestmark = [
    pytest.mark.skipif(not FILE.is_file(), reason="the rules' tests are not here"),
    pytest.mark.timeout(600),  # each model is calibrated by ten more
]


@pytest.fixture(scope="module")
def every() -> list[Pair]:
    return pairs()


@pytest.fixture(scope="module")
def dossiers(every: list[Pair]) -> list[Dossier]:
    return judged(every, "event")


def error(every: list[Pair], scores: list[float]) -> float:
    truth = np.array([pair.hit for pair in every], dtype=np.float64)
    return measures.ece(truth, np.array(scores))


def test_no_rule_is_learned_from_and_judged(every: list[Pair]) -> None:
    places = {(pair.rule, fold(pair, 0)) for pair in every}
    assert len(places) == len({rule for rule, _ in places})
    assert {place for _, place in places} == set(range(5))


def test_other_rules_are_judged_well(every: list[Pair], dossiers: list[Dossier]) -> None:
    scores = learned_scores(every, dossiers, seed=0, folds=(0,))
    places = [n for n, pair in enumerate(every) if fold(pair, 0) == 0]
    judged_ones, of_them = [every[n] for n in places], [scores[n] for n in places]
    assert area([pair.hit for pair in judged_ones], of_them) >= 0.82
    assert within_rules(judged_ones, of_them) >= 0.84
    assert error(judged_ones, of_them) <= 0.08  # a fifth of the pairs: chance alone makes half


def test_few_decisions_are_enough_for_honest_probabilities(
    every: list[Pair], dossiers: list[Dossier]
) -> None:
    assert error(every, learned_scores(every, dossiers, seed=0, most=FEW)) <= 0.04
