"""The statistics: against scipy, against what must be so, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tocsin.closing.bounds import climb, first_candidate, samples_needed, upper_bound
from tocsin.closing.drift import Alarm, shift
from tocsin.closing.simulation import _starts, all_outcomes


def test_the_fewest_clean_samples_are_those_of_the_textbook() -> None:
    assert samples_needed(0.01, 0.05) == 299
    assert samples_needed(0.05, 0.05) == 59
    assert samples_needed(0.01, 0.01) == 459
    assert samples_needed(0.1, 0.1) == 22


@given(st.floats(0.0001, 0.2), st.floats(0.0001, 0.5))
def test_one_sample_fewer_would_not_do(alpha: float, level: float) -> None:
    fewest = samples_needed(alpha, level)
    assert upper_bound(0, fewest, level) <= alpha * (1 + 1e-9)
    assert fewest == 1 or upper_bound(0, fewest - 1, level) > alpha * (1 - 1e-9)


@given(st.integers(0, 60), st.integers(1, 4000), st.floats(0.0001, 0.5))
def test_the_bound_is_scipys_exact_one(found: int, samples: int, level: float) -> None:
    found = min(found, samples)
    ours = upper_bound(found, samples, level)
    exact = stats.binomtest(found, samples, alternative="less").proportion_ci(
        confidence_level=1 - level, method="exact"
    )
    assert ours == pytest.approx(exact.high, rel=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), min_size=1, max_size=12),
    st.integers(0, 11),
    st.sampled_from([0.005, 0.01, 0.05]),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_the_climb_stops_at_the_first_bound_above_alpha(
    cells: list[tuple[int, int]], start: int, alpha: float, level: float
) -> None:
    start = min(start, len(cells) - 1)
    below = np.cumsum([clean + bad for clean, bad in cells])
    attacks = np.cumsum([bad for _, bad in cells])
    expected = -1
    for number in range(start, len(cells)):
        n, k = int(below[number]), int(attacks[number])
        if n == 0 or upper_bound(k, n, level) > alpha:
            break
        expected = number
    assert int(climb(below, attacks, start, alpha, level)) == expected


def test_the_climb_begins_where_alerts_that_were_not_drawn_say() -> None:
    assert first_candidate([0, 100, 800, 100], 1000, 299) == 2
    assert first_candidate([0, 100, 800, 100], 4000, 299) == 1
    assert first_candidate([0, 100, 800, 100], 299, 299) == 3
    assert first_candidate([0, 0, 0], 1000, 299) == 2, "nothing is known: the last"
    random = np.random.default_rng(5)
    passing = random.multinomial(20_000, random.dirichlet(np.ones(29), size=50))
    ours = [first_candidate([int(c) for c in row], 1000, 299) for row in passing]
    assert ours == _starts(passing, 1000, 299).tolist()


def test_the_alarm_rings_rarely_while_the_bound_holds_and_soon_when_it_does_not() -> None:
    random = np.random.default_rng(3)
    for rate, least, most in ((0.01, 0.0, 0.05), (0.005, 0.0, 0.05), (0.05, 0.99, 1.0)):
        alarm = Alarm(0.01)
        for _ in range(2000):
            alarm.take((random.random(4000) < rate).astype(float))
        share = float(np.mean(alarm.highest >= 20))
        assert least <= share <= most, rate


def test_the_alarm_notices_a_change_after_a_long_good_time() -> None:
    alarm = Alarm(0.01)
    for _ in range(3000):
        alarm.take(0.0)
    assert alarm.highest <= 1.0
    taken = 0
    while alarm.highest < 100:
        alarm.take(float(taken % 10 == 0))
        taken += 1
    assert taken < 200


@pytest.mark.parametrize("alpha", [0.0001, 0.01, 0.2])
def test_the_alarm_gains_nothing_on_average_at_alpha(alpha: float) -> None:
    """The definition of an e-process, step by step: E[value | before] ≤ value before."""
    for past in ((), (0, 0, 1), (1,) * 5, (0,) * 50):
        values = []
        for following in (0.0, 1.0):
            alarm = Alarm(alpha)
            for attack in past:
                alarm.take(float(attack))
            before = alarm.value
            alarm.take(following)
            values.append(alarm.value)
        mean = (1 - alpha) * values[0] + alpha * values[1]
        assert mean <= before * (1 + 1e-12)


def test_a_shift_of_the_scores_is_told_from_chance() -> None:
    random = np.random.default_rng(7)
    shares = random.dirichlet(np.ones(20))
    before = dict(enumerate(random.multinomial(5000, shares).tolist()))
    alike = dict(enumerate(random.multinomial(500, shares).tolist()))
    other = dict(enumerate(random.multinomial(500, shares[::-1]).tolist()))
    same, moved = shift(before, alike), shift(before, other)
    assert same is not None
    assert moved is not None
    assert same[0] < 0.25 + same[1]
    assert moved[0] > 0.25 + moved[1]
    assert shift(before, {1: 299}) is None, "too few"
    assert shift({}, before) is None
    all_new = shift({3: 1000}, {9: 1000})
    assert all_new is not None
    assert math.isfinite(all_new[0])
    assert all_new[0] > 1


def test_the_simulation_holds_where_assumptions_do_and_fails_where_one_is_broken() -> None:
    holding, broken = all_outcomes(histories=1000, alpha=0.01, delta=0.05, samples=299, seed=11)
    for outcome in holding:
        assert outcome.broken <= 0.05, outcome.world.name
    assert {o.world.name: o.proven for o in holding}["good"] > 0.3, "it must close something"
    outcomes = {o.world.name: o for o in broken}
    for name in ("chosen samples", "more attacks", "wrong labels"):
        assert outcomes[name].broken > 0.2, name
    assert outcomes["more attacks"].noticed > 0.9
    assert outcomes["wrong labels"].noticed < 0.05, "nobody can notice what nobody says"
    _, broken = all_outcomes(histories=1000, alpha=0.01, delta=0.05, samples=1000, seed=11)
    outcomes = {o.world.name: o for o in broken}
    assert outcomes["repeats"].broken > 0.3
    assert outcomes["repeats"].refused == 1.0
    assert outcomes["moved scores"].broken > 0.05
    assert outcomes["moved scores"].noticed > 0.9


def test_the_bound_holds_at_the_very_edge() -> None:
    """Every class a hair above alpha: the chance to be proven is as exact as it gets."""
    random = np.random.default_rng(17)
    histories, alpha, level = 40_000, 0.02, 0.05
    for samples in (149, 235, 500):
        attacks = random.binomial(samples, alpha + 1e-9, size=(histories, 1))
        found = climb(np.full((histories, 1), samples), attacks, np.zeros(histories), alpha, level)
        assert np.mean(found >= 0) <= level + 4 * math.sqrt(level * (1 - level) / histories)
