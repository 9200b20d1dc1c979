"""Where the time goes: processor microseconds per alert, from the run itself.

The processes' own figures (`/proc/PID/stat`) say what each used in all; the metric
`tocsin_cpu_seconds_total` says which part of Tocsin's went into which step. What is left of a
process is HTTP, the broker's client and the event loop.
"""

import os
import time
from pathlib import Path

import httpx2
from tests.postgres import Postgres
from tests.rabbitmq import RabbitMQ
from tests.services import Fleet

from tocsin import pipeline

TICKS = os.sysconf("SC_CLK_TCK")
STEPS = tuple(step.name for step in pipeline.STEPS)
PARTS = (*STEPS, "body", "read", "write", "rows")
METRIC = "tocsin_cpu_seconds_total"
Costs = dict[str, float]


class Counter:
    """What was used between `begin` and `costs`."""

    def __init__(self, running: Fleet, server: Postgres, broker: RabbitMQ) -> None:
        self._running = running
        self._server = server
        self._broker = broker
        self._begin: Costs = {}

    def begin(self) -> None:
        """Count from here on."""
        self._begin = self._seconds()

    def costs(self, alerts: int) -> Costs:
        """Microseconds per alert, by part; `total` is what all processes used together."""
        now = self._seconds()
        used = {part: 1e6 * (now[part] - self._begin[part]) / alerts for part in now}
        known = {part: used[part] for part in (*STEPS, "body", "rows")}
        database = used["read"] + used["write"] - used["rows"]
        ingestor = used["ingestor"] - used["ingestor_threads"] - used["body"]
        worker = used["workers"] - used["worker_threads"] - sum(used[step] for step in STEPS)
        return {
            **known,
            "database_client": database,
            "ingestor_http_and_bus": ingestor,
            "worker_loop_and_bus": worker,
            "database_server": used["database"],
            "broker_server": used["broker"],
            "client": used["client"],
            "total": sum(
                used[name] for name in ("ingestor", "workers", "database", "broker", "client")
            ),
        }

    def _seconds(self) -> Costs:
        parts = dict.fromkeys((*PARTS, "ingestor_threads", "worker_threads"), 0.0)
        processes = {"ingestor": 0.0, "workers": 0.0}
        for service in self._running.services:
            assert service.process is not None
            ingests = "ingestor" in service.roles
            processes["ingestor" if ingests else "workers"] += _used(service.process.pid)
            text = httpx2.get(f"{service.url}/metrics", timeout=30).text
            for line in text.splitlines():
                if not line.startswith(METRIC):
                    continue
                part, seconds = line.split('"')[1], float(line.split()[-1])
                parts[part] += seconds
                if part in ("read", "write"):
                    parts["ingestor_threads" if ingests else "worker_threads"] += seconds
        assert self._server.process is not None
        assert self._broker.process is not None
        return {
            **parts,
            **processes,
            "database": _used_by_all(self._server.process.pid),
            "broker": _used_by_all(self._broker.process.pid),
            "client": time.process_time(),
        }


def _used(pid: int, *, children: bool = False) -> float:
    """Processor seconds of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, ended = fields[11:13], fields[13:15]
    return sum(map(int, own + (ended if children else []))) / TICKS


def _used_by_all(pid: int) -> float:
    """Processor seconds of a process and of all that descend from it."""
    tasks = Path(f"/proc/{pid}/task")
    children = [
        int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()
    ]
    return _used(pid, children=True) + sum(_used_by_all(child) for child in children)
