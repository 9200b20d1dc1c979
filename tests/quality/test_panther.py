"""Triage tells hits from look-alikes on rules it never saw, in whatever envelope they come."""

import pytest
from tests.quality.panther import (
    ENVELOPES,
    FILE,
    Pair,
    area,
    interval,
    judged,
    pairs,
    probabilities,
    within_rules,
)

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the rules' tests are not here")
TARGET = 0.68
NESTED = ("event", "log", "data", "raw_event", "text")


@pytest.fixture(scope="module")
def every() -> list[Pair]:
    return pairs()


@pytest.fixture(scope="module")
def scores(every: list[Pair]) -> list[float]:
    return probabilities(judged(every, "event"))


@pytest.mark.parametrize("develops", [True, False])
def test_hits_stand_above_look_alikes_on_both_halves_of_the_rules(
    every: list[Pair], scores: list[float], develops: bool
) -> None:
    places = [index for index, pair in enumerate(every) if pair.develops is develops]
    chosen, some = [every[place] for place in places], [scores[place] for place in places]
    assert area([pair.hit for pair in chosen], some) >= TARGET
    assert interval(chosen, some)[0] > 0.62
    assert within_rules(chosen, some) > 0.75


@pytest.mark.parametrize("envelope", [name for name in ENVELOPES if name != "event"])
def test_the_quality_does_not_depend_on_the_envelope(
    every: list[Pair], scores: list[float], envelope: str
) -> None:
    chosen = every[::4]
    hits, same = [pair.hit for pair in chosen], scores[::4]
    other = probabilities(judged(chosen, envelope))
    allowed = 0.01 if envelope in NESTED else 0.06  # a title that stands alone is trusted less
    assert area(hits, other) >= area(hits, same) - allowed


def test_the_alert_holds_no_answer(every: list[Pair]) -> None:
    for pair in every[:200]:
        for wrap in ENVELOPES.values():
            assert not {"expected", "mocks", "reports"} & set(wrap(pair))
            assert "name" not in pair.about


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    assert area([True, False, True], [0.9, 0.5, 0.1]) == 0.5
    assert area([True, True, False], [0.5, 0.5, 0.5]) == 0.5
