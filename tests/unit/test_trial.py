"""Trials: noise, splits by group and time, paired comparison, measures, baselines, the picture."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from tests import small_learner as small

from tocsin.errors import NotEnough
from tocsin.evaluation.diagram import Series, reliability_svg
from tocsin.model import (
    Alert,
    Decided,
    Disposition,
    Dossier,
    Event,
    Example,
    Host,
    Learned,
    ModelMetrics,
    Rule,
    Severity,
    Verdict,
    risk_level,
)
from tocsin.trial.baselines import baselines
from tocsin.trial.card import moved
from tocsin.trial.compare import compare
from tocsin.trial.measures import measures
from tocsin.trial.noise import signature, thin
from tocsin.trial.split import check, split
from tocsin.trial.trial import hold

START = datetime(2026, 3, 1, tzinfo=UTC)
TP, FP, BP = Disposition.TRUE_POSITIVE, Disposition.FALSE_POSITIVE, Disposition.BENIGN_POSITIVE


def example(
    number: int,
    rule: str,
    disposition: Disposition,
    *,
    day: int = 0,
    host: str = "",
    chance: float = 0.5,
) -> Example:
    time = START + timedelta(days=day, seconds=number)
    alert = Alert(
        title="t",
        event=Event(time=time, severity=Severity.HIGH if number % 2 else Severity.LOW),
        rule=Rule(id=rule),
        host=Host(name=host or f"h{number}"),
    )
    verdict = Verdict(
        verdict=Disposition.UNDETERMINED, probability=chance, impact=0.5, risk_score=10,
        risk_level=risk_level(10), confidence=0.5, requires_human_review=True, analysis="",
    )  # fmt: skip
    dossier = Dossier(
        alert_id=f"a-{number}",
        received_at=time,
        payload="",
        source="s",
        alert=alert,
        verdict=verdict,
    )
    return Example(dossier=dossier, disposition=disposition, decided_at=time)


def history(days: int = 20, rules: int = 6, each: int = 2) -> list[Example]:
    """Rules that are always, or never, attacks; the shipped model knows nothing."""
    return [
        example((day * rules + rule) * each + n, f"r{rule}", FP if rule % 2 else TP, day=day)
        for day in range(days)
        for rule in range(rules)
        for n in range(each)
    ]


def test_contents_are_the_same_whatever_their_time_and_ids() -> None:
    one, other = example(1, "r", TP, host="h"), example(9, "r", FP, host="h", day=3)
    assert signature(one.dossier) == signature(other.dossier)
    assert signature(one.dossier) != signature(example(1, "r2", TP, host="h").dossier)
    assert signature(one.dossier) != signature(example(1, "r", TP, host="x").dossier)


def test_contradictions_weigh_less_the_more_people_disagree() -> None:
    clean = [example(n, "clean", FP, host="c") for n in range(0, 40, 2)]
    even = [example(100 + 2 * n, "even", TP if n % 2 else FP, host="e") for n in range(20)]
    rare = [example(200 + 2 * n, "rare", TP if n == 0 else BP, host="r") for n in range(20)]
    found = thin(clean + even + rare)
    kept = {rule: [e for e in found.examples if e.dossier.alert.rule.id == rule]  # type: ignore[union-attr]  # it has an alert
            for rule in ("clean", "even", "rare")}  # fmt: skip
    assert len(kept["clean"]) == 20
    assert [sum(e.disposition is TP for e in kept["even"]), len(kept["even"])] == [1, 2]
    assert [sum(e.disposition is TP for e in kept["rare"]), len(kept["rare"])] == [1, 19]
    assert (found.groups, found.contradicting) == (2, 40)
    assert found.left_out == 60 - len(found.examples)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=60))
def test_thinning_never_takes_the_last_of_a_kind(labels: list[tuple[int, bool]]) -> None:
    given_ = [
        example(2 * n, f"r{rule}", TP if attack else FP, host="h")
        for n, (rule, attack) in enumerate(labels)
    ]
    kept = thin(given_).examples
    kinds = {(e.dossier.alert.rule.id, e.disposition) for e in given_}  # type: ignore[union-attr]  # it has an alert
    assert kinds == {(e.dossier.alert.rule.id, e.disposition) for e in kept}  # type: ignore[union-attr]  # it has an alert


def test_what_is_held_back_is_newest_whole_groups_of_both_kinds() -> None:
    examples = history()
    parts = split(examples)
    held = [e for group in parts.held for e in group]
    assert len(held) + len(parts.learned) == len(examples)
    assert 0.25 <= len(held) / len(examples) <= 0.5
    oldest_held = min(e.dossier.received_at for e in held)
    assert max(e.dossier.received_at.date() for e in parts.learned) <= oldest_held.date()
    keys = [{(e.dossier.alert.rule.id, e.dossier.received_at.date()) for e in group}  # type: ignore[union-attr]  # it has an alert
            for group in parts.held]  # fmt: skip
    assert all(len(key) == 1 for key in keys), "a group is one rule on one day"
    learned = {(e.dossier.alert.rule.id, e.dossier.received_at.date()) for e in parts.learned}  # type: ignore[union-attr]  # it has an alert
    assert not learned & set().union(*keys), "no group is on both sides"
    assert {e.disposition for e in held} == {TP, FP}


def test_what_the_champion_has_learned_from_is_not_held_back() -> None:
    examples = history()
    seen = {e.dossier.alert_id for e in examples[:150]}
    held = [e.dossier.alert_id for group in split(examples, seen=seen).held for e in group]
    assert not seen & set(held)
    with pytest.raises(NotEnough, match="has not learned from"):
        split(examples, seen={e.dossier.alert_id for e in examples[:235]})


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        (history()[:49], "49 decisions; 50 are needed"),
        ([example(n, "r", TP) for n in range(60)], "all 60 decisions are attacks"),
        ([example(n, "r", FP) for n in range(60)], "all 60 decisions are harmless"),
    ],
)
def test_too_few_or_one_kind_are_not_learned_from(examples: list[Example], says: str) -> None:
    with pytest.raises(NotEnough, match=says):
        check(examples)


def test_one_rule_on_one_day_cannot_be_split() -> None:
    with pytest.raises(NotEnough, match="too little to compare"):
        split([example(n, "r", TP if n % 2 else FP) for n in range(100)])


class Fixed:
    """A learner whose models are sure to a given degree, rightly or wrongly."""

    def fit(
        self,
        examples: Sequence[Example],
        *,
        seed: int = 0,
        by_rule: Mapping[str, Decided] | None = None,
    ) -> Learned:
        return small.fit(examples, seed=seed, by_rule=by_rule)

    def levelled(self, learned: Learned, dossiers: Iterable[Dossier]) -> Learned:
        return small.levelled(learned, dossiers)

    def assess(self, learned: Learned | None, examples: Sequence[Example]) -> ModelMetrics:
        return small.assess(learned, examples)


def test_a_better_challenger_goes_live_and_learns_from_everything() -> None:
    examples = history()
    verdict = hold(Fixed(), examples, None, seen=(), now=START)
    assert verdict.better
    assert verdict.card.comparison.share_better == 1.0
    assert verdict.card.comparison.high < 0
    assert verdict.learned == small.fit(thin(examples).examples)
    assert verdict.card.version != verdict.card.trial_version
    assert verdict.card.challenger.log_loss < verdict.card.baselines["severity"].log_loss
    assert verdict.card.champion.log_loss == pytest.approx(math.log(2))
    assert verdict.card.data.by_disposition == {"true_positive": 120, "false_positive": 120}
    assert "better than shipped" in verdict.why
    again = hold(Fixed(), examples, None, seen=(), now=START)
    assert again == verdict


def test_a_challenger_that_learned_noise_stays_out() -> None:
    """What was so until the day before is the other way round in what is held back."""
    examples = history()
    turned = {TP: FP, FP: TP}
    turned = {TP: FP, FP: TP}
    moved_on = [
        msgspec.structs.replace(e, disposition=turned[e.disposition]) if n >= 170 else e
        for n, e in enumerate(examples)
    ]
    verdict = hold(Fixed(), moved_on, None, seen=(), now=START)
    assert not verdict.better
    assert verdict.card.comparison.difference > 0
    assert verdict.card.version == verdict.card.trial_version
    assert "not better" in verdict.why


def test_a_difference_that_one_group_makes_is_not_enough() -> None:
    """Better on average through one large group, worse in most: resamples show it."""
    held = [[example(n * 10, f"r{n}", TP, chance=0.6)] for n in range(9)]
    held.append([example(1000, "big", TP, chance=0.01)])
    challenger = small.learned_of("v", {**{f"rule.r{n}": 0.2 for n in range(9)}, "rule.big": 3.0})
    found = compare(small.assess, None, challenger, held)
    assert found.difference < 0
    assert 0.5 < found.share_better < 0.9
    assert not found.better


@given(
    st.lists(st.tuples(st.sampled_from([0.02, 0.1, 0.35, 0.5, 0.51, 0.9, 0.99]), st.booleans()),
             min_size=2, max_size=50).filter(lambda p: len({t for _, t in p}) == 2)
)  # fmt: skip
def test_the_measures_are_those_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    chances, truths = [p for p, _ in pairs], [t for _, t in pairs]
    found = measures(chances, truths)
    assert found.log_loss == pytest.approx(log_loss(truths, chances))
    assert found.brier == pytest.approx(brier_score_loss(truths, chances))
    assert found.roc_auc == pytest.approx(roc_auc_score(truths, chances))
    assert found.pr_auc == pytest.approx(average_precision_score(truths, chances))
    assert sum(count for _, _, count in found.reliability) == len(pairs)


def test_one_kind_alone_has_no_areas() -> None:
    found = measures([0.0, 1.0], [False, False])
    assert (found.roc_auc, found.pr_auc) == (None, None)
    assert math.isfinite(found.log_loss)


def test_baselines_know_only_what_was_learned() -> None:
    examples = history()
    parts = split(examples)
    found = baselines(parts.learned, [e for group in parts.held for e in group])
    assert found["always"].roc_auc == pytest.approx(0.5)
    assert found["signature"].roc_auc == 1.0


def test_the_weights_that_moved_most_come_first() -> None:
    before = small.learned_of("a", {"x": 1.0, "gone": 0.5, "same": 2.0})
    after = small.learned_of("b", {"x": -1.5, "new": 0.1, "same": 2.0})
    found = [(m.name.rpartition(".")[2], m.before, m.after) for m in moved(before, after)]
    assert found == [("x", 1.0, -1.5), ("gone", 0.5, 0.0), ("new", 0.0, 0.1)]
    shipped = [move.name.rpartition(".")[2] for move in moved(None, after)]
    assert shipped == ["same", "x", "new"]


def test_the_picture_is_well_formed_and_keeps_hostile_names_as_text() -> None:
    metrics = measures([0.1, 0.4, 0.9, 0.95], [False, True, True, True])
    svg = reliability_svg("<script>&\"'", [Series("</svg><script>alert(1)</script>", metrics)])
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
    assert len(root.findall(".//{*}circle/{*}title")) == len(metrics.reliability)
