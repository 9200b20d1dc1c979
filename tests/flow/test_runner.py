"""What the runner promises: poison is isolated, the database may go away, bells may be lost."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec import structs

from tocsin.app import Store, open_store
from tocsin.app import resources as resources_of
from tocsin.bus.memory import MemoryBus
from tocsin.errors import StoreUnavailable
from tocsin.ingest import BodyKind, Gate, Limits, read_body
from tocsin.model import AlertStatus, Dossier, Endpoint
from tocsin.pipeline import FIRST
from tocsin.pipeline import TO_VERDICT as STEPS
from tocsin.ports import Accepted, Resources, Step, Work
from tocsin.runner import Sweeper, Worker
from tocsin.settings import Settings
from tocsin.store.dossiers import DossierStore
from tocsin.store.queries import AlertFilter
from tocsin.store.tables import alert_work, metadata

LIMITS = Limits(1024 * 1024, 64)
HOSTILE = 'poison {} {0} {"a": 1} %s %(x)s \n\0 \udcff ' + "x" * 5_000


def resources(store: Store, settings: Settings) -> Resources:
    return resources_of(settings, store)


async def accept(store: Store, settings: Settings, alerts: Sequence[object]) -> list[Accepted]:
    """Through the gate, with a bell that nobody hears."""

    async def silence(_: Sequence[str], __: object) -> None:
        return

    gate = Gate(store.dossiers, silence, settings)
    task = asyncio.create_task(gate.run())
    items = read_body(json.dumps(list(alerts)).encode(), BodyKind.JSON, LIMITS)
    answers = await gate.submit(items, None)  # type: ignore[arg-type]  # none is an error
    gate.close()
    await task
    return answers


def broken(step: Step, poison: set[str]) -> Step:
    """The real step, but it raises hostile text for batches that hold a poisoned alert."""

    def build(given: Resources) -> Work:
        work = step.work(given)

        async def breaks(batch: Sequence[Dossier]) -> list[Dossier]:
            if any(dossier.alert_id in poison for dossier in batch):
                raise ValueError(HOSTILE)
            return await work(batch)

        return breaks

    return replace(step, work=build)


async def verdicts(store: Store, ids: Sequence[str]) -> set[str]:
    loaded = await store.dossiers.load(ids, ("alert", "context", "intel", "verdict"))
    return {dossier.alert_id for dossier in loaded if dossier.verdict is not None}


@pytest.mark.parametrize("place", range(len(STEPS)), ids=[step.name for step in STEPS])
async def test_a_poisoned_alert_is_parked_with_its_error_and_its_neighbours_go_on(
    store: Store, settings: Settings, place: int
) -> None:
    quick = settings.model_copy(update={"retry_pause": 0.001, "max_attempts": 3})
    answers = await accept(store, quick, [{"title": f"alert {n}"} for n in range(40)])
    ids = [answer.alert_id for answer in answers]
    poison = {ids[7], ids[31]}
    steps = [*STEPS[:place], broken(STEPS[place], poison), *STEPS[place + 1 :]]
    worker = Worker(steps, resources(store, quick), store.dossiers, MemoryBus(), quick)
    for _ in range(3):
        await worker.process(ids)
        await asyncio.sleep(0.02)
    assert await verdicts(store, ids) == set(ids) - poison
    counts = await store.balance.counts()
    assert (counts.received, counts.triaged, counts.parked, counts.in_flight) == (40, 38, 2, 0)
    page = await store.queries.page(AlertFilter(status=AlertStatus.PARKED))
    assert {alert.alert_id for alert in page.alerts} == poison
    assert all("poison {} {0}" in (alert.error or "") for alert in page.alerts)


async def test_attempts_are_counted_and_paused_in_between(store: Store, settings: Settings) -> None:
    (answer,) = await accept(store, settings, [{"title": "poison"}])
    steps = [broken(FIRST, {answer.alert_id}), *STEPS[1:]]
    worker = Worker(steps, resources(store, settings), store.dossiers, MemoryBus(), settings)
    await worker.process([answer.alert_id])
    assert await store.dossiers.claim(FIRST.name, [answer.alert_id], 60) == set(), "it must pause"
    assert await store.dossiers.due(FIRST.name, rung_before=0, limit=10) == []


async def test_an_alert_that_failed_for_weeks_is_tried_again_like_any_other(
    store: Store, settings: Settings
) -> None:
    patient = settings.model_copy(update={"max_attempts": 10_000})
    (answer,) = await accept(store, patient, [{"title": "poison"}])
    often = sa.update(alert_work).values(attempts=2000)
    await store.database.write(lambda c: c.execute(often).rowcount)
    steps = [broken(FIRST, {answer.alert_id}), *STEPS[1:]]
    worker = Worker(steps, resources(store, patient), store.dossiers, MemoryBus(), patient)
    await worker.process([answer.alert_id])
    row = await store.database.read(lambda c: c.execute(sa.select(alert_work)).one())
    assert row.attempts == 2001
    assert 800 < row.not_before - await store.dossiers.now() <= 900


async def test_a_parked_alert_can_be_tried_again(store: Store, settings: Settings) -> None:
    once = settings.model_copy(update={"max_attempts": 1})
    (answer,) = await accept(store, once, [{"title": "poison"}])
    steps = [broken(FIRST, {answer.alert_id}), *STEPS[1:]]
    await Worker(steps, resources(store, once), store.dossiers, MemoryBus(), once).process(
        [answer.alert_id]
    )
    assert (await store.balance.counts()).parked == 1
    assert await store.dossiers.unpark(answer.alert_id)
    assert not await store.dossiers.unpark(answer.alert_id)
    await Worker(STEPS, resources(store, once), store.dossiers, MemoryBus(), once).process(
        [answer.alert_id]
    )
    counts = await store.balance.counts()
    assert (counts.triaged, counts.parked, counts.in_flight) == (1, 0, 0)


async def test_a_second_delivery_changes_nothing(store: Store, settings: Settings) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}", "source_ip": "192.0.2.9"}
                                             for n in range(10)])  # fmt: skip
    ids = [answer.alert_id for answer in answers]
    worker = Worker(STEPS, resources(store, settings), store.dossiers, MemoryBus(), settings)
    await worker.process(ids)
    before = await dump(store)
    for _ in range(3):
        await worker.process([*reversed(ids), ids[0]])
    assert await dump(store) == before


async def dump(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Everything that is stored, table by table."""

    def read(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }

    return await store.database.read(read)


async def test_two_workers_never_take_the_same_alert(store: Store, settings: Settings) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(50)])
    ids = [answer.alert_id for answer in answers]
    first, second = await asyncio.gather(
        store.dossiers.claim(FIRST.name, ids, 60), store.dossiers.claim(FIRST.name, ids, 60)
    )
    assert set(first) | set(second) == set(ids)
    assert not set(first) & set(second)


async def test_a_lost_bell_costs_a_delay_and_no_alert(store: Store, settings: Settings) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(30)])
    ids = [answer.alert_id for answer in answers]
    bus = MemoryBus()
    sweeper = Sweeper([FIRST], store.dossiers, bus, settings)
    assert await sweeper.sweep(unheard=60) == 0, "a bell that may still be heard"
    assert await sweeper.sweep(unheard=0) == 30
    worker = Worker(STEPS, resources(store, settings), store.dossiers, bus, settings)
    task = asyncio.create_task(worker.run())
    while await store.dossiers.in_flight():
        await asyncio.sleep(0.005)
    await bus.close()
    await task
    assert await verdicts(store, ids) == set(ids)


class Outage:
    """A database that goes away: every second call of anything fails for a while."""

    def __init__(self, store: object, failures: int) -> None:
        self._store = store
        self._left = failures

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)

        async def call(*arguments: object, **named: object) -> object:
            if self._left:
                self._left -= 1
                raise StoreUnavailable("the disk is {full} 100%")
            return await method(*arguments, **named)

        return call


async def test_while_the_database_is_away_the_worker_waits(
    store: Store, settings: Settings
) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(5)])
    ids = [answer.alert_id for answer in answers]
    outage = Outage(store.dossiers, failures=3)
    worker = Worker(STEPS, resources(store, settings), outage, MemoryBus(), settings)  # type: ignore[arg-type]  # stands in for the store
    await asyncio.wait_for(worker.process(ids), 20)
    assert await verdicts(store, ids) == set(ids)
    assert (await store.balance.counts()).parked == 0


def slow(step: Step, seconds: float) -> Step:
    """The real step, but it waits for somebody, holding its batch for a short lease only."""

    def build(given: Resources) -> Work:
        work = step.work(given)

        async def waits(batch: Sequence[Dossier]) -> list[Dossier]:
            if batch:
                await asyncio.sleep(seconds)
            return await work(batch)

        return waits

    return replace(step, work=build, lease=2.0)


async def test_a_living_worker_keeps_its_batch_and_a_dead_ones_is_soon_free(
    store: Store, settings: Settings
) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(20)])
    ids = [answer.alert_id for answer in answers]
    other = DossierStore(
        store.database, owner="other", first_step=FIRST.name,
        follow_ups=store.dossiers._follow_ups, grouping=store.dossiers._grouping,
    )  # fmt: skip
    steps = [slow(step, 60 if step is STEPS[-1] else 0) for step in STEPS]
    worker = Worker(steps, resources(store, settings), store.dossiers, MemoryBus(), settings)
    living = asyncio.create_task(worker.process(ids))
    for _ in range(8):  # twice its lease
        await asyncio.sleep(0.5)
        assert await other.claim(FIRST.name, ids, 60) == set()
        assert await other.due(FIRST.name, rung_before=2**40, limit=50) == []
    living.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await living
    await asyncio.sleep(2.1)
    assert await other.claim(FIRST.name, ids, 60) == set(ids)


@examples(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_any_order_and_repetition_of_deliveries_gives_each_alert_one_verdict(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    async def deliver() -> None:
        settings = Settings(data=tmp_path_factory.mktemp("order"))
        async with open_store(settings) as store:
            answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(10)])
            ids = [answer.alert_id for answer in answers]
            bus = MemoryBus()
            for number in order:
                await bus.ring(FIRST.takes, [ids[number], ids[(number * 3) % 10]])
            worker = Worker(STEPS, resources(store, settings), store.dossiers, bus, settings)
            other = Worker(STEPS, resources(store, settings), store.dossiers, bus, settings)
            tasks = [asyncio.create_task(w.run()) for w in (worker, other)]
            rung = {ids[n] for n in order} | {ids[(n * 3) % 10] for n in order}
            while len(await verdicts(store, ids)) < len(rung):
                await asyncio.sleep(0.002)
            await bus.close()
            await asyncio.gather(*tasks)
            assert await verdicts(store, ids) == rung
            counts = await store.balance.counts()
            assert counts.triaged == len(rung)
            assert counts.in_flight == 10 - len(rung)

    asyncio.run(deliver())


def spoiled(step: Step, spoil: Callable[[Dossier], Dossier], victims: set[str]) -> Step:
    """The real step, but what it gives for some alerts could never be stored."""

    def build(given: Resources) -> Work:
        work = step.work(given)

        async def spoils(batch: Sequence[Dossier]) -> list[Dossier]:
            return [spoil(d) if d.alert_id in victims else d for d in await work(batch)]

        return spoils

    return replace(step, work=build)


def with_port(dossier: Dossier) -> Dossier:
    assert dossier.alert is not None
    alert = structs.replace(dossier.alert, source=Endpoint(port=70_000))
    return structs.replace(dossier, alert=alert)


def with_title(title: str) -> Callable[[Dossier], Dossier]:
    def spoil(dossier: Dossier) -> Dossier:
        assert dossier.alert is not None
        return structs.replace(dossier, alert=structs.replace(dossier.alert, title=title))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (with_port, "out_of_range: alert.source.port"),
        (with_title("a\0b"), "nul"),
        (with_title("a\udcffb"), "not_unicode"),
    ],
)
async def test_what_a_constraint_would_refuse_is_parked_at_once_with_the_reason(
    store: Store, settings: Settings, spoil: Callable[[Dossier], Dossier], reason: str
) -> None:
    answers = await accept(store, settings, [{"title": f"a {n}"} for n in range(20)])
    ids = [answer.alert_id for answer in answers]
    steps = [spoiled(FIRST, spoil, {ids[3]}), *STEPS[1:]]
    worker = Worker(steps, resources(store, settings), store.dossiers, MemoryBus(), settings)
    await worker.process(ids)
    assert await verdicts(store, ids) == set(ids) - {ids[3]}
    page = await store.queries.page(AlertFilter(status=AlertStatus.PARKED))
    assert [alert.alert_id for alert in page.alerts] == [ids[3]]
    assert reason in (page.alerts[0].error or "")


async def test_text_that_only_looks_like_a_nul_is_stored(store: Store, settings: Settings) -> None:
    (answer,) = await accept(store, settings, [{"title": "literally \\u0000 in the title"}])
    worker = Worker(STEPS, resources(store, settings), store.dossiers, MemoryBus(), settings)
    await worker.process([answer.alert_id])
    assert await verdicts(store, [answer.alert_id]) == {answer.alert_id}
