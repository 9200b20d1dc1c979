"""Somebody who sends alerts without end and never gives up."""

import contextlib
import json
import threading
import time

import httpx2
from tests.bench import load
from tests.services import Fleet

BATCH = 50
AGAIN = 500  # every so many alerts, a batch is sent twice


class Sender(threading.Thread):
    """Sends batches at a steady rate, each again and again until it is answered 202."""

    def __init__(self, running: Fleet, rate: float) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._pause = BATCH / rate
        self._stop_asked = threading.Event()
        self.accepted: set[str] = set()
        self.unexpected: list[str] = []
        self.refused = 0

    def run(self) -> None:
        number = 0
        while not self._stop_asked.is_set():
            due = time.monotonic() + self._pause
            body = load.batch(number, BATCH)
            first = self._send(body)
            if number % AGAIN == 0 and first != self._send(body):
                self.unexpected.append("the same alerts got other ids")
            number += BATCH
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        """Finish the batch in hand."""
        self._stop_asked.set()
        self.join()

    def latest(self, count: int) -> list[str]:
        """Some ids that were accepted."""
        return list(self.accepted.copy())[-count:]

    def send(self, alerts: list[dict[str, object]]) -> list[str]:
        """Send these too, until they are accepted."""
        return self._send(json.dumps(alerts).encode())

    def _send(self, body: bytes) -> list[str]:
        headers = {"Content-Type": "application/json"}
        while True:
            with contextlib.suppress(httpx2.TransportError), self._running.client() as client:
                answer = client.post("/api/v1/alerts", content=body, headers=headers)
                if answer.status_code == 202:
                    ids = [sent["alert_id"] for sent in json.loads(answer.content)["alerts"]]
                    self.accepted.update(ids)
                    return ids
                self.refused += 1
                if answer.status_code not in (429, 503):
                    self.unexpected.append(f"{answer.status_code}: {answer.text[:300]}")
            time.sleep(0.1)
