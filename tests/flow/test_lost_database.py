"""A database file that is gone or locked is said at once, and nothing is accepted into it."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx2
from tests.postgres import Postgres, free_port
from tests.servers import serving
from tests.services import fleet

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


def told(url: str, refused: int = 503) -> str:
    """All that a caller without a key, or with one that nobody made, gets to read."""
    pages = ("/health", "/ready", "/metrics", "/api/v1/alerts")
    headers = {"Authorization": "Bearer made-up"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as stranger:
        answers = [stranger.get(page) for page in pages]
        answers.append(stranger.post("/api/v1/alerts", json=ALERT))
    assert [answer.status_code for answer in answers] == [503, 503, 200, refused, refused]
    return "\n".join(answer.text for answer in answers)


def complaints(log: Path) -> list[str]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["error"] for line in lines if line["event"] == "database.failed"]


def test_a_stranger_does_not_read_where_the_database_file_is(tmp_path: Path) -> None:
    with serving(tmp_path, log_format="json") as server:
        for file in tmp_path.glob("tocsin.db*"):
            file.unlink()
        said = told(server.url, 401)  # keys can still be looked up in what is open
        with server.client() as client:
            said += client.post("/api/v1/alerts", json=ALERT).text
        assert "the database file is gone" in said
        assert str(tmp_path) not in said
        assert any(str(tmp_path) in error for error in complaints(server.log))


def test_a_stranger_reads_neither_host_nor_account_of_the_servers(
    postgres_server: Postgres, broker_url: str, tmp_path: Path
) -> None:
    name = f"secret_name_{free_port()}"
    url = postgres_server.create(name)
    with fleet(tmp_path, url, broker_url, (("ingestor",),)) as running:
        postgres_server.sql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        terminate = (
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        postgres_server.sql(terminate)
        said = told(running.ingestor.url)
        postgres_server.sql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        log = running.ingestor.log
    postgres_server.drop(name)
    for secret in (name, "triage_user", "127.0.0.1", str(postgres_server.port)):
        assert secret not in said, said
    assert any(name in error for error in complaints(log)), "the log says it"
    assert len(complaints(log)) < 5, "and not for each request"
