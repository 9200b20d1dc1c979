"""Exports: the names of the Elastic Common Schema and of OCSF's Detection Finding."""

from datetime import UTC, datetime

from tocsin.model import (
    Alert,
    Dns,
    Email,
    Endpoint,
    Event,
    File,
    Hashes,
    Host,
    Http,
    Network,
    Observable,
    ObservableRole,
    ObservableType,
    ParentProcess,
    Process,
    Registry,
    Rule,
    Severity,
    Threat,
    User,
)
from tocsin.normalize.ecs import to_ecs
from tocsin.normalize.ocsf import to_ocsf

TIME = datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)
RECEIVED = datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC)
MD5 = "900150983cd24fb0d6963f7d28e17f72"
ALERT = Alert(
    title="Title",
    description="Why",
    event=Event(module="m", category="malware", severity=Severity.HIGH, time=TIME, action="run"),
    rule=Rule(id="r", name="Rule"),
    threat=Threat(tactics=("TA0002",), techniques=("T1059.001",)),
    source=Endpoint(ip="192.0.2.1", port=1, mac="00-00-5E-00-53-23", bytes=5),
    destination=Endpoint(ip="198.51.100.1", domain="www.example.com"),
    host=Host(name="ws", id="A-1", ip="192.0.2.1", os="Windows"),
    user=User(name="ann", domain="EXAMPLE", email="ann@example.org"),
    process=Process(
        name="a.exe", executable="C:\\a.exe", parent=ParentProcess(name="b.exe", pid=4)
    ),
    file=File(name="a.exe", hash=Hashes(md5=MD5)),
    url="https://www.example.com:8443/p?q=1",
    dns=Dns(question="c2.example.net"),
    email=Email(sender="eve@example.net", recipients=("ann@example.org",), subject="s"),
    http=Http(method="GET", status=200, user_agent="curl"),
    network=Network(transport="tcp", protocol="tls"),
    registry=Registry(path="HKLM\\x"),
    observables=(
        Observable(type=ObservableType.IP, value="192.0.2.1", role=ObservableRole.SOURCE),
        Observable(type=ObservableType.HASH, value=MD5, role=ObservableRole.FILE),
    ),
)


def test_ecs_has_nested_fields_under_their_ecs_names() -> None:
    document = to_ecs(ALERT, alert_id="a1", source="suricata", received_at=RECEIVED, original="{}")
    assert document["@timestamp"] == "2026-05-01T10:00:00.500000+00:00"
    assert document["event"] == {
        "kind": "alert",
        "id": "a1",
        "module": "m",
        "category": "malware",
        "action": "run",
        "severity": 73,
        "reason": "Why",
        "dataset": "suricata",
        "ingested": "2026-05-01T10:00:05+00:00",
        "original": "{}",
    }
    assert document["rule"] == {"id": "r", "name": "Rule"}
    assert document["threat"]["tactic"] == {"id": ["TA0002"]}
    assert document["threat"]["technique"] == {"subtechnique": {"id": ["T1059.001"]}}
    assert document["source"]["bytes"] == 5
    assert document["destination"]["domain"] == "www.example.com"
    assert document["host"] == {
        "name": "ws",
        "id": "A-1",
        "ip": ["192.0.2.1"],
        "os": {"name": "Windows"},
    }
    assert document["process"]["parent"] == {"name": "b.exe", "pid": 4}
    assert document["file"]["hash"] == {"md5": MD5}
    assert document["url"]["port"] == 8443
    assert document["url"]["path"] == "/p"
    assert document["dns"]["question"]["name"] == "c2.example.net"
    assert document["email"]["from"]["address"] == ["eve@example.net"]
    assert document["http"] == {"request": {"method": "GET"}, "response": {"status_code": 200}}
    assert document["user_agent"] == {"original": "curl"}
    assert document["network"] == {"transport": "tcp", "protocol": "tls"}
    assert document["registry"] == {"path": "HKLM\\x"}
    assert document["message"] == "Title"
    assert document["related"]["ip"] == ["192.0.2.1", "198.51.100.1"]
    assert document["related"]["hash"] == [MD5]
    assert document["related"]["user"] == ["ann", "ann@example.org"]
    assert document["ecs"]["version"]


def test_ecs_of_an_empty_alert_has_no_empty_fields() -> None:
    assert set(to_ecs(Alert(title="t"))) == {"message", "event", "ecs"}


def test_ocsf_is_a_detection_finding_with_its_required_fields() -> None:
    finding = to_ocsf(ALERT, alert_id="a1", received_at=RECEIVED, source="suricata")
    assert finding["class_uid"] == 2004
    assert finding["category_uid"] == 2
    assert finding["type_uid"] == 200_401
    assert finding["severity_id"] == 4
    assert finding["time"] == 1_777_629_600_500
    assert finding["metadata"]["product"] == {"name": "m", "vendor_name": "unknown"}
    assert finding["metadata"]["version"]
    info = finding["finding_info"]
    assert (info["title"], info["uid"], info["types"]) == ("Title", "a1", ["malware"])
    assert info["attacks"] == [
        {
            "tactic": {"uid": "TA0002"},
            "technique": {"uid": "T1059"},
            "sub_technique": {"uid": "T1059.001"},
        }
    ]
    assert finding["observables"][1] == {
        "name": "file",
        "type_id": 8,
        "type": "File Hash",
        "value": MD5,
    }
    evidence = finding["evidences"][0]
    assert evidence["src_endpoint"]["ip"] == "192.0.2.1"
    assert evidence["device"]["hostname"] == "ws"
    assert evidence["actor"]["user"]["name"] == "ann"
    assert evidence["file"]["hashes"] == [{"algorithm_id": 1, "algorithm": "MD5", "value": MD5}]
    assert evidence["process"]["parent_process"] == {"name": "b.exe", "pid": 4}


def test_ocsf_of_an_empty_alert_still_has_what_is_required() -> None:
    finding = to_ocsf(Alert(title="t"), alert_id="a1", received_at=RECEIVED)
    assert finding["severity_id"] == 0
    assert finding["time"] == 1_777_629_605_000
    assert "evidences" not in finding
    assert finding["finding_info"] == {"uid": "a1", "title": "t"}
