"""Closed alerts of other products are recognised by their fields, and nothing is guessed."""

from typing import Any

import pytest

from tocsin.knowledge.closings import closing_of
from tocsin.model import Disposition

NEVER = "\x1b[31m{} %s\n"
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"disposition": "false_positive"}, "Tocsin", "false_positive"),
    ({"status": "true_positive"}, "a status that judges", "true_positive"),
    ({"status": "FalsePositive", "stage": "Closed"}, "a status that judges", "false_positive"),
    ({"status": "ignored"}, "", "unlabelled"),
    ({"close_code": "Benign Positive"}, "ServiceNow", "benign_positive"),
    ({"label": 1}, "a file of ones and noughts", "true_positive"),
    ({"label": 0.0}, "a file of ones and noughts", "false_positive"),
    ({"label": False}, "a file of ones and noughts", "false_positive"),
    ({"label": 7}, "a file of labels", "unknown"),
    ({"fields": {"resolution": {"name": "Benign"}}}, "Jira", "benign_positive"),
    ({"disposition": "BP"}, "a file of decisions", "benign_positive"),
    ({"disposition": "disposition:1"}, "Splunk Enterprise Security", "true_positive"),
    ({"disposition": "disposition:2"}, "Splunk Enterprise Security", "benign_positive"),
    ({"disposition": "disposition:3"}, "Splunk Enterprise Security", "false_positive"),
    ({"disposition": "disposition:4"}, "Splunk Enterprise Security", "false_positive"),
    ({"disposition": "disposition:5"}, "Splunk Enterprise Security", "no_decision"),
    ({"disposition": "disposition:6"}, "Splunk Enterprise Security", "undetermined"),
    ({"disposition": "disposition:0"}, "Splunk Enterprise Security", "unlabelled"),
    (
        {"disposition_label": "Benign Positive - Suspicious But Expected"},
        "Splunk Enterprise Security",
        "benign_positive",
    ),
    ({"Classification": "TruePositive"}, "Microsoft Sentinel or Defender", "true_positive"),
    (
        {"classification": "truePositive", "determination": "securityTesting"},
        "Microsoft Sentinel or Defender",
        "benign_positive",
    ),
    (
        {"properties": {"classification": "BenignPositive", "status": "Closed"}},
        "Microsoft Sentinel or Defender",
        "benign_positive",
    ),
    (
        {"classification": "InformationalExpectedActivity"},
        "Microsoft Sentinel or Defender",
        "benign_positive",
    ),
    ({"classification": "Undetermined"}, "Microsoft Sentinel or Defender", "undetermined"),
    ({"classification": "unknown"}, "Microsoft Sentinel or Defender", "unlabelled"),
    (
        {
            "kibana.alert.workflow_status": "closed",
            "kibana.alert.workflow_reason": "benign_positive",
        },
        "Elastic Security",
        "benign_positive",
    ),
    (
        {"kibana": {"alert": {"workflow_status": "closed", "workflow_tags": ["False Positive"]}}},
        "Elastic Security",
        "false_positive",
    ),
    (
        {"kibana.alert.workflow_status": "open", "kibana.alert.workflow_tags": ["False Positive"]},
        "Elastic Security",
        "unlabelled",
    ),
    ({"kibana.alert.workflow_status": "closed"}, "Elastic Security", "no_decision"),
    (
        {"kibana.alert.workflow_status": "closed", "kibana.alert.workflow_reason": "duplicate"},
        "Elastic Security",
        "no_decision",
    ),
    ({"closing_reason": "False-Positive, Tuned"}, "QRadar", "false_positive"),
    ({"closing_reason": {"text": "Non-Issue"}}, "QRadar", "benign_positive"),
    ({"closing_reason_id": 1}, "QRadar", "unknown"),
    ({"feedbackSummary": {"verdict": "TRUE_POSITIVE"}}, "Google SecOps", "true_positive"),
    ({"close_reason": "NOT_MALICIOUS"}, "Google SecOps", "benign_positive"),
    ({"resolutionStatus": "FalsePositive"}, "TheHive", "false_positive"),
    ({"resolutionStatus": "Indeterminate"}, "TheHive", "undetermined"),
    ({"resolutionStatus": "Duplicated"}, "TheHive", "no_decision"),
    ({"fields": {"resolution": {"name": "Done"}}}, "Jira", "no_decision"),
    ({"labels": ["soc", "false-positive"]}, "Jira", "false_positive"),
    ({"labels": ["true-positive", "false-positive"]}, "Jira", "contradiction"),
    ({"VerificationState": "BENIGN_POSITIVE"}, "AWS Security Hub", "benign_positive"),
    ({"Workflow": {"Status": "SUPPRESSED"}}, "AWS workflow", "no_decision"),
    ({"Workflow": {"Status": "NEW"}}, "AWS workflow", "unlabelled"),
    ({"Service": {"UserFeedback": "NOT_USEFUL"}}, "Amazon GuardDuty", "false_positive"),
    ({"disposition": NEVER}, "a file of decisions", "unknown"),
    ({"disposition": "duplicate"}, "a file of decisions", "no_decision"),
    ({"disposition": "FP"}, "a file of decisions", "false_positive"),
    ({"disposition_label": NEVER}, "Splunk Enterprise Security", "unknown"),
    (
        {"disposition_label": NEVER, "disposition": "disposition:3"},
        "Splunk Enterprise Security",
        "false_positive",
    ),
    ({"label": "probably fine"}, "a file of labels", "unknown"),
    ({}, "", "unlabelled"),
]


@pytest.mark.parametrize(("outcome", "product", "meaning"), CASES, ids=str)
def test_a_record_means_what_its_product_says(
    outcome: dict[str, Any], product: str, meaning: str
) -> None:
    found = closing_of({"title": "an alert", "rule": {"name": "r"}, **outcome})
    assert (found.product, found.outcome) == (product, meaning)
    assert found.alert["title"] == "an alert"
    in_words = meaning in {word.value for word in Disposition}
    assert found.disposition == (Disposition(meaning) if in_words else None)


def test_nothing_of_the_outcome_is_left_on_the_alert() -> None:
    record = {
        "title": "t", "classification": "TruePositive", "determination": "malware",
        "status": "Closed", "closedTime": "2026-01-01T00:00:00Z", "comment": "it was real",
        "assigned_to": "ada", "properties": {"severity": "High", "classification": "TruePositive"},
        "owner": {"userPrincipalName": "ada@example.com", "id": 7},
    }  # fmt: skip
    before = str(record)
    found = closing_of(record)
    assert str(record) == before, "the record itself is left alone"
    assert found.alert == {"title": "t", "properties": {"severity": "High"}, "owner": {"id": 7}}
    assert (found.decided_at, found.reason, found.analyst) == (
        "2026-01-01T00:00:00Z", "it was real", "ada"
    )  # fmt: skip


def test_hostile_records_are_read_in_bounded_time() -> None:
    deep: dict[str, Any] = {"classification": "TruePositive"}
    for _ in range(200):
        deep = {"a": deep, "disposition": ["x" * 10_000, {"b": 1}, None, 3.5]}
    found = closing_of(deep)
    assert found.outcome == "unknown"
    assert len(found.word) <= 80
