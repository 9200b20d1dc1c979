"""Settings become running parts; the only place that constructs adapters."""

import asyncio
import gc
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tocsin import __version__, after, logs, metrics, traces
from tocsin.bus.memory import MemoryBus
from tocsin.bus.rabbitmq import RabbitBus
from tocsin.closing import Watch
from tocsin.errors import SettingsError, Unavailable
from tocsin.ingest import Gate
from tocsin.llm import Router, build
from tocsin.narrate import Narrator, selection
from tocsin.pipeline import FIRST, FOLLOW_UPS, STEPS, chain, chains
from tocsin.ports import Bus, Resources, Step
from tocsin.runner import Sweeper, Worker, ring
from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.accounts import AccountStore
from tocsin.store.balance import BalanceStore
from tocsin.store.bulk_decisions import BulkDecisionStore
from tocsin.store.casework import IncidentStore
from tocsin.store.closing import ClosingStore
from tocsin.store.database import Database
from tocsin.store.decided import DecidedStore
from tocsin.store.decision_counts import DecisionCountStore
from tocsin.store.decisions import DecisionStore
from tocsin.store.detections import DetectionStore
from tocsin.store.dossiers import DossierStore, reopen
from tocsin.store.history import HistoryStore
from tocsin.store.incident_pages import IncidentPages
from tocsin.store.indicators import IndicatorStore
from tocsin.store.inventory import InventoryStore
from tocsin.store.leases import LeaseStore
from tocsin.store.lookups import LookupStore
from tocsin.store.model_replies import ModelReplyStore
from tocsin.store.model_usage import ModelUsageStore
from tocsin.store.models import ModelStore
from tocsin.store.opinions import OpinionStore, Queue
from tocsin.store.proofs import ProofStore
from tocsin.store.quality import TABLES
from tocsin.store.queries import QueryStore
from tocsin.store.remediation import RemediationStore
from tocsin.store.retention import RetentionStore

CONNECTIONS = 2  # of a process to its database, for reading and for writing, if not more
GARBAGE_THRESHOLDS = (50_000, 50, 50)

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
    detections: DetectionStore
    queries: QueryStore
    accounts: AccountStore
    retention: RetentionStore
    decisions: DecisionStore
    bulk_decisions: BulkDecisionStore
    decided: DecidedStore
    decision_counts: DecisionCountStore
    models: ModelStore
    leases: LeaseStore
    closing: ClosingStore
    model_usage: ModelUsageStore
    model_replies: ModelReplyStore
    opinions: OpinionStore
    lookups: LookupStore
    incidents: IncidentStore
    incident_pages: IncidentPages
    remediation: RemediationStore
    proofs: ProofStore


@dataclass(frozen=True, slots=True)
class System:
    """The running parts of one process."""

    settings: Settings
    store: Store
    bus: Bus
    gate: Gate | None
    steps: tuple[Step, ...]
    tasks: "Tasks"
    models: Router | None = None

    @property
    def door(self) -> Gate:
        """The gate.

        Raises:
            Unavailable: this process takes no alerts.
        """
        if self.gate is None:
            raise Unavailable("this process takes no alerts; send them to the ingestor")
        return self.gate

    async def drain(self) -> None:
        """Take nothing new, finish what was begun, and leave the rest to the next start."""
        seconds = self.settings.drain_timeout
        if self.gate is not None:
            self.gate.close()
        await _finish(self.tasks.committers, seconds)
        for sweeper in self.tasks.sweepers:
            sweeper.cancel()
        await self.bus.stop()
        await _finish(self.tasks.workers, seconds)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What runs until the system is drained."""

    committers: "list[asyncio.Task[None]]"
    sweepers: "list[asyncio.Task[None]]"
    workers: "list[asyncio.Task[None]]"


def open_database(
    settings: Settings, *, readers: int = CONNECTIONS, writers: int = CONNECTIONS
) -> Database:
    """The database as it is, nothing migrated; close it at the end."""
    return Database(
        settings.database_url,
        readers=readers,
        writers=writers,
        audit_key=settings.audit_key.get_secret_value(),
        timeout=settings.database_timeout,
    )


def connections_of(settings: Settings, *, steps: bool, people: bool) -> dict[str, int]:
    """How many connections a process of a role has at most, for reading and for writing.

    Each batch in hand reads and writes on its own; what people look at may take long, and must not
    keep others, or `/health`, waiting. SQLite has one writer and shares its lock with the readers,
    so more of them help nobody.
    """
    if not settings.database_url.startswith("postgres"):
        return {"readers": CONNECTIONS, "writers": CONNECTIONS}
    batches = max(CONNECTIONS, settings.workers) if steps else CONNECTIONS
    return {"readers": batches + (CONNECTIONS if people else 0), "writers": batches}


@asynccontextmanager
async def open_store(
    settings: Settings, *, readers: int = CONNECTIONS, writers: int = CONNECTIONS
) -> AsyncIterator[Store]:
    """The store, migrated to this version's tables; closed at the end.

    Args:
        settings: all settings.
        readers: connections for reading; a process opens them when it needs them.
        writers: connections for writing; on SQLite there is one.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    database = open_database(settings, readers=readers, writers=writers)
    try:
        await migrate.upgrade(database)
        owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        grouping = after.Rules()
        dossiers = DossierStore(
            database,
            owner=owner,
            first_step=FIRST.name,
            follow_ups=FOLLOW_UPS,
            grouping=grouping,
        )
        if settings.narrates:
            dossiers.queue = Queue(selection(settings), settings.narrator_daily)
        yield Store(
            database=database,
            dossiers=dossiers,
            balance=BalanceStore(database, FOLLOW_UPS),
            inventory=InventoryStore(database),
            history=HistoryStore(database),
            indicators=IndicatorStore(database),
            detections=DetectionStore(database),
            queries=QueryStore(database),
            accounts=AccountStore(database),
            retention=RetentionStore(database, dossiers),
            decisions=DecisionStore(database),
            bulk_decisions=BulkDecisionStore(database),
            decided=DecidedStore(database),
            decision_counts=DecisionCountStore(database),
            models=ModelStore(database),
            leases=LeaseStore(database),
            closing=ClosingStore(database),
            model_usage=ModelUsageStore(database),
            model_replies=ModelReplyStore(database),
            opinions=OpinionStore(database, owner=owner, reopen=reopen),
            lookups=LookupStore(database),
            incidents=IncidentStore(database, grouping),
            incident_pages=IncidentPages(database),
            remediation=RemediationStore(database),
            proofs=ProofStore(database),
        )
    finally:
        await database.close()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    steps: Sequence[str] = tuple(step.name for step in STEPS),
    ingest: bool = True,
    alone: bool = True,
    models: bool = False,
    people: bool = True,
) -> AsyncIterator[System]:
    """A running system: the gate, and these steps as one chain.

    Args:
        settings: all settings.
        steps: names of neighbouring steps; none for a process that only takes alerts or answers.
        ingest: whether this process takes alerts.
        alone: whether this process is the only one on its database; it then takes back the work
            of a process that died, without waiting for its leases to run out.
        models: whether this process asks language models, for itself or for others.
        people: whether people read alerts here.

    On leaving, the system is drained: batches that were begun are finished, leases are given back
    and the rest waits in the database for the next start.
    """
    chained = chain(steps) if steps else ()
    bus = _bus(settings)
    metrics.prepare({step.name: step.takes for step in chained}, TABLES.values())
    end_spans = traces.export(settings.otlp_endpoint, version=__version__)
    connections = connections_of(settings, steps=bool(chained), people=people)
    async with open_store(settings, **connections) as store:
        if alone:
            await store.dossiers.release(everyone=True)
            await store.opinions.release(everyone=True)
        narrates = settings.narrates and any(step.fills == "verdict" for step in chained)
        router = open_models(settings, store) if models or narrates else None
        gate = Gate(store.dossiers, partial(ring, bus, FIRST.takes), settings) if ingest else None
        async with asyncio.TaskGroup() as group:
            tasks = Tasks([], [], [])
            if gate is not None:
                tasks.committers.append(group.create_task(gate.run()))
            if chained:
                parts = chains(chained)
                workers = [
                    Worker(part, resources(settings, store), store.dossiers, bus, settings)
                    for part in parts
                ]
                for worker in workers:
                    await worker.warm_up()
                _settle_garbage()
                for part, worker in zip(parts, workers, strict=True):
                    # incidents are placed one batch at a time anyway
                    count = 1 if part[0].wants else settings.workers
                    tasks.workers.extend(group.create_task(worker.run()) for _ in range(count))
                sweeper = Sweeper([part[0] for part in parts], store.dossiers, bus, settings)
                tasks.sweepers.append(group.create_task(sweeper.run()))
                if any(step.fills == "verdict" for step in chained):
                    watch = Watch(store.closing, settings.autoclose_check)
                    tasks.sweepers.append(group.create_task(watch.run()))
                if narrates and router is not None:
                    narrator = _narrator(router, settings, store)
                    tasks.sweepers.append(group.create_task(narrator.run()))
            log.info("system.started", steps=[step.name for step in chained], ingest=ingest)
            system = System(settings, store, bus, gate, chained, tasks, router)
            try:
                yield system
            finally:
                await system.drain()
        await store.dossiers.release()
        await store.opinions.release()
        await bus.close()
        if router is not None:
            await router.close()
        await asyncio.to_thread(end_spans)  # what is still to be sent is sent
        log.info("system.stopped")


def open_models(settings: Settings, store: Store) -> Router:
    """The router of language models; close it at the end.

    Raises:
        SettingsError: a provider's settings cannot work.
    """
    return build(settings, store.model_usage, store.model_replies)


def _narrator(router: Router, settings: Settings, store: Store) -> Narrator:
    return Narrator(router, store.opinions, store.lookups, store.inventory, settings)


@asynccontextmanager
async def open_broker(settings: Settings) -> AsyncIterator[RabbitBus]:
    """The broker, for people who look after it.

    Raises:
        SettingsError: the bus is the one in memory, which nobody can look into from outside.
    """
    bus = _bus(settings)
    if not isinstance(bus, RabbitBus):
        raise SettingsError("TOCSIN_BROKER is memory://; there is no broker to look at")
    try:
        yield bus
    finally:
        await bus.close()


def resources(settings: Settings, store: Store) -> Resources:
    """What steps may ask, answered from a store."""
    return Resources(
        settings,
        store.inventory,
        store.history,
        store.indicators,
        store.incidents,
        closing=store.closing,
        detections=store.detections,
        models=store.models,
    )


def _settle_garbage() -> None:
    """Look for garbage less often, and not among what was loaded for good.

    Dossiers hold no cycles, and batches make many of them: with the default thresholds the
    collector took a large share of the pipeline's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


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
    scheme = settings.broker.partition(":")[0]
    if scheme == "memory":
        return MemoryBus()
    if scheme in ("amqp", "amqps"):
        return RabbitBus(settings.broker, [step.takes for step in STEPS])
    raise SettingsError("TOCSIN_BROKER must be memory:// or amqp://USER:PASSWORD@HOST:PORT/VHOST")
