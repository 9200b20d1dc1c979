"""The shipped weights and families hold together, and wrong ones are refused."""

import hashlib

import pytest

from tocsin.errors import SettingsError
from tocsin.knowledge import attack
from tocsin.triage import shipped_model
from tocsin.triage.families import Families, RuleText
from tocsin.triage.weights import (
    REQUIRED,
    SECTIONS,
    TABLES,
    data_file,
    load,
    playbook_files,
    section,
)

SHIPPED = data_file("weights.toml")


def family(source: str, **fields: str) -> str | None:
    """The family that the shipped tables tell from these fields of a declared source."""
    text = RuleText(
        source=source,
        declared=True,
        rule_id=fields.get("rule_id"),
        rule_name=fields.get("rule_name"),
        rule_category=fields.get("rule_category"),
        rule_level=fields.get("rule_level"),
        event_category=fields.get("event_category"),
        title=fields.get("title", ""),
    )
    return shipped_model().families.of(text).name


def test_the_version_is_the_hash_of_the_weights_the_tables_of_words_and_the_playbooks() -> None:
    _, version = load()
    tables = [data_file(name) for name in TABLES]
    files = b"\n".join([SHIPPED, *tables, *playbook_files().values()])
    assert "actions.toml" in playbook_files()
    assert version == "expert-1+" + hashlib.sha256(files).hexdigest()[:12]
    assert load(SHIPPED + b"\n")[1] != version


def test_every_weight_says_why() -> None:
    weights, _ = load()
    for name in SECTIONS:
        for entry in section(weights, name).values():
            assert len(entry.why) >= 8


def test_severity_alone_decides_nothing() -> None:
    weights, _ = load()
    assert all(abs(entry.weight) <= 0.5 for entry in weights.severity.values())


def test_what_is_unknown_counts_for_more_than_what_is_ordinary() -> None:
    impact = load()[0].impact
    assert impact["asset_unknown"].weight >= impact["asset_medium"].weight
    assert impact["asset_unrated"].weight >= impact["asset_medium"].weight
    assert impact["user_unknown"].weight >= impact["user_ordinary"].weight


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"suricata = { weight = -2.6", b"suricata = { weight = nan"),
        (b"encoded = { weight = 0.9", b"encoded = { weight = -0.9"),
        (b"backup = { weight = -1.6", b"backup = { weight = 1.6"),
        (b"encoded = {", b"encoding = {"),
        (b"asset_low = { weight = 0.4", b"asset_low = { weight = 1.4"),
        (b"stage = 0.75", b"stage = 7.5"),
        (b'families = ["scan", "exploit"', b'families = ["scanning", "exploit"'),
        (b'why = "The middle of the scale says nothing."', b'why = ""'),
        (b"[severity]", b"[severities]"),
        (b"[severity]", b"[severity"),
        (b"TA0043", b"\xff"),
        (b"critical = { weight = 0.45", b'critical = { weight = "0.45"'),
    ],
)
def test_weights_that_cannot_work_are_refused(old: bytes, new: bytes) -> None:
    assert old in SHIPPED
    with pytest.raises(SettingsError, match=r"triage/weights\.toml"):
        load(SHIPPED.replace(old, new, 1))


def test_every_required_entry_is_asked_for() -> None:
    assert REQUIRED.keys() <= set(SECTIONS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"ET SCAN" = "scan"', b'"ET SCAN" = "scans"'),
        (b'malware = ["malware"', b'malware = ["mal(ware"'),
        (b"[words]", b"[wordings]"),
    ],
)
def test_family_tables_that_cannot_work_are_refused(old: bytes, new: bytes) -> None:
    content = data_file("families.toml")
    assert old in content
    with pytest.raises(SettingsError, match=r"triage/families\.toml"):
        Families(load()[0], content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        ("suricata", {"rule_name": "ET SCAN Potential SSH Scan"}, "scan"),
        ("suricata", {"rule_name": "ET MALWARE Example Loader"}, "malware"),
        ("suricata", {"rule_name": "ET MALWARE Example CnC Beacon"}, "command_and_control"),
        ("suricata", {"rule_name": "ET INFO Possible Trojan Download"}, "information"),
        ("suricata", {"rule_name": "SURICATA STREAM Packet with invalid ack"}, "decoder"),
        ("suricata", {"rule_name": "GPL ICMP_INFO PING *NIX"}, "information"),
        ("suricata", {"rule_category": "Web Application Attack"}, "web_attack"),
        ("suricata", {"rule_name": "LOCAL rule 7"}, None),
        ("wazuh", {"rule_category": "syslog,sshd,authentication_failures"}, "brute_force"),
        ("wazuh", {"rule_category": "pam,syslog,authentication_success"}, "routine"),
        ("wazuh", {"rule_category": "ossec", "rule_level": "3"}, "routine"),
        ("wazuh", {"rule_category": "ossec", "rule_level": "9"}, None),
        ("windows", {"rule_name": "LSASS Memory Access"}, "credential_theft"),
        ("windows", {"rule_name": "Shadow Copies Deletion Using Utilities"}, "ransomware"),
        ("guardduty", {"rule_id": "CryptoCurrency:EC2/BitcoinTool.B!DNS"}, "cryptomining"),
        ("guardduty", {"rule_id": "UnauthorizedAccess:EC2/SSHBruteForce"}, "brute_force"),
        ("guardduty", {"rule_id": "Recon:EC2/PortProbeUnprotectedPort"}, "scan"),
        ("generic", {"event_category": "port_scan"}, "scan"),
        ("generic", {"event_category": "scan"}, "scan"),
        ("generic", {"title": "Ransomware note found"}, "ransomware"),
        ("generic", {"title": "Port scan"}, None),
    ],
)
def test_a_rule_is_put_into_its_family(
    source: str, fields: dict[str, str], expected: str | None
) -> None:
    assert family(source, **fields) == expected


def test_filled_in_descriptions_raise_and_never_lower() -> None:
    assert family("wazuh", rule_name="Informational: policy heartbeat") is None
    assert family("wazuh", rule_name="Mimikatz was started") == "credential_theft"
    calmed = family(
        "wazuh", rule_category="attack,exploit", rule_name="exploit of /informational-scan-policy"
    )
    assert calmed == "exploit"


def test_attack_names_come_from_the_installed_data() -> None:
    technique = attack.technique("t1059.001")
    assert technique is not None
    assert (technique.name, technique.tactics) == ("PowerShell", ("TA0002",))
    parent = attack.technique("T1059.999")
    assert parent is not None
    assert parent.id == "T1059"
    assert attack.technique("T0000") is None
    assert attack.technique("x" * 100_000) is None


def test_tactics_are_known_by_any_of_their_names_and_stand_in_order() -> None:
    for text in ("TA0006", "ta0006", "credential-access", "Credential Access", "credential_access"):
        tactic = attack.tactic(text)
        assert tactic is not None
        assert tactic.id == "TA0006"
    assert set(attack.tactics()) == set(attack.KILL_CHAIN)
    stages = [attack.tactics()[identifier].stage for identifier in attack.KILL_CHAIN]
    assert stages == sorted(stages)
    assert set(load()[0].tactic) == set(attack.KILL_CHAIN)
