"""Databases on which everything that the audit trail records was done."""

import asyncio
import json

from tocsin.app import Store, open_store
from tocsin.app import resources as resources_of
from tocsin.bus.memory import MemoryBus
from tocsin.ingest import BodyKind, Gate, Limits, read_body
from tocsin.model import AssetRecord, Indicator, KeyScope, ObservableType
from tocsin.pipeline import TO_VERDICT
from tocsin.ports import Accepted
from tocsin.runner import Worker
from tocsin.settings import Settings

LIMITS = Limits(1024 * 1024, 64)
HOSTILE = "{} {0} %s\n\0\udcff '; DROP TABLE alerts -- \x1b[31m" + "x" * 5_000


async def accept(store: Store, settings: Settings, titles: list[str]) -> list[Accepted]:
    """Through the gate, with a bell that nobody hears."""

    async def silence(_: object, __: object) -> None:
        return

    gate = Gate(store.dossiers, silence, settings)
    task = asyncio.create_task(gate.run())
    body = json.dumps([{"title": title, "source_ip": "192.0.2.9"} for title in titles])
    items = read_body(body.encode(), BodyKind.JSON, LIMITS)
    answers = await gate.submit(items, None)  # type: ignore[arg-type]  # none is an error
    gate.close()
    await task
    return answers


async def work(store: Store, settings: Settings, alerts: int) -> list[str]:
    """Alerts through the gate and the whole chain."""
    answers = await accept(store, settings, [f"alert {n}" for n in range(alerts)])
    ids = [answer.alert_id for answer in answers]
    resources = resources_of(settings, store)
    await Worker(TO_VERDICT, resources, store.dossiers, MemoryBus(), settings).process(ids)
    return ids


async def live(settings: Settings, processes: int = 3) -> None:
    """Several processes' worth of everything that is recorded."""
    for number in range(processes):
        async with open_store(settings) as store:
            await work(store, settings, alerts=3 + number)
            key, _ = await store.accounts.create_key("a key", [KeyScope.READ])
            await store.accounts.revoke_key(key.key_id, actor=HOSTILE)
            await store.inventory.upsert_assets([AssetRecord(asset_id=f"pc-{number}")])
            indicator = Indicator(type=ObservableType.IP, value="192.0.2.1", source="a feed")
            await store.indicators.upsert([indicator], actor=f"somebody {number}")
