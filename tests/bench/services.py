"""The system as services on PostgreSQL and RabbitMQ, and two floors on the same server."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psycopg
from psycopg import sql
from tests.bench import load
from tests.bench.costs import Costs, Counter
from tests.bench.figures import figure, milliseconds
from tests.postgres import Postgres, postgres
from tests.rabbitmq import rabbitmq
from tests.services import CHAIN, SEPARATE, Fleet, fleet

ALERTS = 20_000
WARM_UP = 2_000
BATCH = 250
SENDERS = 2
RATE = 200
SECONDS = 15
CHAINED = (("ingestor",), CHAIN, CHAIN)
TABLES = (
    "alert_keys", "alerts", "alert_context", "threat_intel", "triage_results", "prevalence",
)  # fmt: skip


def measure(runs: int) -> dict[str, dict[str, object]]:
    """Chained workers, five services, the straight line and COPY, all in one run."""
    chained, separate, floors, copies = [], [], [], []
    costs: list[Costs] = []
    latencies: list[float] = []
    with (
        postgres() as server,
        rabbitmq() as broker,
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as top,
    ):
        for run in range(runs):
            for name, groups, rates in (("c", CHAINED, chained), ("s", SEPARATE, separate)):
                label = f"{name}{run}"
                url, bus = server.create(label), broker.create(label)
                with fleet(Path(top) / label, url, bus, groups, log_level="warning") as running:
                    if name == "c":
                        counter = Counter(running, server, broker)
                        rates.append(_throughput(running, counter))
                        costs.append(counter.costs(ALERTS))
                    else:
                        rates.append(_throughput(running))
                    if name == "c" and run == runs - 1:
                        latencies = asyncio.run(_paced(running, url))
                if name == "c":
                    rows = _rows(url)
                    floors.append(_floor(server, f"f{run}", url, rows))
                    copies.append(_copy(server, f"p{run}", url, rows))
                server.drop(label)
    ratios = [rate / floor for rate, floor in zip(chained, floors, strict=True)]
    return {
        "chained.alerts_per_s": _figure(chained),
        "chained.floor_alerts_per_s": _figure(floors),
        "chained.ratio_to_floor": figure(ratios, "1", 2),
        "copy.alerts_per_s": _figure(copies),
        "chained.p50_ms_at_200": milliseconds(latencies, 0.50),
        "chained.p99_ms_at_200": milliseconds(latencies, 0.99),
        "services.alerts_per_s": _figure(separate),
        **{f"cost.{part}_us": figure([c[part] for c in costs], "µs", 1) for part in costs[0]},
    }


def _throughput(running: Fleet, counter: Counter | None = None) -> float:
    asyncio.run(_send(running, _bodies(0, WARM_UP)))
    running.settle()
    bodies = _bodies(WARM_UP, ALERTS)
    if counter is not None:
        counter.begin()
    started = time.perf_counter()
    asyncio.run(_send(running, bodies))
    balance = running.settle()
    seconds = time.perf_counter() - started
    assert balance["triaged"] == ALERTS + WARM_UP, balance
    return ALERTS / seconds


def _bodies(first: int, count: int) -> list[bytes]:
    return [load.batch(start, BATCH) for start in range(first, first + count, BATCH)]


async def _send(running: Fleet, bodies: Sequence[bytes]) -> None:
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/json"}
    waiting = iter(bodies)

    async def sender(client: httpx2.AsyncClient) -> None:
        for body in waiting:
            while (await client.post("/api/v1/alerts", content=body)).status_code != 202:
                await asyncio.sleep(0.2)

    url = running.ingestor.url
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
        await asyncio.gather(*(sender(client) for _ in range(SENDERS)))


async def _paced(running: Fleet, url: str) -> list[float]:
    """Milliseconds from the start of each POST until its verdict can be read."""
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/json"}
    posted: dict[str, float] = {}
    seen: dict[str, float] = {}
    total = RATE * SECONDS
    database = await psycopg.AsyncConnection.connect(url, autocommit=True)

    async def look() -> None:
        while len(seen) < total:
            missing = [alert_id for alert_id in posted if alert_id not in seen]
            if missing:
                found = await database.execute(
                    "SELECT alert_id FROM triage_results WHERE alert_id = ANY(%s)", (missing,)
                )
                rows = await found.fetchall()
                now = time.perf_counter()
                seen.update({row[0]: now for row in rows})
            await asyncio.sleep(0.003)

    async with httpx2.AsyncClient(
        base_url=running.ingestor.url, headers=headers, timeout=60
    ) as client:

        async def post(number: int) -> None:
            body = msgspec.json.encode(load.alert(number))
            started = time.perf_counter()
            answer = await client.post("/api/v1/alerts", content=body)
            posted[answer.json()["alert_id"]] = started

        async with asyncio.timeout(SECONDS * 6), asyncio.TaskGroup() as tasks:
            tasks.create_task(look())
            begin = time.perf_counter()
            for number in range(total):
                pause = begin + number / RATE - time.perf_counter()
                if pause > 0:
                    await asyncio.sleep(pause)
                tasks.create_task(post(500_000 + number))
    await database.close()
    return [1000 * (seen[alert_id] - started) for alert_id, started in posted.items()]


def _rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the pipeline stored, as text where it is JSON."""
    with psycopg.connect(url) as connection:
        connection.adapters.register_loader("json", psycopg.types.string.TextLoader)
        return {
            name: connection.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
            ).fetchall()
            for name in TABLES
        }


def _empty_copy(server: Postgres, name: str, url: str) -> str:
    copy = server.create(name)
    label = url.rsplit("/", 1)[1]
    server.sql(f"DROP DATABASE {name}")
    server.sql(f"CREATE DATABASE {name} TEMPLATE {label} OWNER triage_user")
    server.sql(f"TRUNCATE {', '.join(TABLES)}", name)
    return copy


def _floor(server: Postgres, name: str, url: str, rows: dict[str, list[tuple[Any, ...]]]) -> float:
    """A straight line on one connection: decode each payload, write the same rows."""
    target = _empty_copy(server, name, url)
    with psycopg.connect(target) as connection:
        payload = [c.name for c in connection.execute("SELECT * FROM alerts").description or []]
        column = payload.index("raw_data")
        parts = len(rows["alerts"]) // 100
        started = time.perf_counter()
        for part in range(parts):
            for table, all_rows in rows.items():
                size = -(-len(all_rows) // parts)
                some = all_rows[part * size : (part + 1) * size]
                if table == "alerts":
                    for row in some:
                        msgspec.json.decode(row[column])
                if some:
                    marks = ", ".join(["%s"] * len(some[0]))
                    with connection.cursor() as cursor:
                        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
            connection.commit()
        seconds = time.perf_counter() - started
    server.drop(name)
    return len(rows["alerts"]) / seconds


def _copy(server: Postgres, name: str, url: str, rows: dict[str, list[tuple[Any, ...]]]) -> float:
    """COPY of the same rows and nothing else."""
    target = _empty_copy(server, name, url)
    with psycopg.connect(target) as connection:
        started = time.perf_counter()
        for table, all_rows in rows.items():
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                for row in all_rows:
                    copy.write_row(row)
        connection.commit()
        seconds = time.perf_counter() - started
    server.drop(name)
    return len(rows["alerts"]) / seconds


def _figure(values: Sequence[float]) -> dict[str, object]:
    return figure(values, "alerts/s")
