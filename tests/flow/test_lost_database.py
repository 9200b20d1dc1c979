"""A database file that is gone or locked is said at once, and nothing is accepted into it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.servers import serving

ALERT = {"title": "a", "source_ip": "192.0.2.9"}


def test_a_removed_database_file_is_down_and_takes_no_alert(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        assert client.post("/api/v1/alerts", json=ALERT).status_code == 202
        server.settle()
        for file in tmp_path.glob("tocsin.db*"):
            file.unlink()
        refused = client.post("/api/v1/alerts", json={**ALERT, "title": "b"})
        health = client.get("/health")
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert health.status_code == 503
    assert health.json()["checks"]["database"]["status"] == "down"


def test_a_locked_database_is_answered_503_before_a_client_gives_up(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            refused = client.post("/api/v1/alerts", json=ALERT)
            health = client.get("/health")
            waited = time.monotonic() - started
            other.execute("ROLLBACK")
        assert refused.status_code == 503
        assert health.status_code == 503
        assert waited < 20
        assert client.post("/api/v1/alerts", json=ALERT).status_code == 202
        assert server.settle()["triaged"] == 1
