"""What the judged samples of a class prove, and when they prove nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.closing import calibrate, look_size
from tocsin.closing.bounds import samples_needed, upper_bound
from tocsin.model import EDGES, ClassBound, ClosingRules, Disposition, Sample, ceiling_bin

START = datetime(2026, 3, 4, tzinfo=UTC)
CLASS = "suricata/scan"
FALSE, TRUE = Disposition.FALSE_POSITIVE, Disposition.TRUE_POSITIVE
RULES = ClosingRules(classes=(CLASS,))
TOP = EDGES[ceiling_bin(0.25)]


def sample(
    number: int,
    decision: Disposition | None = FALSE,
    probability: float = 0.02,
    *,
    closable: bool = True,
    likeness: str = "",
) -> Sample:
    return Sample(
        alert_id=f"{number:06}", class_name=CLASS, probability=probability, closable=closable,
        at=START + timedelta(minutes=number), likeness=likeness or str(number), decision=decision,
    )  # fmt: skip


def proven(rules: ClosingRules, samples: list[Sample], **passing: int) -> ClassBound:
    return calibrate(rules, CLASS, samples, {int(n[1:]): c for n, c in passing.items()})


def test_too_few_samples_say_how_many_more_are_needed() -> None:
    bound = proven(RULES, [sample(n) for n in range(298)])
    assert bound.threshold is None
    assert "1 more random samples are needed: 298 of 299" in bound.why
    assert "299 clean ones are the fewest" in bound.why
    assert (bound.needed, bound.samples, bound.look) == (299, 298, 0)


def test_299_clean_samples_prove_one_percent_at_five() -> None:
    bound = proven(RULES, [sample(n) for n in range(299)])
    assert bound.threshold == TOP
    assert bound.bound == pytest.approx(upper_bound(0, 299, 0.05))
    assert bound.bound <= 0.01
    assert (bound.below, bound.attacks, bound.closes, bound.why) == (299, 0, 1.0, "")


@pytest.mark.parametrize("word", [TRUE, Disposition.UNDETERMINED])
def test_one_attack_among_them_does_not_and_what_people_cannot_tell_counts_as_one(
    word: Disposition,
) -> None:
    samples = [sample(n) for n in range(298)] + [sample(298, word)]
    bound = proven(RULES, samples)
    assert bound.threshold is None
    assert "1 of 299 samples are attacks" in bound.why
    assert "all looks are used" in bound.why
    more = [*samples, *[sample(n) for n in range(299, 2000)]]
    assert proven(RULES, more).threshold is None, "samples beyond the look change nothing"


def test_a_sample_that_nobody_has_judged_is_waited_for() -> None:
    samples = [sample(n) for n in range(400)]
    samples[7] = sample(7, None)
    bound = proven(RULES, samples)
    assert bound.threshold is None
    assert bound.undecided == 1
    assert "1 samples are not judged yet" in bound.why


def test_samples_that_could_not_be_closed_do_not_count_but_for_the_share_of_all_attacks() -> None:
    guarded = [sample(n, TRUE, closable=False) for n in range(0, 300, 3)]
    samples = sorted([*guarded, *(sample(n) for n in range(300, 599))], key=lambda s: s.at)
    bound = proven(RULES, samples)
    assert bound.threshold == TOP
    assert (bound.samples, bound.known_attacks) == (299, 100)
    assert bound.lost == pytest.approx(upper_bound(0, 100, 0.05 / (ceiling_bin(0.25) + 1)))
    alone = proven(RULES, [sample(n) for n in range(299)])
    assert alone.lost == 1.0, "without attacks nothing is known of their share"


def test_delta_is_split_over_classes_and_looks() -> None:
    rules = ClosingRules(classes=tuple(f"a/{n}" for n in range(5)), looks=2)
    assert rules.level == pytest.approx(0.005)
    assert look_size(rules, 1) == samples_needed(0.01, 0.005) == 528
    assert look_size(rules, 2) == 1056


def test_a_later_look_may_prove_what_the_first_could_not() -> None:
    rules = ClosingRules(classes=(CLASS,), looks=2)
    first = look_size(rules, 1)
    samples = [sample(n, TRUE if n == 3 else FALSE) for n in range(2 * first)]
    early = proven(rules, samples[: 2 * first - 1])
    assert early.threshold is None
    assert f"the next look is at {2 * first} samples" in early.why
    late = proven(rules, samples)
    assert (late.look, late.threshold) == (2, TOP)


def test_attacks_at_higher_scores_lower_the_threshold() -> None:
    rules = ClosingRules(classes=(CLASS,), samples=1200)
    samples = [
        sample(n, TRUE if n % 3 == 2 and n % 2 else FALSE, 0.01 if n % 3 < 2 else 0.15)
        for n in range(1200)
    ]
    bound = proven(rules, samples, b10=8000, b21=4000)
    assert bound.threshold is not None
    assert 0.01 <= bound.threshold < 0.15
    assert bound.attacks == 0
    assert bound.closes == pytest.approx(2 / 3)


def test_repeats_of_one_alert_prove_nothing() -> None:
    bound = proven(RULES, [sample(n, likeness=str(n % 40)) for n in range(299)])
    assert bound.threshold is None
    assert "only 40 of its samples differ" in bound.why


def test_the_edges_are_fixed_and_rise() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert (EDGES[0], EDGES[-1], len(EDGES)) == (0.000911, 0.5, 29)
