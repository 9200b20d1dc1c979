"""What each kind of evidence weighs, and that its rules hold."""

import msgspec
import pytest
from tests.unit.triage_dossiers import (
    ALICE,
    BEACON,
    NOW,
    OURS,
    THEIRS,
    WORKSTATION,
    dossier,
    listed,
    names,
    network_alert,
    weight,
)

from tocsin.model import (
    Alert,
    AssetRecord,
    Criticality,
    Disposition,
    Endpoint,
    Event,
    Gap,
    GapReason,
    Http,
    Mapping,
    MappingMethod,
    NetworkDirection,
    Prevalence,
    Rule,
    Severity,
    Sighting,
    Threat,
    ThreatLevel,
    User,
    UserRecord,
    Verdict,
)
from tocsin.model import ObservableRole as Role
from tocsin.model import ObservableType as Kind
from tocsin.triage import resolve, triage


def test_severity_alone_never_makes_an_attack() -> None:
    for source in ("suricata", "wazuh", "windows", "cef", "guardduty", "generic", None):
        alert = Alert(title="Something", event=Event(severity=Severity.CRITICAL, time=NOW))
        verdict = triage(dossier(source, alert))
        assert verdict.verdict is Disposition.UNDETERMINED
        assert verdict.requires_human_review


def test_guessing_that_succeeds_weighs_more_than_guessing_that_fails() -> None:
    def guessing(outcome: str) -> Verdict:
        alert = Alert(
            title="sshd: brute force",
            event=Event(outcome=outcome, time=NOW, severity=Severity.MEDIUM),
            rule=Rule(id="5712", category="syslog,sshd,authentication_failures"),
            source=Endpoint(ip=THEIRS),
            user=User(name="alice"),
        )
        return triage(dossier("wazuh", alert, NetworkDirection.INBOUND))

    failed, succeeded = guessing("failure"), guessing("success")
    assert weight(failed, "logon.failure") < 0
    assert weight(succeeded, "logon.success_after_failures") > 1
    assert failed.probability < succeeded.probability


def test_a_disabled_account_in_use_raises_and_calls_a_person() -> None:
    alert = Alert(
        title="Logon",
        event=Event(time=NOW, outcome="success"),
        rule=Rule(category="authentication_success", level="3"),
        user=User(name="alice"),
    )
    gone = msgspec.structs.replace(ALICE, enabled=False)
    verdict = triage(dossier("wazuh", alert, user=gone))
    assert weight(verdict, "user.disabled") > 1
    assert verdict.requires_human_review


def test_an_account_that_the_directory_lacks_is_named_and_raises() -> None:
    alert = Alert(title="Logon", user=User(name="ghost"), event=Event(time=NOW))
    gap = Gap(step="context", subject="user", reason=GapReason.NOT_FOUND)
    verdict = triage(dossier("wazuh", alert, user=None, gaps=(gap,)))
    assert weight(verdict, "user.unknown") > 0
    system = msgspec.structs.replace(alert, user=User(name="SYSTEM"))
    assert "user.unknown" not in names(triage(dossier("wazuh", system, user=None, gaps=(gap,))))


def test_what_the_border_stopped_weighs_less_and_what_left_us_does_not() -> None:
    inbound = network_alert("ET EXPLOIT Example", outbound=False, action="blocked")
    assert (
        weight(
            triage(dossier("suricata", inbound, NetworkDirection.INBOUND)),
            "network.inbound_blocked",
        )
        < 0
    )
    outbound = network_alert("ET MALWARE Example", outbound=True, action="blocked")
    verdict = triage(dossier("suricata", outbound, NetworkDirection.OUTBOUND))
    assert weight(verdict, "network.outbound_attack") > 0
    assert not [item for item in verdict.evidence if item.weight < 0 and "block" in item.name]


def test_a_log_line_that_calls_itself_blocked_is_not_believed() -> None:
    alert = Alert(
        title="Web attack", event=Event(action="blocked", time=NOW), source=Endpoint(ip=THEIRS)
    )
    for source in ("wazuh", "unknown", None):
        found = names(triage(dossier(source, alert, NetworkDirection.INBOUND)))
        assert "network.inbound_blocked" not in found


def test_a_listed_scanner_at_the_door_weighs_less_than_a_listed_place_we_go_to() -> None:
    knocking = network_alert("Local rule", outbound=False)
    going = network_alert("Local rule", outbound=True)
    at_door = triage(
        dossier(
            "suricata", knocking, NetworkDirection.INBOUND, intel=(listed(THEIRS, Role.SOURCE),)
        )
    )
    visited = triage(
        dossier(
            "suricata",
            going,
            NetworkDirection.OUTBOUND,
            intel=(listed(THEIRS, Role.DESTINATION),),
        )
    )
    assert weight(at_door, "intel.source_ip_listed") < weight(
        visited, "intel.destination_ip_listed"
    )


def test_wider_matches_mentions_and_further_hits_weigh_less() -> None:
    alert = network_alert("Local rule", outbound=True)

    def intel(*sightings: Sighting) -> Verdict:
        return triage(dossier("suricata", alert, NetworkDirection.OUTBOUND, intel=sightings))

    exact = weight(intel(listed(THEIRS, Role.DESTINATION)), "intel.destination_ip_listed")
    wider = intel(listed(THEIRS, Role.DESTINATION, matched="203.0.113.0/24"))
    mention = intel(listed(THEIRS, Role.MENTION))
    two = intel(listed(THEIRS, Role.DESTINATION), listed("203.0.113.8", Role.DESTINATION))
    assert weight(wider, "intel.destination_ip_listed") < exact
    assert weight(mention, "intel.mention_ip_listed") < exact
    assert exact < weight(two, "intel.destination_ip_listed") < 2 * exact


def test_a_well_known_destination_lowers_a_little_and_caps_a_hit() -> None:
    alert = network_alert("Local rule", outbound=True)
    known = Sighting(
        type=Kind.IP, value=THEIRS, role=Role.DESTINATION, benign_lists=("public resolvers",)
    )
    lowered = triage(dossier("suricata", alert, NetworkDirection.OUTBOUND, intel=(known,)))
    assert weight(lowered, "intel.well_known_destination") == pytest.approx(-0.5)
    both = listed(THEIRS, Role.DESTINATION, ThreatLevel.CRITICAL, benign_lists=("resolvers",))
    capped = triage(dossier("suricata", alert, NetworkDirection.OUTBOUND, intel=(both,)))
    assert weight(capped, "intel.destination_ip_listed") == pytest.approx(0.8)
    inbound = network_alert("Local rule", outbound=False)
    rented = msgspec.structs.replace(known, role=Role.SOURCE)
    verdict = triage(dossier("suricata", inbound, NetworkDirection.INBOUND, intel=(rented,)))
    assert "intel.well_known_destination" not in names(verdict)


def test_administrative_ports_inside_raise_on_rules_for_intruders_only() -> None:
    def inside(name: str) -> Verdict:
        alert = msgspec.structs.replace(
            network_alert(name, outbound=True), destination=Endpoint(ip="10.20.1.9", port=445)
        )
        return triage(dossier("suricata", alert, NetworkDirection.INTERNAL))

    assert weight(inside("ET EXPLOIT SMB remote code execution"), "network.lateral") > 0
    assert weight(inside("ET POLICY SMB version 1 in use"), "network.lateral") == 0


def test_touching_a_decoy_raises() -> None:
    decoy = msgspec.structs.replace(WORKSTATION, tags=("honeypot",))
    alert = network_alert("ET SCAN Probe", outbound=False)
    verdict = triage(dossier("suricata", alert, NetworkDirection.INBOUND, asset=decoy))
    assert weight(verdict, "asset.honeypot") > 2


def test_new_here_raises_a_little_and_only_where_there_is_a_history() -> None:
    rule = Prevalence(subject="rule", value="suricata:2024897")
    busy = Prevalence(subject="source_ip", value=OURS, month=7)
    outbound = NetworkDirection.OUTBOUND
    empty = triage(dossier("suricata", BEACON, outbound, prevalence=(rule,)))
    new = triage(dossier("suricata", BEACON, outbound, prevalence=(rule, busy)))
    assert "rarity.new_rule" not in names(empty)
    assert 0 < weight(new, "rarity.new_rule") < 0.5


def test_impact_follows_asset_account_and_stage_and_unknown_is_not_low() -> None:
    def impact(asset: AssetRecord | None, user: UserRecord | None = ALICE) -> float:
        return triage(
            dossier("suricata", BEACON, NetworkDirection.OUTBOUND, asset=asset, user=user)
        ).impact

    def rated(criticality: Criticality | None) -> AssetRecord:
        return msgspec.structs.replace(WORKSTATION, criticality=criticality)

    low, medium = impact(rated(Criticality.LOW)), impact(rated(Criticality.MEDIUM))
    critical = impact(rated(Criticality.CRITICAL))
    assert low < medium < impact(None) < critical
    assert impact(rated(None)) == impact(None)
    admin = msgspec.structs.replace(ALICE, privileged=True)
    assert impact(rated(Criticality.LOW), admin) > low
    exposed = msgspec.structs.replace(WORKSTATION, exposed=True)
    assert impact(exposed) > medium


def test_a_guessed_mapping_lowers_nothing_by_its_own_words() -> None:
    alert = Alert(
        title="ET INFO heartbeat",
        event=Event(severity=Severity.INFO, action="blocked", outcome="failure", category="scan"),
        rule=Rule(name="ET INFO heartbeat", category="Not Suspicious Traffic", level="0"),
        threat=Threat(tactics=("TA0043",)),
        mapping=Mapping(method=MappingMethod.INFERRED),
        http=Http(user_agent="Mozilla/5.0"),
    )
    for source in ("suricata", "wazuh", "unknown"):
        verdict = triage(dossier(source, alert, NetworkDirection.INBOUND))
        assert [item.name for item in verdict.evidence if item.weight < 0] == ["prior.source"]


def test_a_pointer_to_nothing_is_a_key_error() -> None:
    case = dossier("suricata", BEACON)
    for pointer in (
        "alerts/0195-e#/rule/nothing",
        "alerts/another#/title",
        "alert_context/0195-e/network#/prevalence/0",
        "threat_intel/ip/192.0.2.1#/threat_level",
        "nowhere",
        "",
    ):
        with pytest.raises(KeyError):
            resolve(pointer, case)


def test_naming_something_worse_does_not_hide_that_guessing_succeeded() -> None:
    def reported(title: str) -> Verdict:
        event = Event(outcome="success", time=NOW)
        return triage(dossier("generic", Alert(title=title, event=event)))

    plain, worse = reported("Brute force"), reported("Brute force by malware")
    assert weight(plain, "logon.success_after_failures") > 1
    assert weight(worse, "logon.success_after_failures") > 1
    assert worse.probability > plain.probability


def test_text_of_an_event_never_makes_a_verdict_look_surer() -> None:
    def sure(title: str) -> float:
        return triage(dossier("generic", Alert(title=title))).confidence

    assert sure("Something about malware and a port scan") == sure("Something")


def test_a_guessed_tactic_does_not_make_the_impact_small() -> None:
    def impact(method: MappingMethod) -> float:
        threat = Threat(tactics=("TA0043",))
        alert = Alert(title="Something", threat=threat, mapping=Mapping(method=method))
        return triage(dossier("generic", alert)).impact

    assert impact(MappingMethod.INFERRED) > impact(MappingMethod.DECLARED)


def test_a_packet_that_was_let_through_is_no_logon() -> None:
    alert = Alert(
        title="SSH brute force",
        rule=Rule(id="UnauthorizedAccess:EC2/SSHBruteForce"),
        event=Event(outcome="success", time=NOW),
    )
    assert "logon.success_after_failures" not in names(triage(dossier("guardduty", alert)))
