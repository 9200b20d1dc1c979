"""kill -9 as kill -9: nothing that was accepted is lost, nothing is doubled."""

import json
import random
import sqlite3
import threading
import time
from pathlib import Path

import httpx2
from tests.servers import Server, start

BATCH = 50
KILLS = 10
SENDERS = 2
SHARE = 1_000_000  # numbers that a sender has; it stops after the last kill
LEAST = 1_000  # alerts, or the kills hit a server that had nothing to do


def alert(number: int) -> dict[str, object]:
    return {
        "title": f"Connection {number} to a watched address",
        "severity": ("low", "medium", "high")[number % 3],
        "timestamp": 1_772_600_000 + number,
        "source_ip": f"10.20.{number // 250 % 250}.{number % 250 + 1}",
        "destination_ip": f"198.51.100.{number % 250 + 1}",
        "asset_id": f"PC-{number % 400}",
        "user_name": f"user{number % 300}",
        "rule_id": f"R-{number % 40}",
    }


class RetryingClient(threading.Thread):
    """Sends from its share until told to stop, each batch again and again until it is answered."""

    def __init__(self, server: Server, share: range, enough: threading.Event) -> None:
        super().__init__()
        self._server = server
        self._share = share
        self._enough = enough
        self.accepted: dict[int, str] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._server.client() as client:
                for begin in range(self._share.start, self._share.stop, BATCH):
                    if self._enough.is_set():
                        return
                    numbers = list(range(begin, begin + BATCH))
                    for number, answer in zip(numbers, self._send(client, numbers), strict=True):
                        self.accepted[number] = answer["alert_id"]
        except BaseException as error:  # noqa: BLE001  # the test shows it
            self.error = error

    def _send(self, client: httpx2.Client, numbers: list[int]) -> list[dict[str, str]]:
        body = json.dumps([alert(number) for number in numbers]).encode()
        headers = {"Content-Type": "application/json"}
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                answer = client.post("/api/v1/alerts", content=body, headers=headers)
            except httpx2.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 202:
                sent: list[dict[str, str]] = answer.json()["alerts"]
                return sent
            assert answer.status_code in (429, 503), answer.text
            time.sleep(0.1)
        raise AssertionError("the server stayed away")


def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260304)
    server = start(tmp_path)
    port = int(server.url.rsplit(":", 1)[1])
    enough = threading.Event()
    shares = [range(n * SHARE, (n + 1) * SHARE) for n in range(SENDERS)]
    clients = [RetryingClient(server, share, enough) for share in shares]
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.6))
            server.kill()
            server = start(tmp_path, port=port)
        enough.set()
        for client in clients:
            client.join()
        balance = server.settle()
        print(f"{balance['received']:.0f} alerts were accepted")
    finally:
        enough.set()
        server.kill()
    assert [client.error for client in clients] == [None] * SENDERS
    accepted = {number: id_ for client in clients for number, id_ in client.accepted.items()}
    assert len(accepted) >= LEAST
    assert len(set(accepted.values())) == len(accepted)
    assert balance["received"] == balance["triaged"] == len(accepted)
    _check_tables(server.database, set(accepted.values()))


def _check_tables(database: Path, accepted: set[str]) -> None:
    connection = sqlite3.connect(database)
    try:
        for table in ("alerts", "triage_results"):
            ids = [row[0] for row in connection.execute(f"SELECT alert_id FROM {table}")]
            assert len(ids) == len(set(ids)), table
            assert set(ids) == accepted, table
        contexts = connection.execute("SELECT count(*) FROM alert_context").fetchone()[0]
        assert contexts == 3 * len(accepted)
        assert connection.execute("SELECT count(*) FROM alert_work").fetchone()[0] == 0
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        connection.close()
