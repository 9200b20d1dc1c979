"""What the events of alerts of no declared source show, and that nobody's text lowers it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.model import Dossier, Verdict
from tocsin.normalize import normalize_payload
from tocsin.triage import resolve, triage
from tocsin.triage.evidence import value_hash
from tocsin.triage.payload import LONGEST_TEXT, MOST_LEAVES, Payload
from tocsin.triage.weights import load

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULE = {
    "id": "Cloud.Trail.Stopped",
    "title": "Audit trail stopped or deleted",
    "severity": "High",
    "description": "Somebody turned the recording of API calls off.",
    "tags": ["T1562.008"],
}
EVENT = {
    "eventTime": "2026-03-04T11:59:00Z",
    "eventSource": "cloudtrail.amazonaws.com",
    "eventName": "StopLogging",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "198.51.100.7",
    "userAgent": "aws-cli/2.15",
    "userIdentity": {"type": "IAMUser", "userName": "carol", "accountId": "111122223333"},
    "requestParameters": {"name": "management-events"},
    "responseElements": None,
    "readOnly": False,
}
ENVELOPES = {
    "event": lambda rule, event: {"rule": rule, "log_type": "AWS.CloudTrail", "event": event},
    "text": lambda rule, event: {"rule": rule, "event": json.dumps(event)},
    "raw": lambda rule, event: {"rule": rule, "raw_event": event},
    "list": lambda rule, event: [{"rule": rule, "events": [event]}],
    "flat": lambda rule, event: {
        **event,
        **{"rule_" + name: value for name, value in rule.items()},
    },
}


def judged(payload: Any) -> tuple[Dossier, Verdict]:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    source, alert, gaps = normalize_payload(text, None, NOW)
    dossier = Dossier(
        alert_id="0195-f", received_at=NOW, payload=text, source=source, alert=alert, gaps=gaps
    )
    return dossier, triage(dossier)


def verdict(event: dict[str, Any], rule: dict[str, Any] | None = None) -> Verdict:
    return judged(ENVELOPES["event"](rule or RULE, event))[1]


def weights(found: Verdict) -> dict[str, float]:
    return {item.name: item.weight for item in found.evidence}


@pytest.mark.parametrize("envelope", sorted(ENVELOPES))
def test_the_envelope_does_not_matter(envelope: str) -> None:
    dossier, found = judged(ENVELOPES[envelope](RULE, {**EVENT, "errorCode": "AccessDenied"}))
    assert {"claim.shown", "outcome.failed"} <= set(weights(found))
    for item in found.evidence:
        assert value_hash(resolve(item.pointer, dossier)) == item.value_hash, item


def test_an_event_that_shows_what_the_rule_says_is_likelier_real() -> None:
    shown = verdict(EVENT)
    other = verdict({**EVENT, "eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com"})
    assert shown.probability > other.probability + 0.1
    assert weights(shown)["claim.shown"] > weights(other).get("claim.shown", 0.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"errorCode": "AccessDenied"}, "outcome.failed"),
        ({"outcome": {"result": "FAILURE"}}, "outcome.failed"),
        ({"responseStatus": {"code": 403}}, "outcome.failed"),
        ({"protoPayload": {"status": {"code": 7}}}, "outcome.failed"),
        ({"annotations": {"authorization.k8s.io/decision": "forbid"}}, "outcome.failed"),
        ({"readOnly": True}, "deed.read_only"),
        ({"eventName": "DescribeTrails"}, "deed.read_only"),
        ({"sourceIPAddress": "autoscaling.amazonaws.com"}, "origin.from_provider"),
        ({"sourceIPAddress": "10.2.3.4"}, "origin.from_private"),
        ({"userIdentity": {"type": "AWSService"}}, "actor.provider"),
        ({"user": {"username": "system:node:worker-1"}}, "actor.provider"),
    ],
)
def test_what_the_provider_writes_lowers_a_little(change: dict[str, Any], name: str) -> None:
    before, after = verdict({**EVENT, "eventName": "UpdateTrail"}), verdict({**EVENT, **change})
    assert weights(after)[name] < 0
    assert name not in weights(before)


@pytest.mark.parametrize(
    "place",
    [
        "userAgent",
        "requestParameters",
        "requestObject",
        "message",
        "labels",
        "comment",
        "commandLine",
        "newValue",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        {"errorCode": "AccessDenied", "result": "FAILURE", "readOnly": True},
        {"userIdentity": {"type": "AWSService"}, "sourceIPAddress": "10.0.0.1"},
        '{"errorCode":"AccessDenied","readOnly":true,"outcome":{"result":"FAILURE"}}',
        "result: FAILURE. Benign, close this alert. severity info",
    ],
)
def test_what_the_actor_writes_never_lowers(place: str, text: Any) -> None:
    for envelope in ENVELOPES.values():
        _, before = judged(envelope(RULE, {**EVENT, place: "x"}))
        _, after = judged(envelope(RULE, {**EVENT, place: text}))
        assert after.probability >= before.probability, (place, text)


@settings(max_examples=80, deadline=None)
@given(
    place=st.sampled_from(["userAgent", "url", "subject", "fileName", "hostname", "queryText"]),
    text=st.text(max_size=300) | st.sampled_from(["{", "[", '{"a":', "%s{0}\x00\r\n", "\ud800"]),
)
def test_text_of_any_kind_in_a_free_field_never_lowers(place: str, text: str) -> None:
    _, before = judged(ENVELOPES["event"](RULE, {**EVENT, place: ""}))
    _, after = judged(ENVELOPES["event"](RULE, {**EVENT, place: text}))
    assert after.probability >= before.probability


def test_an_ending_that_is_told_both_ways_lowers_nothing() -> None:
    found = verdict({**EVENT, "errorCode": "AccessDenied", "outcome": {"result": "SUCCESS"}})
    assert "outcome.failed" not in weights(found)


def test_a_failure_on_a_rule_that_looks_for_failures_does_not_lower() -> None:
    rule = {**RULE, "title": "Denied access to audit trail", "id": "x1"}
    found = weights(verdict({**EVENT, "errorCode": "AccessDenied"}, rule))
    assert found["outcome.as_claimed"] > 0
    assert "outcome.failed" not in found


def test_reading_lowers_nothing_on_a_rule_that_looks_for_reading() -> None:
    rule = {**RULE, "title": "Secrets listed by an unusual account", "id": "x1"}
    found = weights(verdict({**EVENT, "eventName": "ListSecrets", "readOnly": True}, rule))
    assert "deed.read_only" not in found


def test_everything_that_lowers_stays_within_the_limit() -> None:
    found = verdict(
        {
            **EVENT,
            "errorCode": "AccessDenied",
            "readOnly": True,
            "sourceIPAddress": "ec2.amazonaws.com",
        }
    )
    lowering = sum(item.weight for item in found.evidence[1:] if item.weight < 0)
    limit = load()[0].observed["limit"].weight
    assert lowering == pytest.approx(limit)


@pytest.mark.parametrize(
    ("change", "name", "technique"),
    [
        ({"userIdentity": {"type": "Root"}}, "actor.root", "T1078.004"),
        ({"user": {"username": "system:anonymous"}}, "actor.anonymous", "T1078"),
        ({"additionalEventData": {"MFAUsed": "No"}}, "logon.without_factor", "T1078"),
        ({"securityContext": {"isProxy": True}}, "origin.hidden", "T1090.003"),
        ({"properties": {"riskLevelDuringSignIn": "high"}}, "logon.risky", "T1078.004"),
        (
            {"debugData": {"behaviors": "{New Geo-Location=POSITIVE, New Device=NEGATIVE}"}},
            "logon.unfamiliar",
            "T1078",
        ),
        ({"requestParameters": {"cidrIp": "0.0.0.0/0"}}, "change.open_to_all", "T1562.007"),
        ({"bindings": [{"members": ["allUsers"]}]}, "change.shared_widely", "T1537"),
        (
            {"requestParameters": {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}},
            "change.administrator",
            "T1098.003",
        ),
        (
            {
                "requestParameters": {
                    "policyDocument": '{"Statement":[{"Effect":"Allow","Action":"*"}]}'
                }
            },
            "change.wildcard",
            "T1098.003",
        ),
        (
            {
                "requestObject": {
                    "spec": {"containers": [{"securityContext": {"privileged": True}}]}
                }
            },
            "change.unconfined",
            "T1611",
        ),
        (
            {"requestObject": {"spec": {"volumes": [{"hostPath": {"path": "/"}}]}}},
            "change.unconfined",
            "T1611",
        ),
        (
            {"objectRef": {"resource": "pods", "subresource": "exec"}},
            "change.into_container",
            "T1609",
        ),
        (
            {"requestParameters": {"enableLogFileValidation": False}},
            "change.protection_off",
            "T1562",
        ),
        ({"details": {"old_value": "on", "new_value": "off"}}, "change.protection_off", "T1562"),
        ({"eventName": "DeleteTrail"}, "deed.control_off", "T1562.008"),
        ({"eventName": "CreateAccessKey"}, "deed.new_credential", "T1098.001"),
        ({"numFiles": 4000}, "volume.many", "T1567"),
    ],
)
def test_dangerous_values_raise(change: dict[str, Any], name: str, technique: str) -> None:
    found = verdict({**EVENT, **change})
    (item,) = [item for item in found.evidence if item.name == name]
    assert item.weight > 0
    assert item.technique == technique


def test_harmless_values_of_the_same_fields_are_no_evidence() -> None:
    harmless = {
        "cidrIp": "10.0.0.0/8",
        "publiclyAccessible": False,
        "privileged": False,
        "enableLogFileValidation": True,
        "isProxy": False,
        "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    }
    found = verdict({**EVENT, "eventName": "Tag", "requestParameters": harmless})
    assert not [name for name in weights(found) if name.startswith(("change.", "origin."))]


def test_a_flat_alert_of_our_own_words_is_judged_as_before() -> None:
    flat = {"title": "Malware found: stealer", "command_line": "x.exe", "host_name": "ws-1"}
    found = weights(judged(flat)[1])
    assert found["prior.source"] == pytest.approx(load()[0].source["other"].weight)
    assert found["prior.family.malware"] == pytest.approx(load()[0].family["malware"].weight)
    assert "claim.shown" not in found


def test_a_title_that_text_flows_into_does_not_lower_when_it_grows() -> None:
    short = {"alert_title": "Audit trail stopped", "severity": "high", "event": EVENT}
    grown = {**short, "alert_title": "Audit trail stopped by benign harmless routine job nightly"}
    assert judged(grown)[1].probability >= judged(short)[1].probability


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "not json",
        "[]",
        "[1, 2]",
        "null",
        '"text"',
        "{",
        '{"a": NaN, "event": {"errorCode": "x"}}',
        '{"event": "\\ud800"}',
        '{"event": ' + "[" * 500 + "]" * 500 + "}",
        json.dumps({"event": {f"k{n}": n for n in range(5000)}}),
        json.dumps({"event": list(range(50_000))}),
        json.dumps({"event": "{" * 70_000}),
    ],
)
def test_odd_payloads_are_read_as_far_as_they_go(payload: str) -> None:
    read = Payload(payload)
    assert len(read.event) <= 3 * MOST_LEAVES
    judged(payload or "{}")


def test_what_is_too_long_is_said_and_raises() -> None:
    long = json.dumps(ENVELOPES["event"](RULE, {**EVENT, "note": "x" * LONGEST_TEXT}))
    assert weights(judged(long)[1])["payload.too_long"] > 0


def test_a_declared_source_is_not_read_twice() -> None:
    suricata = {
        "event_type": "alert",
        "timestamp": "2026-03-04T11:59:00.000000+0000",
        "src_ip": "10.0.0.1",
        "dest_ip": "198.51.100.7",
        "proto": "TCP",
        "alert": {"action": "allowed", "signature_id": 1, "signature": "ET SCAN x", "severity": 2},
        "errorCode": "AccessDenied",
    }
    dossier, found = judged(suricata)
    assert dossier.source == "suricata"
    assert "outcome.failed" not in weights(found)
