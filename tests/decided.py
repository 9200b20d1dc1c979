"""Servers on both databases, and what tests of decisions ask of them."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from tests.flow.questions import ALERTS, accepted
from tests.postgres import Postgres
from tests.servers import Server, serving

HOSTILE = "{} {0} %s %(x)s\n'; DROP TABLE dispositions -- \x1b[31m <script> \u202e é"
BULK = "/api/v1/dispositions/bulk"


@contextmanager
def decided_server(kind: str, folder: Path, postgres: Any) -> Iterator[Server]:
    """A server on an empty database of this kind."""
    if kind == "sqlite":
        with serving(folder) as server:
            yield server
        return
    running: Postgres = postgres()
    name = f"t{uuid.uuid4().hex[:12]}"
    try:
        with serving(folder, database=running.create(name)) as server:
            yield server
    finally:
        running.drop(name)


def url_of(server: Server) -> str:
    """The server's database, for commands and plain SQL beside it."""
    return server.settings.get("database") or f"sqlite:///{server.database}"


def sql(server: Server, statement: str, **values: Any) -> list[dict[str, Any]]:
    """Plain SQL, beside everything that Tocsin does."""
    with engine(server).connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def by_hand(server: Server, statement: str, **values: Any) -> None:
    """Change rows, as somebody with access to the database might."""
    with engine(server).begin() as connection:
        connection.execute(sa.text(statement), values)


def engine(server: Server) -> sa.Engine:
    """A way into the server's database that keeps no connection."""
    url = url_of(server).replace("postgresql://", "postgresql+psycopg://")
    return sa.create_engine(url, poolclass=sa.pool.NullPool)


def sent(server: Server, alerts: list[dict[str, Any]]) -> list[str]:
    """Send alerts and wait for their verdicts."""
    with server.client() as client:
        ids = accepted(client.post(ALERTS, json=alerts))
    server.settle()
    return ids


def alert(number: int, rule: str, host: str = "web-1") -> dict[str, Any]:
    """An alert that differs from others by its number."""
    return {
        "title": f"decided {number} {uuid.uuid4().hex}", "rule_id": rule, "host_name": host,
        "source_ip": f"192.0.2.{number % 250}", "user_name": f"user{number % 3}",
        "severity": "medium",
    }  # fmt: skip


def decide(client: httpx2.Client, alert_id: str, disposition: str, reason: str = "seen") -> str:
    """Decide an alert; gives the decision's id."""
    answer = client.post(
        f"{ALERTS}/{alert_id}/disposition", json={"disposition": disposition, "reason": reason}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["disposition_id"])


def counts(server: Server, kind: str, value: str) -> tuple[int, int]:
    """Attacks and harmless of a value; zeros when nothing was counted."""
    found = sql(
        server,
        "SELECT attacks, harmless FROM decision_counts WHERE kind = :kind AND value = :value",
        kind=kind,
        value=value,
    )
    return (found[0]["attacks"], found[0]["harmless"]) if found else (0, 0)


def state(server: Server, alert_id: str) -> tuple[str, str | None, str | None, bool]:
    """Status, reviewer, notes, and whether there is a moment of review."""
    (row,) = sql(
        server,
        "SELECT a.status, t.human_reviewer, t.human_review_notes, t.reviewed_at FROM alerts a "
        "JOIN triage_results t ON t.alert_id = a.alert_id WHERE a.alert_id = :id",
        id=alert_id,
    )
    at = row["reviewed_at"] is not None
    return row["status"], row["human_reviewer"], row["human_review_notes"], at


def wait_until(claim: Any, seconds: float = 60) -> None:
    """Wait until something is the case."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)
