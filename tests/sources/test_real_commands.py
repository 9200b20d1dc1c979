"""Real Windows events that Sigma rules match: most give at least one fitting reason."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from tests.sources.test_real_data import pairs

from tocsin.model import Dossier
from tocsin.triage import triage

PREFIXES = ("command.", "process.", "file.", "registry.", "web.", "dns.", "mail.")


def test_most_events_of_sigma_rules_give_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    every, explained = Counter[str](), Counter[str]()
    for _, alert in pairs("windows"):
        dossier = Dossier(
            alert_id="x", received_at=datetime(2026, 3, 4, tzinfo=UTC), payload="{}",
            source="windows", alert=alert,
        )  # fmt: skip
        found = any(item.name.startswith(PREFIXES) for item in triage(dossier).evidence)
        kind = (
            "command line" if alert.process.command_line
            else "registry" if alert.registry.path
            else "file" if alert.file.path else "other"
        )  # fmt: skip
        every[kind] += 1
        explained[kind] += found
    with capsys.disabled():
        shares = {kind: f"{explained[kind]} of {count}" for kind, count in every.items()}
        print(f"\nevents with a reason: {shares}")
    assert explained["command line"] >= 0.9 * every["command line"]
    assert explained["registry"] >= 0.9 * every["registry"]
