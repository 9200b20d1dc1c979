"""What a million stored alerts cost: the pipeline's rate beside that at 10,000, and the lists."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from tests.bench import filling, load
from tests.bench.figures import Figure, figure, milliseconds
from tests.postgres import postgres
from tests.rabbitmq import rabbitmq
from tests.servers import serving
from tests.services import CHAIN, fleet

STORED = 1_000_000
BASE = 10_000
BURSTS = 5
ALERTS = 10_000
BATCH = 250
ASKED = 100
LISTS: Mapping[str, Mapping[str, str]] = {
    "queue": {"status": "triaged", "sort": "risk_score"},
    "newest": {},
    "open": {"status": "triaged"},
    "parked": {"status": "parked"},
    "critical": {"severity": "critical"},
    "source": {"source": filling.RARE_SOURCE},
    "rule": {"rule_id": filling.RARE_RULE},
    "rule_open": {"rule_id": "R-7", "status": "triaged"},
}
"""Lists that people open, by the name of their figure; the last but one hold the rarest of all."""


def measure(stored: int = STORED) -> dict[str, Figure]:
    """Rates and lists on both databases."""
    results: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as top:
        results |= _postgresql(Path(top) / "postgresql", stored)
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as top:
        results |= _sqlite(Path(top) / "sqlite", stored)
    return results


def _postgresql(folder: Path, stored: int) -> dict[str, Figure]:
    with postgres() as server, rabbitmq() as broker:
        url, bus = server.create("million"), broker.create("million")
        groups = (("ingestor",), CHAIN, CHAIN)
        with fleet(folder, url, bus, groups, log_level="warning") as running:
            sender = _Sender(running.ingestor.url, running.key, running.settle)
            sender.send(BASE)
            few = [sender.rate() for _ in range(BURSTS)]
            filled = _timed("postgresql", stored, lambda: filling.fill_postgresql(url, stored))
            server.sql("CHECKPOINT")  # what filling left to be written is not the pipeline's
            for service in running.services:  # as on SQLite: nobody knows what was filled in
                service.stop()
                service.start()
                service.wait()
            sender.send(BASE)  # a start is not what is measured
            many = [sender.rate() for _ in range(BURSTS)]
            lists = sender.lists()
    return _figures("postgresql", few, many, filled, lists)


def _sqlite(folder: Path, stored: int) -> dict[str, Figure]:
    with serving(folder, log_level="warning") as server:
        sender = _Sender(server.url, server.key, server.settle)
        sender.send(BASE)
        few = [sender.rate() for _ in range(BURSTS)]
        server.stop()
    path = str(server.database)
    filled = _timed("sqlite", stored, lambda: filling.fill_sqlite(path, stored))
    with serving(folder, log_level="warning") as server:
        sender = _Sender(server.url, server.key, server.settle, sender.number)
        sender.send(BASE)  # a start is not what is measured
        many = [sender.rate() for _ in range(BURSTS)]
        lists = sender.lists()
        server.stop()
    return _figures("sqlite", few, many, filled, lists)


def _timed(name: str, stored: int, fill: Callable[[], int]) -> int:
    started = time.perf_counter()
    count = fill()
    print(f"{name}: {count} alerts after {time.perf_counter() - started:.0f} s", flush=True)
    assert abs(count - stored) < 0.2 * stored, count
    return count


class _Sender:
    """Sends alerts that nobody sent before, and asks for lists."""

    def __init__(
        self, url: str, key: str, settle: Callable[[], Mapping[str, float]], number: int = 0
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._settle = settle
        self.number = number

    def send(self, count: int) -> float:
        """Seconds until all are triaged."""
        bodies = [load.batch(self.number + n, BATCH) for n in range(0, count, BATCH)]
        self.number += count
        started = time.perf_counter()
        asyncio.run(self._post(bodies))
        self._settle()
        return time.perf_counter() - started

    def rate(self) -> float:
        """Alerts a second, from the first request until the last verdict."""
        return ALERTS / self.send(ALERTS)

    async def _post(self, bodies: list[bytes]) -> None:
        waiting = iter(bodies)

        async def one(client: httpx2.AsyncClient) -> None:
            for body in waiting:
                while (await client.post("/api/v1/alerts", content=body)).status_code != 202:
                    await asyncio.sleep(0.2)

        async with self._client() as client:
            senders: list[Awaitable[None]] = [one(client), one(client)]
            await asyncio.gather(*senders)

    def lists(self) -> dict[str, list[float]]:
        """Milliseconds of each list's first pages, over HTTP, the client included."""
        return asyncio.run(self._ask())

    async def _ask(self) -> dict[str, list[float]]:
        times: dict[str, list[float]] = {}
        async with self._client() as client:
            for name, asked in LISTS.items():
                cursor: dict[str, Any] = {}
                times[name] = []
                for _ in range(ASKED):
                    started = time.perf_counter()
                    answer = await client.get("/api/v1/alerts", params={**asked, **cursor})
                    times[name].append(1000 * (time.perf_counter() - started))
                    page = answer.json()
                    assert page["alerts"], (name, page)
                    cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        return times

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._url, headers=self._headers, timeout=300)


def _figures(
    name: str, few: list[float], many: list[float], stored: int, lists: dict[str, list[float]]
) -> dict[str, Figure]:
    worst = max((times for times in lists.values()), key=lambda t: sorted(t)[int(0.95 * len(t))])
    found = {
        f"million.{name}.stored": figure([stored], "alerts"),
        f"million.{name}.alerts_per_s_at_10k": figure(few, "alerts/s"),
        f"million.{name}.alerts_per_s_at_end": figure(many, "alerts/s"),
        f"million.{name}.rate_ratio": figure(
            [sorted(many)[len(many) // 2] / sorted(few)[len(few) // 2]], "1", 2
        ),
        f"million.{name}.worst_list_p95_ms": milliseconds(worst, 0.95),
    }
    for list_, times in lists.items():
        found[f"million.{name}.{list_}_p50_ms"] = milliseconds(times, 0.50)
        found[f"million.{name}.{list_}_p95_ms"] = milliseconds(times, 0.95)
    return found
