"""What the tests through the front door ask again and again."""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2
from tests.servers import Server

ALERTS = "/api/v1/alerts"
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/x-ndjson"}


def query(database: Path, sql: str, *parameters: Any) -> list[sqlite3.Row]:
    """Plain SQL, beside everything that Tocsin does."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, parameters).fetchall()


def stored(server: Server, alert_id: str) -> sqlite3.Row:
    """The one row of an alert."""
    rows = query(server.database, "SELECT * FROM alerts WHERE alert_id = ?", alert_id)
    assert len(rows) == 1, alert_id
    return rows[0]


def accepted(answer: httpx2.Response) -> list[str]:
    """The ids of a request all of whose alerts were accepted."""
    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    assert receipt["refused"] == 0, receipt
    return [sent["alert_id"] for sent in receipt["alerts"]]


def is_problem(answer: httpx2.Response, status: int, reason: str) -> dict[str, Any]:
    """A problem document that says what the status says; gives it."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["reason"] == reason, document
    assert document["title"]
    assert document["detail"]
    return document


def log_lines(server: Server) -> list[str]:
    """The server's log as lines."""
    return server.log.read_text().splitlines()


def has_no_trouble(server: Server, states: Iterable[str] = ("parked", "in_flight")) -> None:
    """Nothing is parked or stuck, and the log holds no trace of a defect."""
    balance = server.settle()
    assert {state: balance[state] for state in states} == dict.fromkeys(states, 0.0)
    log = server.log.read_text()
    for word in ("Traceback", '"level": "error"', '"level": "critical"', "step.failed"):
        assert word not in log, log[max(0, log.index(word) - 1500) :][:3000]
