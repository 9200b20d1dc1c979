"""Imports and exports of past decisions, as processes, on both databases."""

import gzip
import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import sqlalchemy as sa
from tests.servers import tocsin

from tocsin.settings import Settings

HOSTILE = "{} {0} %s \x1b[31m'; DROP TABLE alerts --"


def alert(number: int, rule: str = "R-import", **more: Any) -> dict[str, Any]:
    return {
        "title": f"imported {number}", "rule_id": rule, "host_name": f"h{number % 2}",
        "source_ip": "192.0.2.7", "severity": "high", **more,
    }  # fmt: skip


def url_of(settings: Settings) -> str:
    return settings.database_url


def run(settings: Settings, *arguments: str | Path, stdin: bytes | None = None) -> Any:
    return tocsin(settings.data, *arguments, stdin=stdin, database=url_of(settings))


def rows(settings: Settings, statement: str) -> list[dict[str, Any]]:
    url = url_of(settings).replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.text(statement)).mappings()]
    engine.dispose()
    return found


def said(done: "CompletedProcess[bytes]") -> str:
    return done.stdout.decode().strip().splitlines()[-1]


@pytest.mark.timeout(300)
def test_a_file_is_imported_repeated_and_exported(settings: Settings, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"alert": alert(n), "disposition": "false_positive" if n % 3 else "true_positive",
         "decided_at": f"2026-01-{n + 1:02d}T10:00:00+02:00", "reason": f"why {HOSTILE}",
         "analyst": "ada"} for n in range(9)
    ]  # fmt: skip
    lines += [
        {**alert(20), "Classification": "BenignPositive", "Status": "Closed"},
        {**alert(21), "classification": "truePositive", "determination": "malware"},
        {**alert(22), "disposition": "disposition:4", "comment": "bad data"},
        {**alert(23), "kibana.alert.workflow_status": "closed"},
        {**alert(24), "resolutionStatus": "Duplicated"},
        {**alert(25), "disposition": f"quite sure {HOSTILE}"},
        alert(26),
        {"alert": "<134>fw: a line of text %s {}", "disposition": "undetermined"},
        {"alert_id": "nobody", "disposition": "false_positive"},
        {"alert": alert(27), "disposition": "false_positive", "decided_at": "some day"},
        {"alert": {**alert(28), "note": "x" * 1_100_000}, "disposition": "false_positive"},
        # the same content at another time, decided the other way
        {
            "alert": {**alert(0), "timestamp": "2026-02-01T00:00:00Z"},
            "disposition": "false_positive",
        },
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n{broken\n"
    file = tmp_path / "past.ndjson.gz"
    file.write_bytes(gzip.compress(content))
    done = run(settings, "decisions", "import", file)
    assert done.returncode == 1, done.stderr.decode()[-2000:]
    assert said(done) == (
        "decisions: 14 imported (1 benign_positive, 8 false_positive, 4 true_positive, "
        "1 undetermined), 0 known before, 1 unlabelled, 2 closed without a judgement, "
        "1 with unknown words, 4 refused, 1 in conflict"
    )
    errors = done.stderr.decode()
    for words in (
        "there is no such alert", "cannot be read: 'some day'", "the alert cannot be used",
        "is not JSON", "quite sure", "conflict: ", "TheHive: Duplicated", "Elastic Security",
    ):  # fmt: skip
        assert words in errors, words
    assert "\x1b" not in errors
    assert "Traceback" not in errors
    stored = rows(settings, "SELECT * FROM dispositions WHERE actor = 'import:ada'")
    assert len(stored) == 9
    assert {row["reason"] for row in stored} == {f"why {HOSTILE}"}
    assert "2026-01-01" in {str(row["decided_at"])[:10] for row in stored}
    sent = rows(settings, "SELECT raw_data FROM alerts WHERE title = 'imported 21'")
    assert json.loads(sent[0]["raw_data"]) == alert(21), "the alert does not tell its own end"
    counted = rows(
        settings,
        "SELECT attacks, harmless FROM decision_counts WHERE kind = 'source_ip' "
        "AND value = '192.0.2.7'",
    )
    assert counted == [{"attacks": 4, "harmless": 9}]

    again = run(settings, "decisions", "import", file)
    assert "0 imported, 14 known before" in said(again)
    assert len(rows(settings, "SELECT 1 FROM dispositions")) == 14

    exported = run(settings, "decisions", "export")
    assert exported.returncode == 0, exported.stderr
    written = [json.loads(line) for line in exported.stdout.splitlines()]
    assert len(written) == 14
    back = run(settings, "decisions", "import", "-", stdin=exported.stdout)
    assert back.returncode == 0, back.stderr
    assert len(rows(settings, "SELECT 1 FROM alerts")) == 14
    elsewhere = tmp_path / "elsewhere"
    there = tocsin(elsewhere, "decisions", "import", "-", stdin=exported.stdout)
    assert there.returncode == 0, there.stderr
    assert "14 imported" in said(there)


def test_a_table_of_closed_incidents_is_imported(settings: Settings) -> None:
    csv = (
        b"Title,Severity,Classification,ClassificationReason,ClassificationComment,Owner.assignedTo\n"
        b"Impossible travel {},High,TruePositive,SuspiciousActivity,account taken over,ada\n"
        b"Mass download %s,Medium,FalsePositive,InaccurateData,,bob\n"
        b'Scan from "lab",Low,BenignPositive,SuspiciousButExpected,our scanner,\n'
        b"Nothing said,Low,,,,\n"
    )
    done = run(settings, "decisions", "import", "-", "--source", "sentinel", stdin=csv)
    assert done.returncode == 0, done.stderr
    assert "3 imported" in said(done)
    assert "1 unlabelled" in said(done)
    found = rows(
        settings,
        "SELECT a.title, a.source, a.status, t.human_reviewer FROM alerts a "
        "JOIN triage_results t ON t.alert_id = a.alert_id ORDER BY a.title",
    )
    assert [row["title"] for row in found] == [
        "Impossible travel {}", "Mass download %s", 'Scan from "lab"'
    ]  # fmt: skip
    assert {(row["source"], row["status"]) for row in found} == {("sentinel", "closed")}


def test_a_table_of_our_own_is_not_taken_for_a_products(tmp_path: Path) -> None:
    csv = b"alert_id,disposition\nA-1,perhaps {}\nA-2,duplicate\n"
    done = tocsin(tmp_path, "decisions", "import", "-", stdin=csv)
    assert done.returncode == 1
    errors = done.stderr.decode()
    assert "not known, left out: a file of decisions: perhaps {} (1)" in errors
    assert "not judged, left out: a file of decisions: duplicate (1)" in errors
    assert "Splunk" not in errors


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1", b"[]"])
def test_a_file_that_is_none_is_a_clear_line(tmp_path: Path, content: bytes) -> None:
    done = tocsin(tmp_path, "decisions", "import", "-", stdin=content)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_hits_and_results_of_a_search_are_imported(settings: Settings, tmp_path: Path) -> None:
    hits = [
        {
            "_index": "alerts",
            "_id": str(n),
            "_source": {
                "@timestamp": f"2026-03-01T10:0{n}:00Z",
                "kibana.alert.rule.name": "Example rule",
                "kibana.alert.workflow_status": "closed",
                "kibana.alert.workflow_reason": reason,
            },
        }
        for n, reason in enumerate(("true_positive", "false_positive", "benign_positive"))
    ]
    result = {"_time": "2026-03-01T11:00:00Z", "rule_name": "R", "disposition": "disposition:1"}
    wrapped = tmp_path / "search.json"
    wrapped.write_text(json.dumps({"took": 1, "hits": {"total": {"value": 3}, "hits": hits}}))
    lines = tmp_path / "lines.ndjson"
    lines.write_text(json.dumps(hits[0]) + "\n" + json.dumps({"preview": False, "result": result}))
    done = run(settings, "decisions", "import", wrapped, lines)
    assert "4 imported" in said(done), done.stderr.decode()
    assert "1 known before" in said(done)
