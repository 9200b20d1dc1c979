"""`make chaos`: random faults under load; says what was lost (nothing) and how fast it caught up.

Faults: kill -9 of any role, RabbitMQ stopped and started, its queues deleted, PostgreSQL crashed
and started again, its connections cut, and the same alerts sent twice. Afterwards the system must
settle: accepted = triaged + folded + parked, one row each in every table.
"""

import argparse
import contextlib
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from tests.bench import load
from tests.postgres import Postgres, postgres
from tests.rabbitmq import RabbitMQ, rabbitmq
from tests.services import CHAIN, SEPARATE, Fleet, fleet

QUEUES = ("alert.raw", "alert.normalized", "alert.enriched", "alert.contextualized")
BATCH = 50
GROUPS = (*SEPARATE, CHAIN)


class Sender(threading.Thread):
    """Sends batches without end, each again and again until it is answered 202, some twice."""

    def __init__(self, running: Fleet) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._stop_asked = threading.Event()
        self.accepted: set[str] = set()
        self.unexpected: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._stop_asked.is_set():
            body = load.batch(number, BATCH)
            first = self._send(body)
            if number % 500 == 0:
                again = self._send(body)
                if first != again:
                    self.unexpected.append("the same alerts got other ids")
            number += BATCH

    def stop(self) -> None:
        """Finish the batch in hand."""
        self._stop_asked.set()
        self.join()

    def _send(self, body: bytes) -> list[str]:
        while True:
            with contextlib.suppress(httpx2.TransportError), self._running.client() as client:
                answer = client.post(
                    "/api/v1/alerts", content=body, headers={"Content-Type": "application/json"}
                )
                if answer.status_code == 202:
                    ids = [sent["alert_id"] for sent in json.loads(answer.content)["alerts"]]
                    self.accepted.update(ids)
                    return ids
                if answer.status_code not in (429, 503):
                    self.unexpected.append(f"{answer.status_code}: {answer.text[:300]}")
            time.sleep(0.1)


class Chaos:
    """The faults, and what each needs."""

    def __init__(
        self, running: Fleet, database: str, server: Postgres, broker: RabbitMQ, vhost: str
    ) -> None:
        self._running = running
        self._database = database
        self._server = server
        self._broker = broker
        self._vhost = vhost

    def kill_a_role(self, chance: random.Random) -> str:
        """kill -9 of any process, which then starts again."""
        victim = chance.choice(self._running.services)
        victim.kill()
        time.sleep(chance.uniform(0.0, 2.0))
        victim.start()
        victim.wait()
        return f"kill -9 {' '.join(victim.roles)}"

    def stop_the_broker(self, chance: random.Random) -> str:
        """RabbitMQ goes away for some seconds."""
        self._broker.control("stop_app")
        time.sleep(chance.uniform(1.0, 5.0))
        self._broker.control("start_app")
        return "RabbitMQ stopped and started"

    def delete_the_queues(self, _: random.Random) -> str:
        """All queues vanish with what is in them."""
        for name in QUEUES:
            self._broker.control("delete_queue", name, "-p", self._vhost, check=False)
        return "all queues deleted"

    def crash_the_database(self, chance: random.Random) -> str:
        """PostgreSQL dies without a shutdown and recovers."""
        self._server.stop(immediately=True)
        time.sleep(chance.uniform(0.5, 5.0))
        self._server.start()
        return "PostgreSQL crashed and recovered"

    def cut_connections(self, _: random.Random) -> str:
        """The database ends every session."""
        self._server.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            f"WHERE datname = '{self._database}'"
        )
        return "all database sessions ended"

    def faults(self) -> list[Callable[[random.Random], str]]:
        """Roles are killed more often than servers."""
        return [
            self.kill_a_role, self.kill_a_role, self.kill_a_role, self.stop_the_broker,
            self.delete_the_queues, self.crash_the_database, self.cut_connections,
        ]  # fmt: skip


def main() -> None:
    """Break things for a while, then count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long faults go on")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to repeat a run")
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    print(f"chaos for {wanted.seconds} s, seed {wanted.seed}", flush=True)
    quick = {"sweep_interval": "1", "sweep_after": "3", "max_in_flight": "20000"}
    with (
        postgres() as server,
        rabbitmq() as broker,
        tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as top,
    ):
        url, bus = server.create("chaos"), broker.create("chaos")
        with fleet(Path(top), url, bus, GROUPS, **quick) as running:
            sender = Sender(running)
            sender.start()
            chaos = Chaos(running, "chaos", server, broker, "chaos")
            end = time.monotonic() + wanted.seconds
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.5, 3.0))
                before = len(sender.accepted)
                what = chance.choice(chaos.faults())(chance)
                print(f"{what}; {len(sender.accepted) - before} accepted meanwhile", flush=True)
            sender.stop()
            started = time.monotonic()
            balance = running.settle(300)
            print(f"caught up in {time.monotonic() - started:.1f} s: {balance}")
            report(server, sender)


def report(server: Postgres, sender: Sender) -> None:
    """Compare what was accepted with what is stored; exit 1 if anything differs."""
    stored = set(server.sql("SELECT alert_id FROM alerts", "chaos").split())
    triaged = server.sql("SELECT alert_id FROM triage_results", "chaos").split()
    parked = set(server.sql("SELECT alert_id FROM alerts WHERE status = 'parked'", "chaos").split())
    contexts = int(server.sql("SELECT count(*) FROM alert_context", "chaos"))
    lost = sender.accepted - set(triaged) - parked
    print(
        f"accepted {len(sender.accepted)}, stored {len(stored)}, triaged {len(triaged)}, "
        f"parked {len(parked)}, lost {len(lost)}, doubled {len(triaged) - len(set(triaged))}"
    )
    wrong = [*sender.unexpected[:5]]
    if lost or len(triaged) != len(set(triaged)) or contexts != 3 * len(triaged):
        wrong.append(f"contexts {contexts}")
    if not stored >= sender.accepted or stored - set(triaged) - parked:
        wrong.append("alerts without an end")
    if wrong:
        raise SystemExit(f"chaos found: {wrong}")


main()
