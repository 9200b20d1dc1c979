"""What no definition knows: fields found by their names and by the shapes of values."""

import json
from typing import Any

import pytest

from tocsin.model import Alert, MappingMethod, Severity
from tocsin.normalize import normalize_payload

CLOUD_LOG = {
    "eventVersion": "1.08",
    "eventTime": "2026-05-01T10:00:00Z",
    "eventName": "ConsoleLogin",
    "eventSource": "signin.amazonaws.com",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "203.0.113.4",
    "userAgent": "Mozilla/5.0",
    "userIdentity": {"type": "IAMUser", "userName": "ann", "accountId": "111122223333"},
    "responseElements": {"ConsoleLogin": "Failure"},
}
IDENTITY_LOG = {
    "published": "2026-05-01 10:00:00.5",
    "eventType": "user.session.start",
    "severity": "WARN",
    "displayMessage": "User login",
    "actor": {"alternateId": "ann@example.org", "id": "00u1", "type": "User"},
    "client": {"ipAddress": "203.0.113.5", "userAgent": {"rawUserAgent": "curl/8.0"}},
    "outcome": {"result": "SUCCESS"},
}
ENDPOINT_LOG = {
    "event": {
        "CommandLine": "rundll32.exe x.dll,Start",
        "ImageFileName": "\\Device\\HarddiskVolume2\\Windows\\System32\\rundll32.exe",
        "SHA256HashData": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "ComputerName": "WS-9",
        "DetectName": "Suspicious rundll32",
        "SeverityName": "Critical",
        "Technique": "T1218.011",
        "timestamp": "1777629600000",
    }
}
PAIRED_LOG = {
    "OperationName": "grantRole",
    "AuditKeyValues": [
        {"Key": "actor_user", "ValueString": "ann@example.org"},
        {"Key": "target_name", "ValueString": "bob@example.org"},
    ],
    "UserIp": "203.0.113.6",
    "UTCTimestamp": "2026-05-01 10:00:00.000000000",
}


def value(alert: Alert, path: str) -> Any:
    node: Any = alert
    for name in path.split("."):
        node = getattr(node, name)
    return node


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            CLOUD_LOG,
            {
                "title": "ConsoleLogin",
                "event.outcome": "failure",
                "source.ip": "203.0.113.4",
                "user.name": "ann",
                "cloud.region": "us-east-1",
                "cloud.account": "111122223333",
                "http.user_agent": "Mozilla/5.0",
            },
        ),
        (
            IDENTITY_LOG,
            {
                "title": "User login",
                "event.action": "user.session.start",
                "event.severity": Severity.MEDIUM,
                "event.outcome": "success",
                "source.ip": "203.0.113.5",
                "user.name": "ann@example.org",
                "user.email": "ann@example.org",
                "user.id": "00u1",
                "http.user_agent": "curl/8.0",
            },
        ),
        (
            ENDPOINT_LOG,
            {
                "title": "Suspicious rundll32",
                "event.severity": Severity.CRITICAL,
                "host.name": "WS-9",
                "process.command_line": "rundll32.exe x.dll,Start",
                "file.hash.sha256": ENDPOINT_LOG["event"]["SHA256HashData"].lower(),
                "threat.techniques": ("T1218.011",),
            },
        ),
        (
            PAIRED_LOG,
            {
                "title": "grantRole",
                "source.ip": "203.0.113.6",
                "user.name": "ann@example.org",
            },
        ),
        (
            {"_source": {"alert": {"name": "Deep", "level": "p1"}, "ts": 1777629600}},
            {"title": "Deep", "event.severity": Severity.CRITICAL},
        ),
        (
            {"SrcIpAddr_s": "192.0.2.1", "DstIpAddr_s": "198.51.100.1", "DstPort_d": 443.0},
            {"source.ip": "192.0.2.1", "destination.ip": "198.51.100.1", "destination.port": 443},
        ),
        (
            {"message": json.dumps({"user_name": "ann", "src": "192.0.2.3"})},
            {"user.name": "ann", "source.ip": "192.0.2.3"},
        ),
        (
            {
                "peers": {
                    "weird_destination_thing": "198.51.100.9",
                    "weird_client_thing": "192.0.2.9",
                }
            },
            {"destination.ip": "198.51.100.9", "source.ip": "192.0.2.9"},
        ),
    ],
)
def test_the_fields_of_unknown_formats_are_found(
    payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    name, alert, _ = normalize_payload(json.dumps(payload), "acme")
    assert name == "acme"
    assert {path: value(alert, path) for path in expected} == expected
    assert alert.mapping.method is MappingMethod.INFERRED
    assert any("inference" in note for note in alert.mapping.notes)


@pytest.mark.parametrize("payload", [CLOUD_LOG, IDENTITY_LOG, ENDPOINT_LOG, PAIRED_LOG])
def test_the_event_time_of_unknown_formats_is_found(payload: dict[str, Any]) -> None:
    _, alert, gaps = normalize_payload(json.dumps(payload))
    assert alert.event.time is not None
    assert alert.event.time.isoformat().startswith("2026-05-01T10:00:00")
    assert gaps == ()


def test_addresses_under_unknown_names_become_observables() -> None:
    _, alert, _ = normalize_payload(
        '{"x": ["a"], "nodes": {"one": "192.0.2.1", "two": "192.0.2.2"}}'
    )
    assert {item.value for item in alert.observables} == {"192.0.2.1", "192.0.2.2"}


def test_an_identifier_is_no_hash_unless_its_name_says_so() -> None:
    digest = "900150983cd24fb0d6963f7d28e17f72"
    _, alert, _ = normalize_payload(json.dumps({"customer": digest, "title": "t"}))
    assert alert.observables == ()
    _, alert, _ = normalize_payload(json.dumps({"object_hash_x": digest, "title": "t"}))
    assert [item.value for item in alert.observables] == [digest]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'date=2026-05-01T10:00:00Z srcip=192.0.2.7 dstip=198.51.100.7 user=ann msg="Denied it"',
            {"source.ip": "192.0.2.7", "destination.ip": "198.51.100.7", "user.name": "ann"},
        ),
        (
            "<13>May  1 10:00:00 fw-1 app[7]: srcip=192.0.2.8 action=deny",
            {"host.name": "fw-1", "source.ip": "192.0.2.8"},
        ),
        (
            '<13>May  1 10:00:00 fw-1 app: {"src_ip": "192.0.2.9", "title": "In syslog"}',
            {"title": "In syslog", "source.ip": "192.0.2.9"},
        ),
        ("just some words from 203.0.113.3", {"title": "just some words from 203.0.113.3"}),
        ("", {"title": "Alert from unknown"}),
        ("{broken json", {"title": "{broken json"}),
        ("[1, 2]", {}),
        ('\ufeff{"title": "After a mark"}', {"title": "After a mark"}),
    ],
)
def test_a_line_of_text_is_an_alert_too(line: str, expected: dict[str, Any]) -> None:
    name, alert, _ = normalize_payload(line)
    assert name == "unknown"
    assert {path: value(alert, path) for path in expected} == expected
    assert alert.title


def test_a_long_line_gives_a_title_of_two_hundred_characters() -> None:
    _, alert, _ = normalize_payload("words " * 100)
    assert len(alert.title) == 200


@pytest.mark.parametrize(
    ("event", "action", "outcome"),
    [
        ({"eventName": "DeleteTrail", "errorCode": "AccessDenied"}, "DeleteTrail", "failure"),
        ({"eventName": "DeleteTrail", "errorCode": ""}, "DeleteTrail", None),
        ({"verb": "get", "responseStatus": {"code": 403}}, "get", "failure"),
        ({"verb": "get", "responseStatus": {"code": 101}}, "get", "success"),
        (
            {
                "protoPayload": {
                    "methodName": "SetIamPolicy",
                    "status": {"code": 7},
                    "action": "ADD",
                }
            },
            "SetIamPolicy",
            "failure",
        ),
        ({"EVENT_TYPE": "LOGIN", "IS_SUCCESS": "NO"}, "LOGIN", "failure"),
        ({"eventTypeName": "USER_INVITED"}, "USER_INVITED", None),
        ({"event": "org.user.invite"}, "org.user.invite", None),
        ({"event_type": {"_tag": "tfa_change_status"}}, "tfa_change_status", None),
    ],
)
def test_what_was_done_and_how_it_ended_is_found_in_cloud_events(
    event: dict[str, Any], action: str, outcome: str | None
) -> None:
    payload = json.dumps({"rule": {"title": "t", "id": "r"}, "raw_event": event})
    alert = normalize_payload(payload)[1]
    assert (alert.event.action, alert.event.outcome) == (action, outcome)
