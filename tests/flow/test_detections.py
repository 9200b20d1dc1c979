"""Catalogues of detections: read from their authors' forms, stored, looked up when a rule fires."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection
from tests.known import Known
from tests.servers import ROOT, tocsin

from tocsin.app import Store
from tocsin.errors import ImportRowError, InputError, StoreUnavailable
from tocsin.knowledge.detections import read_detections
from tocsin.model import Detection, DetectionKind, DetectionStatus, Dossier, Evidence, Severity
from tocsin.normalize import normalize_payload
from tocsin.ports import Resources
from tocsin.settings import load
from tocsin.store import detections as module
from tocsin.store.detections import DetectionStore
from tocsin.triage import build

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SHARED = ROOT.parent / "shared" / "data" / "intel" / "detection_knowledge"
SIGMA = """\
title: Shell Started By A Document
id: 5f0c1e9a-0000-4000-8000-000000000001
status: experimental
level: critical
logsource: {product: windows}
tags: [attack.execution, attack.t1059.001, attack.T1204]
falsepositives:
  - Macros of the accounting department
  - Unknown
---
title: Only Known By Its Name
logsource: {product: linux}
level: informational
falsepositives: [Unlikely]
"""
ESCU = {
    "name": "Many Files Renamed",
    "id": "aaaa0001-0000-4000-8000-000000000002",
    "type": "Hunting",
    "status": "production",
    "known_false_positives": "Backups rename files too.",
    "tags": {"mitre_attack_id": ["T1486"], "risk_score": 64},
}


@pytest.fixture
def detections(store: Store) -> DetectionStore:
    """On SQLite and on PostgreSQL, with the tables that the migrations made."""
    return store.detections


def read(path: Path, content: str, catalogue: str | None = None) -> list[Any]:
    path.write_text(content)
    return list(read_detections(str(path), catalogue))


def test_sigma_rules_are_read(tmp_path: Path) -> None:
    first, second = read(tmp_path / "rules.yml", SIGMA)
    assert first == Detection(
        catalogue="sigma",
        detection_id="5f0c1e9a-0000-4000-8000-000000000001",
        name="Shell Started By A Document",
        level=Severity.CRITICAL,
        status=DetectionStatus.EXPERIMENTAL,
        techniques=("T1059.001", "T1204"),
        false_positives=("Macros of the accounting department",),
    )
    assert (second.detection_id, second.level) == ("Only Known By Its Name", Severity.INFO)


def test_escu_detections_are_read_in_the_layouts_of_several_years(tmp_path: Path) -> None:
    newer = {key: value for key, value in ESCU.items() if key != "tags"}
    newer |= {"rba": {"risk_objects": [{"score": 20}, {"score": 64}]}, "mitre": ["T1486"]}
    lines = "\n".join(json.dumps(row) for row in (ESCU, newer, {**newer, "risk_score": 64}))
    found = read(tmp_path / "escu.jsonl", lines)
    assert found[0] == Detection(
        catalogue="escu",
        detection_id=str(ESCU["id"]),
        name="Many Files Renamed",
        risk_score=64.0,
        kind=DetectionKind.HUNTING,
        status=DetectionStatus.STABLE,
        techniques=("T1486",),
        false_positives=("Backups rename files too.",),
    )
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("title: [1]", "neither title nor name"),
        ("title: x\nlevel: ultra", "level is none of"),
        ("name: x\nrisk_score: 101", "0 to 100"),
        ("name: x\nrisk_score: lots", "0 to 100"),
        ("- 1", "mapping"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_row(
    tmp_path: Path, row: str, complaint: str
) -> None:
    (error,) = read(tmp_path / "rule.yaml", row)
    assert isinstance(error, ImportRowError)
    assert complaint in str(error)


@pytest.mark.parametrize("content", ["a: [", "", "!!python/object:os.system {}", "\x00"])
def test_a_file_that_is_no_yaml_is_a_clear_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"rule\.yml"):
        read(tmp_path / "rule.yml", content)


def test_hostile_values_become_short_clean_text(tmp_path: Path) -> None:
    row = {"name": "{0} %s\x00\n" + "x" * 9000, "known_false_positives": "\u202e" * 9000, "id": 5}
    (found,) = read(tmp_path / "row.json", json.dumps(row))
    assert len(found.name) <= 512
    assert "\x00" not in found.name
    assert "\n" not in found.name
    assert found.detection_id == "5"
    assert len(found.false_positives[0]) <= 400


async def everything(detections: DetectionStore) -> list[Detection]:
    return [item async for chunk in detections.scan() for item in chunk]


async def test_an_import_replaces_by_catalogue_and_id_and_is_audited(
    detections: DetectionStore, store: Store
) -> None:
    one = Detection(catalogue="a", detection_id="1", name="one", level=Severity.LOW)
    other = Detection(catalogue="b", detection_id="1", name="one", risk_score=12.5)
    assert await detections.upsert([one, other]) == (2, 0)
    changed = Detection(catalogue="a", detection_id="1", name="uno", status=DetectionStatus.TEST)
    assert await detections.upsert([one, changed]) == (0, 1)
    assert await everything(detections) == [changed, other]
    assert await detections.find("ONE") == [other]
    assert await detections.find("1") == [changed, other]
    assert await detections.count() == {"a": 1, "b": 1}
    versions = [await detections.version()]
    assert await detections.remove_catalogue("a") == 1
    assert await detections.remove_catalogue("a") == 0
    versions.append(await detections.version())
    assert versions == [2, 3]
    rows = await store.database.read(lambda c: c.execute(sa.text(AUDITED)).all())
    assert [row[0] for row in rows] == ["records.imported", "records.imported", "catalogue.removed"]


AUDITED = "SELECT action FROM audit_logs WHERE subject = 'detections' ORDER BY logged_at, sequence"


async def test_a_scan_in_chunks_meets_every_row_once(
    detections: DetectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 7)
    made = [
        Detection(catalogue=catalogue, detection_id=str(number), name="n")
        for number in range(30)
        for catalogue in ("a", "b")
    ]
    await detections.upsert(made)
    found = [(item.catalogue, item.detection_id) for item in await everything(detections)]
    assert len(found) == len(set(found)) == 60


async def test_a_score_that_is_none_leaves_nothing_behind(detections: DetectionStore) -> None:
    good = Detection(catalogue="a", detection_id="1", name="one")
    with pytest.raises(Exception, match="risk_score"):
        await detections.upsert([good, msgspec.structs.replace(good, risk_score=700)])
    assert await detections.count() == {}
    assert await detections.version() == 0


async def test_the_migration_takes_its_tables_away_again(store: Store) -> None:
    def tables(connection: Connection) -> set[str]:
        return set(sa.inspect(connection).get_table_names())

    def downgrade(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        migration = import_module("tocsin.store.migrations.versions.0007_detections")
        with operations.context(operations.migration_context):
            migration.downgrade()

    assert {"detections", "detection_state"} <= await store.database.read(tables)
    await store.database.write(downgrade)
    assert not {"detections", "detection_state"} & await store.database.read(tables)


def alert(rule: dict[str, Any], **more: Any) -> Dossier:
    payload = json.dumps({"rule": rule, "event": {"eventName": "x"}, **more})
    source, normalised, gaps = normalize_payload(payload, None, NOW)
    return Dossier(
        alert_id="d-1",
        received_at=NOW,
        payload=payload,
        source=source,
        alert=normalised,
        gaps=gaps,
    )


async def said(detections: DetectionStore, dossier: Dossier) -> list[Evidence]:
    known = Known()
    work = build(
        Resources(load(), known, known, known, known, detections=detections)  # type: ignore[arg-type]  # incidents are not asked
    )
    (done,) = await work([dossier])
    assert done.verdict is not None
    return [item for item in done.verdict.evidence if item.name == "prior.detection"]


async def test_triage_finds_the_rule_by_id_or_by_name(detections: DetectionStore) -> None:
    await detections.upsert(
        [
            Detection(
                catalogue="sigma",
                detection_id="AB-1",
                name="Shell By Document",
                level=Severity.CRITICAL,
                kind=DetectionKind.TTP,
                false_positives=("Macros {0} %s",),
            ),
            Detection(
                catalogue="own",
                detection_id="h-1",
                name="Broad Look",
                level=Severity.LOW,
                kind=DetectionKind.HUNTING,
                status=DetectionStatus.EXPERIMENTAL,
            ),
        ]
    )
    (found,) = await said(detections, alert({"id": "ab-1", "title": "any"}))
    assert found.weight > 0.4
    assert "Its authors name these false positives: Macros {0} %s." in found.statement
    (found,) = await said(detections, alert({"id": "zz", "title": "broad look"}))
    assert found.weight < -0.9
    assert await said(detections, alert({"id": "zz", "title": "unheard of"})) == []


async def test_a_title_that_text_can_flow_into_never_lowers(detections: DetectionStore) -> None:
    quiet = Detection(catalogue="own", detection_id="h", name="Broad Look", level=Severity.LOW)
    await detections.upsert([quiet])
    forged = Dossier(
        alert_id="d-2",
        received_at=NOW,
        payload=(text := json.dumps({"title": "Broad Look", "eventName": "DeleteTrail"})),
        alert=normalize_payload(text, None, NOW)[1],
    )
    (found,) = await said(detections, forged)
    assert found.weight == 0
    assert found.tainted


class _Moody:
    """A source that can be told to fail."""

    def __init__(self) -> None:
        self.number, self.fails = 1, False

    async def version(self) -> int:
        if self.fails:
            raise StoreUnavailable("gone")
        return self.number

    async def scan(self) -> AsyncIterator[list[Detection]]:
        yield [Detection(catalogue="c", detection_id=str(self.number), name="n")]


async def test_a_lost_database_keeps_what_was_known() -> None:
    from tocsin.triage.detections import FreshDetections

    source, now = _Moody(), [0.0]
    fresh = FreshDetections(source, 1.0, clock=lambda: now[0])
    first = await fresh.current()
    source.number, source.fails, now[0] = 2, True, 5.0
    assert await fresh.current() is first
    source.fails, now[0] = False, 10.0
    assert (await fresh.current()).by_id("2") is not None
    source.number = 3
    assert (await fresh.current()).by_id("3") is None  # not due yet


async def test_nothing_known_yet_and_no_database_is_an_error() -> None:
    from tocsin.triage.detections import FreshDetections

    source = _Moody()
    source.fails = True
    with pytest.raises(StoreUnavailable):
        await FreshDetections(source, 1.0).current()


def test_the_commands_import_list_show_and_remove(tmp_path: Path) -> None:
    rules, broken = tmp_path / "rules.yml", tmp_path / "broken.yml"
    rules.write_text(SIGMA)
    broken.write_text("title: [1]\n")
    done = tocsin(tmp_path, "detections", "import", rules)
    assert done.returncode == 0, done.stderr
    assert b"2 inserted, 0 updated, 0 refused" in done.stdout
    again = tocsin(tmp_path, "detections", "import", rules, broken)
    assert (again.returncode, again.stdout.strip()) == (
        1,
        b"detections: 0 inserted, 2 updated, 1 refused",
    )
    listed = tocsin(tmp_path, "detections", "list", "--ndjson", "--limit", "1")
    assert json.loads(listed.stdout)["catalogue"] == "sigma"
    shown = tocsin(tmp_path, "detections", "show", "only known by its name")
    assert shown.returncode == 0
    assert b"info" in shown.stdout
    assert tocsin(tmp_path, "detections", "show", "nothing").returncode == 1
    sent = tmp_path / "alert.json"
    sent.write_text(json.dumps({"rule": {"title": "Only Known By Its Name"}, "event": {"a": "b"}}))
    triaged = tocsin(tmp_path, "triage", sent, "--database", f"sqlite:///{tmp_path / 'tocsin.db'}")
    assert b"prior.detection" in triaged.stdout
    assert tocsin(tmp_path, "detections", "remove", "sigma").returncode == 0
    assert tocsin(tmp_path, "detections", "remove", "sigma").returncode == 1
    missing = tocsin(tmp_path, "detections", "import", tmp_path / "none.yml")
    assert (missing.returncode, b"no such file" in missing.stderr) == (2, True)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the catalogues of shared/data are not here")
def test_the_published_catalogues_are_read_whole() -> None:
    for name, least in (("sigma_rules.jsonl", 3700), ("splunk_security_content.jsonl", 1600)):
        rows = list(read_detections(str(SHARED / name)))
        assert len(rows) > least
        assert not [row for row in rows if isinstance(row, ImportRowError)]
        assert sum(bool(row.techniques) for row in rows if isinstance(row, Detection)) > least / 2
