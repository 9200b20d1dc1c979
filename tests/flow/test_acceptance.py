"""The acceptance plan of the system that was asked for, through HTTP and plain SQL."""

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.servers import Server, tocsin

IP = "45.33.32.156"
HASH = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
ALERT = {
    "alert_type": "malware",
    "severity": "high",
    "title": "Malware {beacon} 100% detected",
    "description": "A file with a known hash talked to a known address.",
    "timestamp": "2026-03-04T15:30:00+02:00",
    "source_ip": IP,
    "destination_ip": "10.20.1.15",
    "source_port": 44321,
    "destination_port": 443,
    "protocol": "tcp",
    "user_id": "u-1001",
    "user_name": "jdoe",
    "asset_id": "SRV-001",
    "file_hash": HASH,
    "file_name": "invoice.exe",
    "url": "http://malware.example.com/a?b=%20{c}",
    "dns_query": "malware.example.com",
}


@pytest.fixture(scope="module")
def sent(server: Server) -> str:
    assets = server.data / "assets.csv"
    assets.write_text("asset_id,hostname,ip,criticality\nSRV-001,srv-001,10.20.1.15,high\n")
    users = server.data / "users.csv"
    users.write_text("user_id,user_name,email,privileged\nu-1001,jdoe,jdoe@example.com,yes\n")
    indicators = server.data / "bad.txt"
    indicators.write_text(f"{IP}\n")
    for command in (
        ("assets", "import", assets),
        ("users", "import", users),
        ("intel", "import", indicators, "--source", "test", "--format", "plain"),
    ):
        done = tocsin(server.data, *command)
        assert done.returncode == 0, done.stderr.decode()
    with server.client() as client:
        answer = client.post("/api/v1/alerts", json=ALERT)
    assert answer.status_code == 202, answer.text
    server.settle()
    return str(answer.json()["alert_id"])


def query(server: Server, sql: str, *parameters: Any) -> list[sqlite3.Row]:
    connection = sqlite3.connect(server.database)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def test_the_alert_is_stored_once_with_everything_that_was_sent(server: Server, sent: str) -> None:
    rows = query(server, "SELECT * FROM alerts WHERE alert_id = ?", sent)
    assert len(rows) == 1
    row = rows[0]
    for column in (
        "alert_type", "severity", "title", "description", "source_ip", "destination_ip",
        "source_port", "destination_port", "protocol", "user_name", "user_id", "asset_id",
        "file_hash", "file_name", "url", "dns_query",
    ):  # fmt: skip
        assert row[column] == ALERT[column], column
    assert row["event_time"] == "2026-03-04T13:30:00.000000Z"
    assert row["status"] == "triaged"
    assert json.loads(row["raw_data"]) == ALERT


def test_there_are_exactly_three_contexts(server: Server, sent: str) -> None:
    rows = query(
        server, "SELECT alert_id, context_type, source FROM alert_context WHERE alert_id = ?", sent
    )
    assert sorted(row["context_type"] for row in rows) == ["asset", "network", "user"]
    assert all(row["source"] for row in rows)


def test_the_asset_and_the_user_come_from_the_inventory(server: Server, sent: str) -> None:
    rows = query(server, "SELECT * FROM alert_context WHERE alert_id = ?", sent)
    data = {row["context_type"]: json.loads(row["context_data"]) for row in rows}
    assert data["asset"]["asset"]["criticality"] == "high"
    assert data["user"]["user"]["privileged"] is True
    assert data["network"]["direction"] == "inbound"


def test_both_indicators_are_rows_and_the_unknown_one_is_unknown(server: Server, sent: str) -> None:
    rows = query(
        server,
        "SELECT ioc, ioc_type, threat_level FROM threat_intel WHERE ioc IN (?, ?)",
        IP,
        HASH,
    )
    assert {row["ioc"]: (row["ioc_type"], row["threat_level"]) for row in rows} == {
        IP: ("ip", "high"),
        HASH: ("hash", "unknown"),
    }


def test_there_is_one_real_analysis(server: Server, sent: str) -> None:
    rows = query(
        server,
        "SELECT alert_id, risk_score, risk_level, analysis_result, confidence_score, "
        "recommended_actions FROM triage_results WHERE alert_id = ?",
        sent,
    )
    assert len(rows) == 1
    row = rows[0]
    assert 0 < row["risk_score"] <= 100
    assert 0 < row["confidence_score"] <= 1
    assert IP in row["analysis_result"]
    actions = json.loads(row["recommended_actions"])
    assert actions
    assert all(action["entity"] for action in actions)


def test_the_counts_of_the_tables_agree(server: Server, sent: str) -> None:
    assert sent
    (alerts,) = query(server, "SELECT count(*) AS n FROM alerts")
    (contexts,) = query(server, "SELECT count(*) AS n FROM alert_context")
    (results,) = query(server, "SELECT count(*) AS n FROM triage_results")
    (work,) = query(server, "SELECT count(*) AS n FROM alert_work")
    assert contexts["n"] == 3 * alerts["n"]
    assert results["n"] == alerts["n"]
    assert work["n"] == 0


def test_health_asks_the_dependencies(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/health")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks["database"]["status"] == "up"
    assert checks["database"]["ms"] > 0
    assert checks["bus"]["status"] == "up"


def test_the_api_gives_the_whole_dossier(server: Server, sent: str) -> None:
    with server.client() as client:
        dossier = client.get(f"/api/v1/alerts/{sent}").json()
        ecs = client.get(f"/api/v1/alerts/{sent}?format=ecs").json()
        ocsf = client.get(f"/api/v1/alerts/{sent}?format=ocsf").json()
    assert [fact["context_type"] for fact in dossier["context"]] == ["network", "asset", "user"]
    assert dossier["verdict"]["evidence"]
    assert ecs["source"]["ip"] == IP
    instant = datetime(2026, 3, 4, 13, 30, tzinfo=UTC)
    assert datetime.fromisoformat(ecs["@timestamp"]) == instant
    assert ocsf["class_uid"] == 2004
