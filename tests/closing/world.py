"""Alerts of one class, and people who judge them: what the tests of closing share."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from tests.flow.test_runner import accept

from tocsin.app import Store, resources
from tocsin.bus.memory import MemoryBus
from tocsin.closing import Autoclose
from tocsin.model import ClosingRules, Disposition
from tocsin.pipeline import TO_VERDICT
from tocsin.runner import Worker
from tocsin.settings import Settings
from tocsin.store.tables import closures, dispositions

CLASS = "suricata/information"
FALSE, TRUE = Disposition.FALSE_POSITIVE, Disposition.TRUE_POSITIVE
QUICK = ClosingRules(classes=(CLASS,), alpha=0.1, delta=0.2, sample_rate=0.3)
"""16 clean samples prove it, and a third of all alerts is drawn."""


def suricata(
    number: int, *, severity: int = 3, signature: str = "ET INFO Query"
) -> dict[str, object]:
    """A Suricata alert of the class, about another machine for each number."""
    return {
        "timestamp": "2026-03-04T13:55:05.224939+0000",
        "flow_id": number,
        "event_type": "alert",
        "src_ip": f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250 + 1}",
        "src_port": 4000 + number % 1000,
        "dest_ip": "192.0.2.9",
        "dest_port": 53,
        "proto": "UDP",
        "alert": {
            "action": "allowed",
            "signature_id": 2027757,
            "signature": signature,
            "category": "Misc activity",
            "severity": 3,
        },
    }


async def triaged(store: Store, settings: Settings, alerts: Sequence[object]) -> list[str]:
    """These alerts through the gate and all steps; a worker of its own, as a new process has."""
    answers = await accept(store, settings, alerts)
    ids = [answer.alert_id for answer in answers]
    await Worker(
        TO_VERDICT, resources(settings, store), store.dossiers, MemoryBus(), settings
    ).process(ids)
    return ids


async def judge(
    store: Store, ids: Sequence[str], word: Disposition | Callable[[str], Disposition] = FALSE
) -> None:
    """People decide on these alerts."""
    rows = [
        {
            "disposition_id": str(uuid.uuid4()),
            "alert_id": alert_id,
            "disposition": (word if isinstance(word, Disposition) else word(alert_id)).value,
            "reason": "a test's {} %s",
            "actor": "a person",
            "decided_at": datetime.now(UTC),
        }
        for alert_id in ids
    ]

    def insert(connection: Connection) -> None:
        if rows:
            connection.execute(sa.insert(dispositions), rows)

    await store.database.write(insert)


async def waiting(store: Store) -> list[str]:
    """The samples that nobody has judged."""
    state = await store.closing.state()
    assert state is not None
    found = await store.closing.queue(state.policy.version, limit=1000, everything=True)
    return [line.sample.alert_id for line in found]


async def actions(store: Store, ids: Sequence[str]) -> dict[str, str]:
    """What the policy did with these alerts, as it is stored."""
    query = sa.select(closures.c.alert_id, closures.c.action)
    rows = await store.database.read(lambda c: c.execute(query).all())
    wanted = set(ids)
    return {row.alert_id: row.action for row in rows if row.alert_id in wanted}


async def enabled(store: Store, settings: Settings, rules: ClosingRules = QUICK) -> Autoclose:
    """A policy that was calibrated as people do it, and closes now."""
    autoclose = Autoclose(store.closing)
    await autoclose.begin(rules, actor="a test")
    await triaged(store, settings, [suricata(n) for n in range(120)])
    await judge(store, await waiting(store))
    preview = await autoclose.preview(actor="a test")
    assert preview.ready, preview.bounds
    await autoclose.enable(preview.digest, actor="a test")
    return autoclose
