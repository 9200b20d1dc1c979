"""Every action that the audit trail may hold stands in docs/audit.md, and no other."""

import ast
import re
from pathlib import Path

from tests.servers import ROOT

from tocsin.audit_chain import BEGUN
from tocsin.model import ClosingAction, IncidentAction, RemediationStatus

STORE = ROOT / "src" / "tocsin" / "store"
ROW = re.compile(r"^\| [^|]+ \| ([^|]+) \|", re.MULTILINE)
NAMED = re.compile(r"`([a-z]+\.[a-z]+)`")
PLACE = {"Entry": 1, "batch": 1, "_audit": 2}
"""The functions that make an entry, and which of their arguments is the action."""
# Modules whose actions are put together from words of the model.
MADE = {
    "closures.py": {f"alerts.{a.value}" for a in (ClosingAction.CLOSED, ClosingAction.SAMPLED)},
    "incidents.py": {f"incident.{action.value}" for action in IncidentAction},
    "remediation.py": {
        f"remediation.{status.value}"
        for status in (RemediationStatus.APPROVED, RemediationStatus.REJECTED)
    },
}
PASSED_ON = {"audit.py": 2, "closing.py": 1}  # entries whose action is the caller's: in how many


def made(path: Path) -> tuple[set[str], int]:
    """The actions that a module names where it makes entries, and how often it names none."""
    named, unnamed = set(), 0
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        place = PLACE.get(name)
        if place is None or len(node.args) <= place:
            continue
        action = node.args[place]
        if isinstance(action, ast.Constant):
            named.add(action.value)
        else:
            unnamed += 1
    return named, unnamed


def test_every_audited_action_is_documented_and_every_documented_one_is_audited() -> None:
    in_code, unnamed = set(), {}
    for path in sorted(STORE.glob("*.py")):
        named, without = made(path)
        in_code |= named
        if without:
            unnamed[path.name] = without
    assert unnamed == {**dict.fromkeys(MADE, 1), **PASSED_ON}
    in_code |= {BEGUN}.union(*MADE.values())
    page = (ROOT / "docs" / "audit.md").read_text()
    documented = {
        action for cell in ROW.findall(page.partition("## How it is built")[0])
        for action in NAMED.findall(cell)
    }  # fmt: skip
    assert documented == in_code
    assert len(documented) > 40
