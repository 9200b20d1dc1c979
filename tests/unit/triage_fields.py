"""Alerts made of one field, and what triage finds in them."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from tocsin.model import Alert, Dossier, Evidence, ParentProcess, Process, Verdict
from tocsin.triage import triage

NOW = datetime(2026, 3, 4, 14, 14, 59, tzinfo=UTC)


def verdict_of(alert: Alert, source: str = "windows") -> Verdict:
    """The verdict on an alert of which nothing else is known."""
    return triage(
        Dossier(alert_id="0195-d", received_at=NOW, payload="{}", source=source, alert=alert)
    )


def evidence_of(alert: Alert) -> dict[str, Evidence]:
    """What triage finds in an alert of a Windows rule, by the evidence's name."""
    return {item.name: item for item in verdict_of(alert).evidence}


def run(command_line: str) -> dict[str, Evidence]:
    """What triage finds in a command line."""
    return evidence_of(Alert(title="Process", process=Process(command_line=command_line)))


def started(parent: str, child: str) -> dict[str, Evidence]:
    """What triage finds in a process and its parent."""
    process = Process(executable=child, parent=ParentProcess(executable=parent))
    return evidence_of(Alert(title="Process", process=process))


def shown(alert: Alert, *prefixes: str) -> dict[str, float]:
    """The weights of the evidence whose names begin so."""
    return {
        name: item.weight for name, item in evidence_of(alert).items() if name.startswith(prefixes)
    }


def wide(script: str) -> str:
    """A script as PowerShell takes it after -EncodedCommand."""
    return b64encode(script.encode("utf-16-le")).decode()


def narrow(content: str | bytes) -> str:
    """Text or bytes in base64."""
    return b64encode(content.encode() if isinstance(content, str) else content).decode()


def alert(**fields: Any) -> Alert:
    """An alert with these fields."""
    return Alert(title="t", **fields)
