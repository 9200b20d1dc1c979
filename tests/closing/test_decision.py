"""What a policy does with one alert: the guards, the draw, the threshold."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.unit.triage_dossiers import ALICE, THEIRS, WORKSTATION, dossier, listed, network_alert

from tocsin.closing import class_of, decide
from tocsin.closing.decision import drawn, share_of
from tocsin.closing.rules import check
from tocsin.errors import InputError
from tocsin.model import (
    ClosingAction,
    ClosingMode,
    ClosingPolicy,
    ClosingRules,
    Criticality,
    Disposition,
    Dossier,
    Evidence,
    EvidenceDirection,
    Gap,
    GapReason,
    NetworkDirection,
    ObservableRole,
    ThreatLevel,
)
from tocsin.triage import triage

CLASS = "suricata/information"
SEED = "5e" * 32
INFO = network_alert("ET INFO Observed Query", outbound=True)


def policy(
    mode: ClosingMode = ClosingMode.ON, *, rate: float = 0.01, **changes: object
) -> ClosingPolicy:
    rules = ClosingRules(classes=(CLASS,), sample_rate=rate, **changes)  # type: ignore[arg-type]
    return ClosingPolicy(
        version=3, revision=9, mode=mode, rules=rules, seed=SEED, thresholds={CLASS: 0.2}
    )


def judged(found: Dossier, alert_id: str = "0195-e") -> Dossier:
    return structs.replace(found, alert_id=alert_id, verdict=triage(found))


def harmless(**facts: object) -> Dossier:
    return judged(
        dossier("suricata", INFO, NetworkDirection.OUTBOUND, **facts)  # type: ignore[arg-type]
    )


def with_verdict(found: Dossier, **changes: object) -> Dossier:
    assert found.verdict is not None
    return structs.replace(found, verdict=structs.replace(found.verdict, **changes))


def lowering(name: str, *, tainted: bool = False) -> Evidence:
    return Evidence(
        name=name, statement="s", pointer="p", value_hash="0" * 16,
        direction=EvidenceDirection.LOWERS, weight=-3.0, tainted=tainted,
    )  # fmt: skip


def test_a_harmless_alert_of_a_proven_class_is_closed_and_says_why() -> None:
    closing = decide(policy(), harmless())
    assert closing.action is ClosingAction.CLOSED
    assert (closing.class_name, closing.threshold, closing.policy_version) == (CLASS, 0.2, 3)
    assert "at most the threshold" in closing.why


def test_shadow_mode_closes_nothing_and_off_looks_at_nothing() -> None:
    assert decide(policy(ClosingMode.SHADOW), harmless()).action is ClosingAction.WOULD_CLOSE
    for rate in (0.01, 1.0):
        closing = decide(policy(ClosingMode.OFF, rate=rate), harmless())
        assert closing.action is ClosingAction.LEFT


def calm(found: Dossier) -> Dossier:
    """The same facts, but triage says that it is harmless: only the guard is left."""
    return with_verdict(
        found,
        verdict=Disposition.FALSE_POSITIVE,
        probability=0.01,
        confidence=0.9,
        requires_human_review=False,
    )


BASE = harmless()
assert BASE.verdict is not None
CRITICAL = structs.replace(WORKSTATION, criticality=Criticality.CRITICAL)
UNCHECKED = tuple(
    Gap(step="intel", subject=f"s{n}", reason=GapReason.TIMEOUT, detail="") for n in range(4)
)
LISTED = listed(THEIRS, ObservableRole.DESTINATION, ThreatLevel.LOW)
GUARDED = {
    "the asset is critical": calm(harmless(asset=CRITICAL)),
    "the account is disabled": calm(harmless(user=structs.replace(ALICE, enabled=False))),
    "intelligence knows one of its indicators": calm(harmless(intel=(LISTED,))),
    "too much could not be checked": calm(harmless(gaps=UNCHECKED)),
    "triage asks for a person": with_verdict(BASE, requires_human_review=True),
    "triage calls it an attack": with_verdict(BASE, verdict=Disposition.TRUE_POSITIVE),
    "triage does not call it harmless": with_verdict(BASE, verdict=Disposition.UNDETERMINED),
    "the verdict is not sure enough": with_verdict(BASE, confidence=0.39),
    "its probability is above the ceiling": with_verdict(BASE, probability=0.26),
    "a language model's evidence lowers it": with_verdict(
        BASE, evidence=(*BASE.verdict.evidence, lowering("model.says_harmless"))
    ),
}


@pytest.mark.parametrize("why", GUARDED)
def test_what_a_guard_keeps_open_is_never_closed_and_says_which(why: str) -> None:
    closing = decide(policy(), GUARDED[why])
    assert closing.action is ClosingAction.LEFT
    assert not closing.closable
    assert closing.why == why


def test_decisions_on_the_rule_lower_no_score_but_may_keep_an_alert_open() -> None:
    plain = decide(policy(), BASE)
    for weight in (-3.0, 1.0):
        moved = structs.replace(lowering("prior.decisions"), weight=weight)
        after = with_verdict(BASE, evidence=(*BASE.verdict.evidence, moved), probability=0.02)
        closing = decide(policy(), after)
        assert closing.probability == pytest.approx(plain.probability)
        assert closing.action is ClosingAction.CLOSED
    doubted = with_verdict(after, probability=0.5)
    assert decide(policy(), doubted).action is ClosingAction.LEFT
    assert not decide(policy(), with_verdict(after, probability=float("nan"))).closable


def test_undetermined_alerts_close_only_when_the_rules_say_so() -> None:
    found = GUARDED["triage does not call it harmless"]
    assert decide(policy(undetermined=True), found).action is ClosingAction.CLOSED
    assert decide(policy(), found).action is ClosingAction.LEFT


@pytest.mark.parametrize("probability", [0.2000001, float("nan"), 1.0])
def test_above_the_threshold_and_no_number_stay_open(probability: float) -> None:
    found = with_verdict(harmless(), probability=probability)
    assert decide(policy(), found).action is ClosingAction.LEFT


def test_another_version_of_the_model_closes_nothing() -> None:
    other = structs.replace(policy(), model_version="another")
    assert decide(other, harmless()).action is ClosingAction.LEFT
    same = structs.replace(policy(), model_version=harmless().verdict.model_version)  # type: ignore[union-attr]
    assert decide(same, harmless()).action is ClosingAction.CLOSED


def test_classes_that_the_policy_does_not_name_or_has_not_proven_stay_open() -> None:
    unproven = structs.replace(policy(), thresholds={})
    assert decide(unproven, harmless()).action is ClosingAction.LEFT
    rules = ClosingRules(classes=("suricata/scan",), sample_rate=1.0)
    other = structs.replace(policy(), rules=rules)
    assert decide(other, harmless()).action is ClosingAction.LEFT, "nor is it drawn"


def test_the_draw_is_reproducible_even_and_beyond_the_senders_reach() -> None:
    one, other = policy(), structs.replace(policy(), seed="7a" * 32)
    later = structs.replace(policy(), version=4)
    ids = [f"alert-{number}" for number in range(20_000)]
    first = [drawn(one, alert_id) for alert_id in ids]
    assert first == [drawn(one, alert_id) for alert_id in ids]
    assert 0.007 < sum(first) / len(ids) < 0.013
    for changed in (other, later):
        both = sum(drawn(one, i) and drawn(changed, i) for i in ids)
        assert both < 12, "another key or version draws others"
    assert 0.48 < sum(share_of(one, i) for i in ids) / len(ids) < 0.52
    assert drawn(one, "\udcff\0{}%s") in (True, False)


def test_what_is_drawn_is_never_closed() -> None:
    everything = policy(rate=1.0)
    closing = decide(everything, harmless())
    assert closing.action is ClosingAction.SAMPLED
    assert closing.closable
    assert len(closing.likeness) == 16
    guarded = decide(everything, GUARDED["the asset is critical"])
    assert (guarded.action, guarded.closable) == (ClosingAction.SAMPLED, False)


def test_repeats_are_alike_and_other_things_are_not() -> None:
    everything = policy(rate=1.0)
    same = judged(dossier("suricata", INFO, NetworkDirection.OUTBOUND), "another-id")
    assert decide(everything, same).likeness == decide(everything, harmless()).likeness
    alert = structs.replace(INFO, source=structs.replace(INFO.source, ip="10.20.1.6"))
    other = judged(dossier("suricata", alert, NetworkDirection.OUTBOUND))
    assert decide(everything, other).likeness != decide(everything, harmless()).likeness


def test_text_that_an_attacker_writes_chooses_no_class() -> None:
    found = harmless()
    assert class_of(found) == CLASS
    tainted = with_verdict(found, evidence=(lowering("prior.family.routine", tainted=True),))
    assert class_of(tainted) == "suricata/other"
    assert class_of(structs.replace(found, source=None, verdict=None)) == "unknown/other"


HOSTILE = [
    "",
    "x",
    "/",
    "a/",
    "/b",
    "no slash",
    "a/b\n",
    "a/\x1b[31m",
    "a/\0",
    "a/\udcff",
    "a/" + "x" * 127,
]


@pytest.mark.parametrize("name", [*HOSTILE, "a/" + "x" * 127])
def test_hostile_class_names_are_refused(name: str) -> None:
    with pytest.raises((InputError, msgspec.ValidationError)):
        check(msgspec.convert({"classes": [name]}, ClosingRules))


def test_class_names_of_braces_and_percents_are_only_text() -> None:
    check(ClosingRules(classes=("{0}%s/'; DROP TABLE alerts --",)))
    for classes in ((), ("a/b", "a/b"), tuple(f"a/{n}" for n in range(33))):
        with pytest.raises(InputError):
            check(ClosingRules(classes=classes))


@given(st.text(), st.floats(0, 1), st.sampled_from(list(Disposition)), st.booleans())
def test_nothing_that_triage_can_say_closes_above_the_threshold(
    alert_id: str, probability: float, verdict: Disposition, review: bool
) -> None:
    found = with_verdict(
        structs.replace(BASE, alert_id=alert_id),
        probability=probability, verdict=verdict, requires_human_review=review,
    )  # fmt: skip
    closing = decide(policy(undetermined=True), found)
    if closing.action is ClosingAction.CLOSED:
        assert probability <= 0.2
        assert verdict is not Disposition.TRUE_POSITIVE
        assert not drawn(policy(), alert_id)
