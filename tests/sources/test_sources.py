"""Every source definition has a fixture, and every fixture's alert is what the fixture expects."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tocsin.model import Alert, Gap, MappingMethod
from tocsin.normalize import normalize_payload
from tocsin.normalize.catalogue import load_catalogue

HERE = Path(__file__).parent
RECEIVED = datetime(2026, 9, 1, tzinfo=UTC)
CASES = [
    pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
    for file in sorted(HERE.glob("*.json"))
    for case in json.loads(file.read_text("utf-8"))
]


def as_text(payload: Any) -> str:
    return payload if isinstance(payload, str) else json.dumps(payload)


def found(source: str, alert: Alert, gaps: tuple[Gap, ...], path: str) -> Any:
    """The value of an alert under a fixture's path, in JSON's types."""
    special = {
        "source_name": source,
        "gaps": [f"{gap.subject} {gap.reason}" for gap in gaps],
        "notes": list(alert.mapping.notes),
        "unmapped": alert.mapping.unmapped,
        "observables": [f"{item.type} {item.value} {item.role}" for item in alert.observables],
    }
    if path in special:
        return special[path]
    node: Any = alert
    for name in path.split("."):
        node = getattr(node, name)
    if isinstance(node, datetime):
        return node.astimezone(UTC).isoformat()
    return list(node) if isinstance(node, tuple) else node


@pytest.mark.parametrize(("source", "case"), CASES)
def test_a_fixture_becomes_the_alert_that_it_expects(source: str, case: dict[str, Any]) -> None:
    name, alert, gaps = normalize_payload(as_text(case["payload"]), case["source"], RECEIVED)
    got = {path: found(name, alert, gaps, path) for path in case["expect"]}
    assert got == case["expect"]
    assert name == source
    assert alert.mapping.method is MappingMethod.DECLARED


@pytest.mark.parametrize(("source", "case"), CASES)
def test_a_fixture_is_recognised_without_the_senders_help(
    source: str, case: dict[str, Any]
) -> None:
    name, _, _ = normalize_payload(as_text(case["payload"]), None, RECEIVED)
    assert name == source


def test_every_definition_has_a_fixture_and_every_fixture_a_definition() -> None:
    definitions = {source.name for source in load_catalogue().sources}
    assert definitions == {file.stem for file in HERE.glob("*.json")}
