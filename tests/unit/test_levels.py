"""How high a rule's alerts score: what it is taken from, what it moves, and who cannot move it."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.learned_models import itself
from tests.unit.test_learn import alert_of, event_of
from tests.unit.triage_dossiers import NOW

from tocsin.learn import levelled
from tocsin.learn.levels import Scored, levels
from tocsin.learn.sample import Sample, probability_by
from tocsin.model import (
    Calibration,
    ContextType,
    Decided,
    Disposition,
    Dossier,
    Example,
    Fact,
    Learned,
    Level,
    NetworkContext,
    Prevalence,
)
from tocsin.triage import model_with, shipped_model
from tocsin.triage.learned import Sum

BARE = itself(
    Learned(
        version="",
        base=-0.5,
        words={"eventname=deletebucket": 1.5, "eventname=listbuckets": -1.5, "evil?": 1.0},
        rules={"kennel:R-decided": Decided(attacks=3, harmless=3)},
        new=Calibration(slope=1.2, intercept=0.1, level=-0.9, centre=0.4),
    )
)


def fired(rule: str, number: int, *, attack: bool) -> Dossier:
    """A judged alert whose history names its rule."""
    seen = Prevalence(subject="rule", value=f"kennel:{rule}")
    found = alert_of(event_of(number, attack=attack), rule, 61 * number)
    facts = [fact for fact in found.context if fact.context_type is not ContextType.NETWORK]
    known = NetworkContext(prevalence=(seen,))
    facts.append(
        Fact(context_type=ContextType.NETWORK, data=known, source="history", confidence=1.0)
    )
    found = msgspec.structs.replace(found, context=tuple(facts))
    return msgspec.structs.replace(found, verdict=shipped_model().assess(found)[0])


def scored(parts: Sequence[tuple[float, float]], rule: str = "r") -> list[Scored]:
    return [Scored(rule, place, Sum(*part)) for place, part in enumerate(parts)]


def test_a_level_is_the_mean_of_what_was_measured_and_the_median_of_what_was_written() -> None:
    found = levels(scored([(1.0, 0.0), (2.0, 0.5), (6.0, 9.0)]) + scored([(4.0, 2.0)], "other"))
    assert found == {"r": Level(mean=3.5, count=3), "other": Level(mean=6.0, count=1)}


def test_repeats_of_one_thing_count_as_one() -> None:
    once = scored([(1.0, 0.0), (3.0, 1.0)])
    often = once + [Scored("r", 1, Sum(3.0, 1.0))] * 20
    for found in (levels(once), levels(often)):
        assert found["r"].mean == pytest.approx(2.5)


SUMS = st.floats(0, 20)


@given(st.lists(SUMS, min_size=2, max_size=12), st.lists(SUMS, max_size=11))
def test_fewer_than_half_cannot_lift_a_rule_above_what_the_others_have(
    others: list[float], flood: list[float]
) -> None:
    flood = flood[: len(others) - 1]
    found = levels(scored([(0.0, text) for text in [*others, *flood]]))["r"]
    assert found.mean <= max(others)


def test_levels_are_of_rules_that_nobody_has_decided_on() -> None:
    alerts = [fired("R-new", n, attack=n > 0) for n in range(3)]
    alerts += [fired("R-decided", n, attack=True) for n in range(3)]
    found = levelled(BARE, alerts)
    assert list(found.levels) == ["kennel:R-new"]
    assert found.levels["kennel:R-new"].count == 3
    assert found == itself(found)
    assert found.version != BARE.version
    assert levelled(BARE, []) == BARE
    worthless = msgspec.structs.replace(BARE, new=Calibration())
    assert levelled(worthless, alerts) == worthless


@pytest.mark.parametrize("inside", [False, True])
def test_the_verdict_adds_up_as_learning_means_it(inside: bool) -> None:
    alerts = [fired("R-new", n, attack=n > 0) for n in range(3)]
    model = levelled(BARE, alerts, inside=inside)
    for alert in [*alerts, fired("R-other", 7, attack=True), fired("R-decided", 8, attack=True)]:
        row = Sample.of(
            [Example(dossier=alert, disposition=Disposition.TRUE_POSITIVE, decided_at=NOW)]
        ).rows[0]
        verdict = model_with(model).assess(alert)[0]
        assert verdict.probability == pytest.approx(probability_by(model, row), abs=0.002)
        shown = {item.name for item in verdict.evidence}
        assert ("learned.level" in shown) == (row.rule != "kennel:R-decided")


def test_what_all_alerts_of_a_rule_share_counts_less_than_what_tells_them_apart() -> None:
    alerts = [fired("R-new", n, attack=True) for n in range(20)]
    known = levelled(BARE, alerts)
    alike, other = fired("R-new", 21, attack=True), fired("R-new", 22, attack=False)
    before = model_with(BARE).assess(alike)[0].probability
    after = model_with(known).assess(alike)[0].probability
    assert after < before
    assert model_with(known).assess(other)[0].probability < after
    said = {item.name: item.statement for item in model_with(known).assess(alike)[0].evidence}
    assert "those of other rules (20 alerts)" in said["learned.level"]


@pytest.mark.parametrize("inside", [False, True])
def test_more_text_of_an_actor_never_lowers_its_own_alert(inside: bool) -> None:
    alerts = [fired("R-new", n, attack=False) for n in range(2)]
    model = model_with(levelled(BARE, alerts, inside=inside))
    plain = fired("R-new", 3, attack=False)
    payload = msgspec.json.decode(plain.payload)
    payload["event"]["userAgent"] += " evil"
    louder = msgspec.structs.replace(plain, payload=msgspec.json.encode(payload).decode())
    assert model.assess(louder)[0].probability > model.assess(plain)[0].probability
