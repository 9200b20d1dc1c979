"""Settings become running parts; the only place that constructs adapters."""

import asyncio
import gc
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tocsin import logs
from tocsin.bus.memory import MemoryBus
from tocsin.errors import SettingsError
from tocsin.ingest import Gate
from tocsin.pipeline import FIRST, STEPS, chain
from tocsin.ports import Bus, Resources, Step
from tocsin.runner import Sweeper, Worker, ring
from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.accounts import AccountStore
from tocsin.store.balance import BalanceStore
from tocsin.store.database import Database
from tocsin.store.dossiers import DossierStore
from tocsin.store.history import HistoryStore
from tocsin.store.indicators import IndicatorStore
from tocsin.store.inventory import InventoryStore
from tocsin.store.queries import QueryStore

log = logs.get("app")


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept, by what it is kept for."""

    database: Database
    dossiers: DossierStore
    balance: BalanceStore
    inventory: InventoryStore
    history: HistoryStore
    indicators: IndicatorStore
    queries: QueryStore
    accounts: AccountStore


@dataclass(frozen=True, slots=True)
class System:
    """The running parts of one process."""

    settings: Settings
    store: Store
    bus: Bus
    gate: Gate
    steps: tuple[Step, ...]
    tasks: "Tasks"

    async def drain(self) -> None:
        """Take nothing new, finish what was begun, and leave the rest to the next start."""
        seconds = self.settings.drain_timeout
        self.gate.close()
        await _finish([self.tasks.committer], seconds)
        self.tasks.sweeper.cancel()
        await self.bus.close()
        await _finish(self.tasks.workers, seconds)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What runs until the system is drained."""

    committer: "asyncio.Task[None]"
    sweeper: "asyncio.Task[None]"
    workers: "list[asyncio.Task[None]]"


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The store, migrated to this version's tables; closed at the end.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    database = Database(settings.database_url)
    try:
        await migrate.upgrade(database)
        owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        yield Store(
            database=database,
            dossiers=DossierStore(database, owner=owner, first_step=FIRST.name),
            balance=BalanceStore(database),
            inventory=InventoryStore(database),
            history=HistoryStore(database),
            indicators=IndicatorStore(database),
            queries=QueryStore(database),
            accounts=AccountStore(database),
        )
    finally:
        await database.close()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    steps: Sequence[str] = tuple(step.name for step in STEPS),
    alone: bool = True,
) -> AsyncIterator[System]:
    """A running system: the gate, and these steps as one chain.

    Args:
        settings: all settings.
        steps: names of neighbouring steps.
        alone: whether this process is the only one on its database; it then takes back the work
            of a process that died, without waiting for its leases to run out.

    On leaving, the system is drained: batches that were begun are finished, leases are given back
    and the rest waits in the database for the next start.
    """
    chained = chain(steps)
    bus = _bus(settings)
    async with open_store(settings) as store:
        if alone:
            await store.dossiers.release(everyone=True)
        resources = Resources(settings, store.inventory, store.history, store.indicators)
        gate = Gate(store.dossiers, lambda ids: ring(bus, FIRST.takes, ids), settings)
        worker = Worker(chained, resources, store.dossiers, bus, settings)
        await worker.warm_up()
        gc.set_threshold(50_000, 50, 50)
        gc.freeze()  # what is loaded by now stays; no need to look through it again and again
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(worker.run()) for _ in range(settings.workers)]
            sweeper = Sweeper(chained[:1], store.dossiers, bus, settings)
            tasks = Tasks(group.create_task(gate.run()), group.create_task(sweeper.run()), workers)
            log.info("system.started", steps=[step.name for step in chained])
            system = System(settings, store, bus, gate, chained, tasks)
            try:
                yield system
            finally:
                await system.drain()
        await store.dossiers.release()
        log.info("system.stopped")


def data_folder(settings: Settings) -> Path:
    """The folder for embedded defaults, created if need be.

    Raises:
        SettingsError: it cannot be created or written to.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"TOCSIN_DATA: cannot create {settings.data}: {error}") from error
    if not os.access(settings.data, os.W_OK):
        raise SettingsError(f"TOCSIN_DATA: {settings.data} cannot be written to")
    return settings.data


async def _finish(tasks: "Sequence[asyncio.Task[None]]", seconds: float) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        log.warning("drain.late", task=task.get_name(), seconds=seconds)
        task.cancel()


def _bus(settings: Settings) -> Bus:
    if settings.broker.startswith("memory:"):
        return MemoryBus()
    raise SettingsError("TOCSIN_BROKER must be memory://")
