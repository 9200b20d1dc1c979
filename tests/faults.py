"""Faults that PostgreSQL itself raises, and the count of what became of every alert."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import aio_pika
from tests.postgres import Postgres

from tocsin.pipeline import FOLLOW_UPS, STEPS

QUEUES = tuple(step.takes for step in STEPS)
# what follows a verdict may still be under way when its alert has come to its end
_FOLLOWING = ", ".join(f"'{step}'" for step in FOLLOW_UPS)
WAITING = f"SELECT alert_id FROM alert_work WHERE parked_at IS NULL AND step NOT IN ({_FOLLOWING})"
FULL = ("53100", "could not extend file: No space left on device")
SERIALIZATION = ("40001", "could not serialize access due to concurrent update")
DEADLOCK = ("40P01", "deadlock detected")
EVERY_TRANSACTION = "audit_heads"  # each transaction that writes moves one head

# Where each stage's results go, and how a row of a poisoned alert is known there.
_TITLE = "(SELECT title FROM alerts WHERE alert_id = NEW.alert_id)"
POISON = {
    "normalize": ("alerts", "NEW.title LIKE 'poison for normalize%'"),
    "context": ("alert_context", f"{_TITLE} LIKE 'poison for context%'"),
    "intel": ("threat_intel", "NEW.ioc = '203.0.113.66'"),
    "triage": ("triage_results", f"{_TITLE} LIKE 'poison for triage%'"),
    "after": ("alert_entities", "NEW.value = 'poison-for-after'"),
}
PARKED_FOLLOW_UPS = (
    f"SELECT alert_id FROM alert_work WHERE parked_at IS NOT NULL AND step IN ({_FOLLOWING})"
)


@dataclass(frozen=True)
class Spoilt:
    """A database in which the server refuses what a test says, with its own errors."""

    server: Postgres
    name: str

    @contextmanager
    def refusing(self, table: str, fault: tuple[str, str], share: float = 1.0) -> Iterator[None]:
        """Statements that write a table fail with a SQLSTATE, this share of them by chance."""
        self._trigger(table, "STATEMENT", f"random() < {share}", fault)
        try:
            yield
        finally:
            self.server.sql(f"DROP FUNCTION fault_{table} CASCADE", self.name)

    @contextmanager
    def poisonous(self) -> Iterator[None]:
        """In every stage, one alert's rows are refused for good."""
        for table, condition in POISON.values():
            self._trigger(table, "ROW", condition, ("22023", "poison {} %s %(x)s"))
        try:
            yield
        finally:
            for table, _ in POISON.values():
                self.server.sql(f"DROP FUNCTION fault_{table} CASCADE", self.name)

    def _trigger(self, table: str, scope: str, condition: str, fault: tuple[str, str]) -> None:
        state, message = fault
        self.server.sql(
            f"CREATE FUNCTION fault_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN RAISE EXCEPTION USING "
            f"ERRCODE = '{state}', MESSAGE = '{message}'; END IF; RETURN NEW; END $$",
            self.name,
        )
        self.server.sql(
            f"CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON {table} FOR EACH {scope} "
            f"EXECUTE FUNCTION fault_{table}()",
            self.name,
        )

    def cut_connections(self) -> int:
        """The server ends every session; gives how many."""
        return int(
            self.server.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                f"WHERE datname = '{self.name}'"
            )
        )

    def ids(self, query: str) -> list[str]:
        return self.server.sql(query, self.name).split()


def poisoned(nonce: str) -> list[dict[str, object]]:
    """One alert for each stage up to the verdict that cannot store what it found of it."""
    return [
        {
            "title": f"poison for {stage} {{}} %s {nonce}",
            "severity": "low",
            "source_ip": "10.9.8.7",
            "destination_ip": "203.0.113.66" if stage == "intel" else "203.0.113.67",
        }
        for stage in POISON
        if stage not in FOLLOW_UPS
    ]


def poisoned_follow_up(nonce: str) -> dict[str, object]:
    """An attack that gets its verdict, and of which the stage after that can store nothing."""
    return {
        "title": f"Malware beacon {{}} %s {nonce}",
        "severity": "high",
        "host_name": "poison-for-after",
    }


@dataclass(frozen=True)
class Account:
    """What became of the alerts that were accepted."""

    accepted: int
    triaged: int
    parked: int
    lost: int
    doubled: int
    wrong: tuple[str, ...]


def account(spoilt: Spoilt, accepted: Collection[str]) -> Account:
    """Compare what was accepted with what is stored, row by row."""
    stored = spoilt.ids("SELECT alert_id FROM alerts")
    triaged = spoilt.ids("SELECT alert_id FROM triage_results")
    parked = set(spoilt.ids("SELECT alert_id FROM alerts WHERE status = 'parked'"))
    contexts = spoilt.ids("SELECT alert_id FROM alert_context")
    waiting = spoilt.ids(WAITING)
    ended = set(triaged) | parked
    doubled = len(stored) - len(set(stored)) + len(triaged) - len(set(triaged))
    wrong = []
    if set(triaged) & parked:
        wrong.append("alerts that are triaged and parked")
    if set(stored) - ended or waiting:
        wrong.append(f"{len(set(stored) - ended)} stored without an end, {len(waiting)} waiting")
    if len([c for c in contexts if c not in parked]) != 3 * len(set(triaged)):
        wrong.append(f"{len(contexts)} contexts of {len(triaged)} triaged alerts")
    return Account(
        len(set(accepted)), len(set(triaged)), len(parked), len(set(accepted) - ended), doubled,
        tuple(wrong),
    )  # fmt: skip


def is_whole(spoilt: Spoilt, accepted: Collection[str], parked: int = 0) -> None:
    """Every accepted alert has come to one end, and nothing has two rows."""
    found = account(spoilt, accepted)
    assert (found.lost, found.doubled, found.wrong) == (0, 0, ()), found
    assert found.parked == parked, found
    assert found.triaged + found.parked >= found.accepted, found


async def deliver(broker: str, ids: Sequence[str]) -> None:
    """Every queue hears of these alerts, backwards, twice, among messages that are not ours."""
    connection = await aio_pika.connect(broker)
    async with connection:
        channel = await connection.channel()
        bodies = [
            json.dumps(ids[::-1]).encode(),
            json.dumps([*ids, *ids]).encode(),
            json.dumps(["no such alert", "a\0b", "\ud800", "x" * 5000, "{} %s"]).encode(),
            b'{"not": "ours"}',
            b"\xff\xfe\x00",
        ]
        for queue in QUEUES:
            for body in bodies:
                await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)
