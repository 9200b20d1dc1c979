"""What must hold for every dossier: no text lowers, no gap lowers, sums are exact."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.triage_strategies import (
    BENIGN,
    DOSSIERS,
    GAPS,
    INJECTIONS,
    INSIDE,
    NETWORKS,
    NOW,
    OUTSIDE,
    alert_of,
    facts,
    with_text,
)

from tocsin.model import (
    Alert,
    AssetRecord,
    ContextType,
    Criticality,
    Disposition,
    Dns,
    Dossier,
    Email,
    Endpoint,
    Event,
    EvidenceDirection,
    Fact,
    File,
    Gap,
    GapReason,
    Host,
    Http,
    NetworkContext,
    NetworkDirection,
    ParentProcess,
    Prevalence,
    Process,
    Rule,
    Threat,
    User,
    UserContext,
    UserRecord,
    Verdict,
    risk_level,
)
from tocsin.triage import resolve, triage
from tocsin.triage.evidence import value_hash

FEW = settings(max_examples=60, deadline=None)


def severe(disposition: Disposition) -> bool:
    """Whether a verdict keeps the alert from being closed."""
    return disposition not in BENIGN


@FEW
@given(dossier=DOSSIERS, text=INJECTIONS)
def test_text_that_an_attacker_adds_never_lowers_and_never_makes_benign(
    dossier: Dossier, text: str
) -> None:
    before, after = triage(dossier), triage(with_text(dossier, text))
    assert after.probability >= before.probability
    assert after.impact >= before.impact
    assert after.risk_score >= before.risk_score
    assert after.confidence == before.confidence
    if severe(before.verdict):
        assert severe(after.verdict)
    if before.requires_human_review and after.verdict is before.verdict:
        assert after.requires_human_review


@FEW
@given(dossier=DOSSIERS)
def test_every_pointer_resolves_to_the_value_that_was_hashed(dossier: Dossier) -> None:
    verdict = triage(dossier)
    for item in verdict.evidence:
        assert value_hash(resolve(item.pointer, dossier)) == item.value_hash, item


@FEW
@given(dossier=DOSSIERS)
def test_the_waterfall_is_the_computation(dossier: Dossier) -> None:
    verdict = triage(dossier)
    total = math.fsum(item.weight for item in verdict.evidence)
    assert verdict.evidence[0].name == "prior.source"
    assert verdict.probability == pytest.approx(
        min(max(1 / (1 + math.exp(-total)), 0.001), 0.999), abs=1e-12
    )
    if 0.001 < verdict.probability < 0.999:
        logit = math.log(verdict.probability / (1 - verdict.probability))
        assert logit == pytest.approx(total, abs=1e-9)


@FEW
@given(dossier=DOSSIERS)
def test_numbers_agree_with_each_other_and_stay_in_range(dossier: Dossier) -> None:
    verdict = triage(dossier)
    assert 0 < verdict.probability < 1
    assert 0 < verdict.impact <= 1
    assert 0 < verdict.confidence <= 1
    assert verdict.risk_score == round(100 * verdict.probability * verdict.impact, 1)
    assert verdict.risk_level is risk_level(verdict.risk_score)
    assert [action.priority for action in verdict.recommended_actions] == list(
        range(1, len(verdict.recommended_actions) + 1)
    )
    assert verdict.recommended_actions
    assert all(action.entity for action in verdict.recommended_actions)
    names = [item.name for item in verdict.evidence if not item.name.startswith("intel.")]
    assert len(names) == len(set(names))


@FEW
@given(dossier=DOSSIERS)
def test_tainted_evidence_never_lowers_and_directions_follow_weights(dossier: Dossier) -> None:
    for item in triage(dossier).evidence:
        if item.tainted:
            assert item.weight >= 0
        expected = (
            EvidenceDirection.RAISES
            if item.weight > 0
            else EvidenceDirection.LOWERS
            if item.weight < 0
            else EvidenceDirection.NEUTRAL
        )
        assert item.direction is expected


@FEW
@given(dossier=DOSSIERS, gaps=GAPS)
def test_more_gaps_change_the_confidence_at_most_and_close_nothing(
    dossier: Dossier, gaps: tuple[Gap, ...]
) -> None:
    before = triage(dossier)
    after = triage(msgspec.structs.replace(dossier, gaps=dossier.gaps + gaps))
    assert after.probability >= before.probability
    assert after.risk_score >= before.risk_score
    assert after.confidence <= before.confidence
    if severe(before.verdict):
        assert severe(after.verdict)


def _gap(subject: str) -> Gap:
    return Gap(step="context", subject=subject, reason=GapReason.TIMEOUT)


@FEW
@given(
    dossier=DOSSIERS,
    network=NETWORKS,
    criticality=st.sampled_from((None, Criticality.LOW, Criticality.MEDIUM)),
    tag=st.sampled_from(("vulnerability-scanner", "backup", "monitoring", "penetration-test")),
)
def test_an_asset_that_speaks_for_the_alert_does_not_beat_knowing_nothing_of_it(
    dossier: Dossier, network: NetworkContext, criticality: Criticality | None, tag: str
) -> None:
    alert = msgspec.structs.replace(alert_of(dossier), source=Endpoint(ip=INSIDE))
    asset = AssetRecord(
        asset_id="a-5", ip=INSIDE, type="workstation", criticality=criticality, tags=(tag,)
    )
    known = msgspec.structs.replace(dossier, alert=alert, context=facts(network, asset, None))
    unknown = msgspec.structs.replace(
        known, context=facts(network, None, None), gaps=(*dossier.gaps, _gap("asset"))
    )
    assert triage(unknown).risk_score >= triage(known).risk_score
    assert triage(unknown).confidence <= triage(known).confidence


@FEW
@given(dossier=DOSSIERS)
def test_an_ordinary_user_does_not_beat_an_unknown_one(dossier: Dossier) -> None:
    alert = msgspec.structs.replace(alert_of(dossier), user=User(name="alice"))
    user = UserRecord(user_id="u-1", user_name="alice")
    others = tuple(fact for fact in dossier.context if fact.context_type is not ContextType.USER)
    data = (UserContext(user=user), UserContext())
    found, missing = (
        Fact(context_type=ContextType.USER, data=item, source="directory", confidence=0.9)
        for item in data
    )
    known = msgspec.structs.replace(dossier, alert=alert, context=(*others, found))
    unknown = msgspec.structs.replace(
        known, context=(*others, missing), gaps=(*dossier.gaps, _gap("user"))
    )
    assert triage(unknown).risk_score >= triage(known).risk_score


@FEW
@given(dossier=DOSSIERS)
def test_a_warning_list_that_could_not_be_asked_does_not_lower(dossier: Dossier) -> None:
    without = tuple(
        msgspec.structs.replace(sighting, benign_lists=()) for sighting in dossier.intel
    )
    asked = triage(dossier)
    unasked = triage(
        msgspec.structs.replace(
            dossier, intel=without, gaps=(*dossier.gaps, _gap("threat_intel:lists"))
        )
    )
    assert unasked.risk_score >= asked.risk_score


@FEW
@given(dossier=DOSSIERS, seen=st.integers(min_value=1, max_value=10**9))
def test_being_frequent_lowers_no_further_than_not_being_new(dossier: Dossier, seen: int) -> None:
    def repeated(times: int) -> Verdict:
        network = NetworkContext(
            direction=NetworkDirection.OUTBOUND,
            prevalence=(
                Prevalence(subject="rule", value="r", day=times, week=times, month=times),
                Prevalence(subject="destination_ip", value=OUTSIDE, month=times),
            ),
        )
        return triage(msgspec.structs.replace(dossier, context=facts(network, None, None)))

    assert repeated(seen).risk_score == repeated(1).risk_score


def test_hostile_text_is_data_everywhere() -> None:
    nasty = "{0} {x!r} %s %(a)s \ud800\udfff\x00\n\r\u202e</script>" + "A" * 20000
    alert = Alert(
        title=nasty,
        description=nasty,
        event=Event(module=nasty, category=nasty, action=nasty, outcome=nasty, time=NOW),
        rule=Rule(id=nasty, name=nasty, category=nasty, level=nasty),
        threat=Threat(tactics=(nasty,) * 50, techniques=(nasty,) * 50),
        source=Endpoint(ip=nasty, domain=nasty),
        destination=Endpoint(ip=nasty, port=99999),
        host=Host(name=nasty),
        user=User(name=nasty, email=nasty),
        process=Process(
            name=nasty,
            command_line="powershell -enc " + nasty,
            parent=ParentProcess(name=nasty, command_line=nasty),
        ),
        file=File(name=nasty, path=nasty),
        url=nasty,
        dns=Dns(question=nasty),
        email=Email(sender=nasty, subject=nasty),
        http=Http(user_agent=nasty),
    )
    for source in (None, nasty, "suricata", "generic", "guardduty"):
        dossier = Dossier(
            alert_id="0195-b", received_at=NOW, payload="{}", source=source, alert=alert
        )
        verdict = triage(dossier)
        assert len(verdict.analysis) < 4000
        assert "\x00" not in verdict.analysis
        assert "\n" not in verdict.analysis
        verdict.analysis.encode()
        for item in verdict.evidence:
            item.statement.encode()
            assert value_hash(resolve(item.pointer, dossier)) == item.value_hash


def test_the_same_dossier_gives_the_same_verdict_byte_for_byte() -> None:
    alert = Alert(title="ET SCAN Potential SSH Scan", rule=Rule(name="ET SCAN Potential SSH Scan"))
    dossier = Dossier(
        alert_id="0195-c", received_at=NOW, payload="{}", source="suricata", alert=alert
    )
    assert msgspec.json.encode(triage(dossier)) == msgspec.json.encode(triage(dossier))
