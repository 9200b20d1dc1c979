"""The rules of the house, checked over the whole source tree."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
from tests.servers import ROOT

from tocsin import model
from tocsin.model import words as words_of_model
from tocsin.settings import Settings
from tocsin.store.tables import metadata

SOURCE = ROOT / "src" / "tocsin"
MODULES = sorted(SOURCE.rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVENT = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+\Z")
WRITES = re.compile(r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+([a-z_]+)", re.IGNORECASE)
CORE_WRITES = {"insert", "update", "delete", "BulkInsert", "BulkUpdate", "upsert"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in MODULES:
        yield path, ast.parse(path.read_text(), str(path))


def log_calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("log", "logger", "_log")
        ):
            yield node


def test_every_log_call_is_a_constant_dotted_event_and_keywords() -> None:
    wrong, calls = [], 0
    for path, tree in trees():
        for call in log_calls(tree):
            calls += 1
            event = call.args[0] if len(call.args) == 1 else None
            constant = isinstance(event, ast.Constant) and isinstance(event.value, str)
            if not constant or not EVENT.match(str(event.value)):  # type: ignore[union-attr]  # constant
                wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert calls > 5
    assert not wrong


def test_nothing_is_printed_outside_the_command_line() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in trees()
        if "cli" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not wrong


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert (Settings.model_fields[name].description or "").strip(), name
    reference = (ROOT / "docs" / "settings.md").read_text()
    assert f"`TOCSIN_{name.upper()}`" in reference, f"make docs: {name} is missing"


def test_the_reference_of_settings_is_what_the_code_says() -> None:
    from tests.rules.reference import settings_page

    assert (ROOT / "docs" / "settings.md").read_text() == settings_page(), "run: make docs"


def test_the_reference_of_metrics_is_what_the_code_says() -> None:
    from tests.rules.reference import metrics_page

    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_page(), "run: make docs"


def source_names() -> list[str]:
    return sorted(path.stem for path in (SOURCE / "normalize" / "sources").glob("*.toml"))


@pytest.mark.parametrize("name", source_names())
def test_every_source_has_a_fixture(name: str) -> None:
    assert (ROOT / "tests" / "sources" / f"{name}.json").is_file()


def test_the_six_sources_are_there() -> None:
    assert {"suricata", "wazuh", "windows", "cef", "guardduty", "generic"} <= set(source_names())


def test_every_table_has_one_writing_module() -> None:
    writers: dict[str, set[str]] = {}
    for path in sorted((SOURCE / "store").glob("*.py")):
        # dossiers runs statements; verdicts is what may be written over a verdict later
        parts = {"statements": "dossiers", "verdicts": "dossiers"}
        module = parts.get(path.stem, path.stem)
        for table in written_tables(path):
            writers.setdefault(table, set()).add(module)
    doubled = {table: found for table, found in writers.items() if len(found) > 1}
    assert not doubled
    assert {"alerts", "alert_work", "alert_context", "threat_intel", "triage_results"} <= set(
        writers
    )


def written_tables(path: Path) -> set[str]:
    text = path.read_text()
    found = {name for name in WRITES.findall(text) if name in metadata.tables}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            function = node.func
            name = (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", "")
            )
            if name in CORE_WRITES:
                found |= {
                    part.id if isinstance(part, ast.Name) else part.attr
                    for argument in node.args[:2]
                    for part in [argument]
                    if isinstance(part, ast.Name | ast.Attribute)
                }
    return found & set(metadata.tables)


def test_statements_is_run_by_dossiers_alone() -> None:
    users = [
        path.stem
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and any(alias.name == "statements" for alias in node.names)
    ]
    assert users == ["dossiers"]


def test_each_enumeration_exists_once_in_the_model() -> None:
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in trees()
        if path.name != "words.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith(("Enum", "Flag")) for base in node.bases)
        and words(node) & MODEL_WORDS
    ]
    assert not elsewhere


def words(node: ast.ClassDef) -> set[str]:
    return {
        statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


MODEL_WORDS = {
    word.value
    for kind in vars(words_of_model).values()
    if isinstance(kind, type) and issubclass(kind, Enum)
    for word in kind
}


def test_the_checks_of_the_tables_hold_the_words_of_the_model() -> None:
    from tests.rules.reference import migrated_checks

    checks = migrated_checks()
    for table, column, kind in (
        ("alerts", "severity", model.Severity),
        ("alerts", "status", model.AlertStatus),
        ("alert_context", "context_type", model.ContextType),
        ("threat_intel", "threat_level", model.ThreatLevel),
        ("threat_intel", "ioc_type", model.ObservableType),
        ("triage_results", "verdict", model.Disposition),
        ("triage_results", "risk_level", model.RiskLevel),
        ("dispositions", "disposition", model.Disposition),
        ("opinions", "status", model.OpinionStatus),
    ):
        assert set(checks[table, column]) == {word.value for word in kind}, (table, column)


def test_servers_and_commands_start_without_the_libraries_of_learning() -> None:
    """They take a second and 90 MB, of which only learning and evaluating need any."""
    code = "import sys, tocsin.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert not {"numpy", "scipy", "sklearn"} & set(done.stdout.split())


def test_modules_stay_small() -> None:
    big = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if "versions" not in path.parts and (lines := len(path.read_text().splitlines())) > 400
    }
    assert not big


def test_the_version_is_said_once_more_only_where_packaging_needs_it() -> None:
    from tocsin import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
