"""Stopping and starting: what was answered 202 is kept, and who may not start is told why."""

import signal
import socket
import threading
import time
from pathlib import Path

import httpx2
import psycopg
import pytest
from tests.flow.questions import ALERTS, accepted, query
from tests.postgres import free_port
from tests.servers import Server, environment, serving, start, tocsin
from tests.services import Service

from tocsin.store import migrate


class Sender(threading.Thread):
    """Sends until the server is gone; remembers what it was answered."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._server = server
        self._number = number
        self.accepted: list[str] = []
        self.refusals: list[httpx2.Response] = []
        self.others: list[httpx2.Response] = []

    def run(self) -> None:
        with self._server.client() as client:
            for batch in range(10_000):
                alerts = [
                    {"title": f"sender {self._number} batch {batch} alert {n}", "severity": "low"}
                    for n in range(20)
                ]
                try:
                    answer = client.post(ALERTS, json=alerts)
                except httpx2.TransportError:
                    return
                if answer.status_code == 202:
                    self.accepted += [sent["alert_id"] for sent in answer.json()["alerts"]]
                elif answer.status_code == 503:
                    self.refusals.append(answer)
                    time.sleep(0.01)
                else:
                    self.others.append(answer)


def test_a_stop_under_load_keeps_everything_that_was_answered(tmp_path: Path) -> None:
    server = start(tmp_path, sweep_interval="0.2")
    senders = [Sender(server, number) for number in range(4)]
    for sender in senders:
        sender.start()
    time.sleep(1)
    assert server.stop() == 0
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive()
        assert sender.others == []
    answered = {alert_id for sender in senders for alert_id in sender.accepted}
    refusals = [answer for sender in senders for answer in sender.refusals]
    assert len(answered) > 100
    assert refusals, "while draining, senders are told to come back"
    for answer in refusals:
        assert answer.json()["reason"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    stored = {row[0] for row in query(server.database, "SELECT alert_id FROM alerts")}
    assert answered <= stored
    leases = query(server.database, "SELECT count(*) FROM alert_work WHERE lease_until > 0")
    assert leases[0][0] == 0, "a stopped server holds nothing"
    assert "Traceback" not in server.log.read_text()

    with serving(tmp_path) as again:
        balance = again.settle()
        assert balance["received"] == balance["triaged"] == len(stored)
        triaged = query(again.database, "SELECT alert_id FROM triage_results")
        assert answered <= {row[0] for row in triaged}


def test_requests_under_way_are_answered_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answers: list[httpx2.Response] = []

        def post(number: int) -> None:
            with server.client() as client:
                alerts = [{"title": f"{number} {n}", "text": "x" * 2000} for n in range(1500)]
                answers.append(client.post(ALERTS, json=alerts))

        threads = [threading.Thread(target=post, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.15)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15, "nobody hung"
        for thread in threads:
            thread.join(20)
        assert {answer.status_code for answer in answers} <= {202, 503}
        ids = {i for answer in answers if answer.status_code == 202 for i in accepted(answer)}
        assert ids <= {row[0] for row in query(server.database, "SELECT alert_id FROM alerts")}


def test_down_waits_until_the_server_has_gone(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with server.client() as client:
            accepted(client.post(ALERTS, json=[{"title": f"{n}"} for n in range(500)]))
        done = tocsin(tmp_path, "down")
        assert (done.returncode, done.stderr) == (0, b"")
        assert server.url in done.stdout.decode()
        assert server.process.wait(5) == 0
        assert not (tmp_path / "server.json").exists()
    nobody = tocsin(tmp_path, "down")
    assert nobody.returncode == 0
    assert "no server" in nobody.stdout.decode()


@pytest.mark.parametrize("ours", [True, False], ids=["same folder", "busy port"])
def test_a_server_that_cannot_start_says_what_to_do(server: Server, ours: bool) -> None:
    port = server.url.rsplit(":", 1)[1]
    folder = server.data if ours else server.data / "other"
    done = tocsin(folder, "up", "--port", "0" if ours else port)
    assert done.returncode == 2
    message = done.stderr.decode()
    assert "Traceback" not in message
    assert ("tocsin down" if ours else f"127.0.0.1:{port}") in message
    assert len(message.splitlines()) == 1
    with server.client() as client:
        assert client.get("/health").status_code == 200, "the one that runs is not disturbed"


def test_what_a_killed_server_leaves_behind_is_not_taken_for_a_server(tmp_path: Path) -> None:
    """Its process number may belong to anybody by now: here, to this test."""
    with serving(tmp_path) as server:
        server.kill()
    (tmp_path / "server.json").write_text('{"pid": 1, "url": "http://127.0.0.1:9"}')
    done = tocsin(tmp_path, "down")
    assert done.returncode == 0, "nobody was stopped"
    assert "no server" in done.stdout.decode()


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server, socket.socket() as half_sent:
        half_sent.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        half_sent.sendall(b"POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n")
        time.sleep(0.2)
        server.process.terminate()
        time.sleep(1)
        server.process.terminate()
        assert server.process.wait(5) is not None


def test_ready_says_when_the_server_is_stopping(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        assert client.get("/ready").status_code == 200
        server.process.terminate()
        time.sleep(0.05)
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["stopping"]) == (503, True)
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_waits_for_its_turn_at_the_migrations_can_be_stopped(
    tmp_path: Path, postgres_url: str, number: signal.Signals
) -> None:
    service = Service(
        ("ingestor",),
        free_port(),
        environment(
            tmp_path, database=postgres_url, broker="amqp://127.0.0.1:1/", log_level="info"
        ),
        tmp_path / "ingestor.log",
    )
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (migrate.LOCK,))
        service.start()
        assert service.process is not None
        try:
            end = time.monotonic() + 60
            while "database.migration_awaited" not in service.log.read_text():
                assert time.monotonic() < end, service.log.read_text()
                time.sleep(0.1)
            service.process.send_signal(number)
            assert service.process.wait(timeout=20) == 0, service.log.read_text()
        finally:
            service.kill()
    assert "Traceback" not in service.log.read_text()
    assert "server.stopped" in service.log.read_text()
