"""The embedded system: one process on SQLite, everything persisted, through HTTP."""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import httpx2
import msgspec
from tests.bench import load
from tests.servers import Server, serving

ALERTS = 24_000
WARM_UP = 2_000
BATCH = 250
SENDERS = 2
RATE = 200
SECONDS = 20
TABLES = (
    "alert_keys", "alerts", "alert_context", "threat_intel", "triage_results", "prevalence",
)  # fmt: skip


def measure(runs: int) -> dict[str, dict[str, object]]:
    """All figures of the embedded system and its floor."""
    rates, floors, peaks = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            rate, peak = _throughput(Path(folder))
            rates.append(rate)
            peaks.append(peak)
            floors.append(_floor(Path(folder)))
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        latencies = _latencies(Path(folder))
    return {
        "embedded.alerts_per_s": _figure(rates, "alerts/s"),
        "embedded.floor_alerts_per_s": _figure(floors, "alerts/s"),
        "embedded.ratio_to_floor": _figure(
            [a / b for a, b in zip(rates, floors, strict=True)], "1"
        ),
        "embedded.p50_ms_at_200": {"value": round(_percentile(latencies, 0.50), 1), "unit": "ms",
                                   "spread": [round(min(latencies), 1), round(max(latencies), 1)]},
        "embedded.p99_ms_at_200": {"value": round(_percentile(latencies, 0.99), 1), "unit": "ms",
                                   "spread": [round(min(latencies), 1), round(max(latencies), 1)]},
        "embedded.peak_rss_mb": _figure(peaks, "MB"),
    }  # fmt: skip


def _throughput(folder: Path) -> tuple[float, float]:
    bodies = [load.batch(n, BATCH) for n in range(WARM_UP, WARM_UP + ALERTS, BATCH)]
    with serving(folder / "data", log_level="warning") as server:
        asyncio.run(_send(server, [load.batch(n, BATCH) for n in range(0, WARM_UP, BATCH)]))
        server.settle()
        started = time.perf_counter()
        asyncio.run(_send(server, bodies))
        balance = server.settle()
        seconds = time.perf_counter() - started
        assert balance["triaged"] == ALERTS + WARM_UP, balance
        peak = _peak_rss_mb(server.process.pid)
        server.stop()
    return ALERTS / seconds, peak


async def _send(server: Server, bodies: list[bytes]) -> None:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    waiting = iter(bodies)

    async def sender(client: httpx2.AsyncClient) -> None:
        for body in waiting:
            while (await client.post("/api/v1/alerts", content=body)).status_code != 202:
                await asyncio.sleep(0.2)

    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=120) as client:
        await asyncio.gather(*(sender(client) for _ in range(SENDERS)))


def _floor(folder: Path) -> float:
    """A straight line: decode the same alerts, write the same rows, nothing else."""
    source = sqlite3.connect(folder / "data" / "tocsin.db")
    schema = [row[0] for row in source.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")]
    rows = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
    column = [info[1] for info in source.execute("PRAGMA table_info(alerts)")].index("raw_data")
    source.close()
    target = sqlite3.connect(folder / "floor.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -32768"):
        target.execute(f"PRAGMA {pragma}")
    for statement in schema:
        target.execute(statement)
    count = len(rows["alerts"])
    parts = count // 100
    started = time.perf_counter()
    for part in range(parts):
        target.execute("BEGIN IMMEDIATE")
        for name, all_rows in rows.items():
            size = -(-len(all_rows) // parts)
            some = all_rows[part * size : (part + 1) * size]
            if name == "alerts":
                for row in some:
                    msgspec.json.decode(row[column])
            if some:
                marks = ", ".join("?" * len(some[0]))
                target.executemany(f"INSERT INTO {name} VALUES ({marks})", some)
        target.execute("COMMIT")
    seconds = time.perf_counter() - started
    target.close()
    return count / seconds


def _latencies(folder: Path) -> list[float]:
    """Milliseconds from the start of each POST until its verdict can be read in the database."""
    with serving(folder / "data", log_level="warning") as server:
        asyncio.run(_send(server, [load.batch(n, BATCH) for n in range(0, 1000, BATCH)]))
        server.settle()
        return asyncio.run(_paced(server))


async def _paced(server: Server) -> list[float]:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    posted: dict[str, float] = {}
    seen: dict[str, float] = {}
    total = RATE * SECONDS
    database = sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)
    last = database.execute("SELECT coalesce(max(rowid), 0) FROM triage_results").fetchone()[0]

    async def look() -> None:
        nonlocal last
        while len(seen) < total:
            found = database.execute(
                "SELECT rowid, alert_id FROM triage_results WHERE rowid > ? ORDER BY rowid", (last,)
            ).fetchall()
            now = time.perf_counter()
            for last, alert_id in found:  # noqa: B007
                seen[alert_id] = now
            await asyncio.sleep(0.002)

    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:

        async def post(number: int) -> None:
            body = json.dumps(load.alert(number)).encode()
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
                tasks.create_task(post(10_000 + number))
    database.close()
    return [1000 * (seen[alert_id] - started) for alert_id, started in posted.items()]


def _peak_rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _figure(values: list[float], unit: str) -> dict[str, object]:
    digits = 2 if unit == "1" else 0
    return {
        "value": round(statistics.median(values), digits),
        "unit": unit,
        "spread": [round(min(values), digits), round(max(values), digits)],
    }
