"""How anything moves: the only code that touches both the store and the bus.

A worker takes a batch through a chain of steps:

    take ─► claim ─► load once ─► work, work, … ─► save in one transaction ─► ring ─► acknowledge

An alert that breaks a step or a write is found by splitting the batch; it is tried again with
growing pauses and then parked, while its neighbours go on. When the database is away the worker
waits with what it has in hand. The sweeper rings again for work that nobody answered for.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import stamina

from tocsin import closing, logs, metrics, traces
from tocsin.errors import BusUnavailable, DataQualityError, Unavailable
from tocsin.model import Dossier
from tocsin.pipeline import filled_before, step_after
from tocsin.ports import Bus, Failure, Resources, Step, Work
from tocsin.settings import Settings
from tocsin.store.dossiers import DossierStore
from tocsin.store.quality import refused_table, violation
from tocsin.traces import NONE, Trace, Traces

T = TypeVar("T")
ENVELOPE_IDS = 200
RENEWALS = 3  # of a lease within its time, so that one may be late
SWEEP_IDS = 2000
ERROR_LIMIT = 500

log = logs.get("runner")


@dataclass(slots=True)
class Batch:
    """What became of one claimed batch; `found` are its traces, each once."""

    done: list[Dossier]
    traces: Traces = field(default_factory=dict)
    found: tuple[Trace, ...] = ()
    failures: list[Failure] = field(default_factory=list)


class Worker:
    """Takes batches for one chain of steps; `run` may be run several times at once."""

    def __init__(
        self,
        steps: Sequence[Step],
        resources: Resources,
        store: DossierStore,
        bus: Bus,
        settings: Settings,
    ) -> None:
        self._steps = [(step, step.work(resources)) for step in steps]
        self._first = steps[0]
        self._next = step_after(steps[-1])
        self._gives = steps[-1].gives
        self._before = filled_before(steps[0])
        self._fills = tuple(step.fills for step in steps)
        self._close = closing.build(resources) if "verdict" in self._fills else None
        self._size = min(settings.batch, *(step.batch for step in steps))
        self._lease = max(step.lease for step in steps)
        self._store = store
        self._bus = bus
        self._settings = settings

    async def run(self) -> None:
        """Work until the bus is stopped; what was begun is finished first."""
        log.info(
            "consumer.started",
            message="Message consumer task started",
            queue=self._first.takes,
        )
        while deliveries := await self._bus.take(self._first.takes, self._size):
            metrics.TAKEN.labels(self._first.takes).inc(len(deliveries))
            ids = list(dict.fromkeys(i for delivery in deliveries for i in delivery.ids))
            told: dict[str, Trace] = {}
            for delivery in deliveries:
                told.update(delivery.traces)
            for start in range(0, len(ids), self._size):
                await self.process(ids[start : start + self._size], told)
            for delivery in deliveries:
                await delivery.acknowledge()

    async def warm_up(self) -> None:
        """Let every step load what it needs before the first alert waits for it."""
        for step, work in self._steps:
            await patiently(step.name, partial(work, []))

    async def process(self, ids: Sequence[str], told: Traces = NONE) -> None:
        """Take these alerts through the chain; those that somebody else holds are left alone."""
        claimed = await patiently(
            "claim", lambda: self._store.claim(self._first.name, ids, self._lease)
        )
        if not claimed:
            return
        metrics.BATCH_ALERTS.labels(self._first.name).observe(len(claimed))
        renewing = asyncio.create_task(self._renew(list(claimed)))
        try:
            await self._work([alert_id for alert_id in ids if alert_id in claimed], told)
        finally:
            renewing.cancel()

    async def _renew(self, ids: Sequence[str]) -> None:
        """Hold on to a batch for as long as it takes; a dead worker's is soon free."""
        while True:
            await asyncio.sleep(self._lease / RENEWALS)
            with contextlib.suppress(Unavailable):
                await self._store.renew(self._first.name, ids, self._lease)

    async def _work(self, waiting: Sequence[str], told: Traces) -> None:
        loaded = await patiently("load", lambda: self._store.load(waiting, self._before))
        batch = Batch(loaded, told, traces.distinct(waiting, told))
        for step, work in self._steps:
            await self._apply(step, work, batch)
        if self._close is not None:
            batch.done = await self._close(batch.done)
        saved = await self._save(batch.done, batch)
        if batch.failures:
            await self._fail(batch)
        if self._next is not None:
            await ring(self._bus, self._gives, self._onward(batch.done, saved), told)

    def _onward(self, done: Sequence[Dossier], saved: Sequence[str]) -> Sequence[str]:
        """Those of the saved alerts that the next step wants."""
        if self._next is None or self._next.wants is None or not saved:
            return saved
        wants, ours = self._next.wants, set(saved)
        return [d.alert_id for d in done if d.alert_id in ours and wants(d)]

    async def _apply(self, step: Step, work: Work, batch: Batch) -> None:
        began, started = time.time_ns(), time.perf_counter()
        before = sum(len(dossier.gaps) for dossier in batch.done)
        failed = len(batch.failures)
        batch.done = await self._isolate(step, work, batch.done, batch)
        seconds = time.perf_counter() - started
        gaps = sum(len(dossier.gaps) for dossier in batch.done) - before
        failed = len(batch.failures) - failed
        metrics.STEP_SECONDS.labels(step.name).observe(seconds)
        metrics.STEP_ALERTS.labels(step.name, "done").inc(len(batch.done))
        if failed:
            metrics.STEP_ALERTS.labels(step.name, "failed").inc(failed)
        log.info(
            "step.done",
            step=step.name,
            count=len(batch.done),
            failed=failed,
            gaps=gaps,
            ms=round(seconds * 1000, 2),
            **traces.fields(batch.found),
        )
        ended = began + int(seconds * 1e9)
        traces.record(
            step.name, batch.found, began, ended, count=len(batch.done), failed=failed, gaps=gaps
        )

    async def _isolate(
        self, step: Step, work: Work, dossiers: list[Dossier], batch: Batch
    ) -> list[Dossier]:
        """The step's result; alerts that break it become failures, found by splitting."""
        if not dossiers:
            return []
        try:
            done = await patiently(step.name, lambda: metrics.Spending(step.name, work(dossiers)))
            _check(step, dossiers, done)
        except Exception as error:  # noqa: BLE001  # the edge: whatever it is, one alert has it
            if len(dossiers) == 1:
                alert_id = dossiers[0].alert_id
                batch.failures.append(Failure(alert_id, step.name, describe(error)))
                reason = metrics.reason_of(error)
                metrics.STEP_FAILURES.labels(step.name, reason).inc()
                log.warning(
                    "step.failed",
                    step=step.name,
                    alert_id=alert_id,
                    reason=reason,
                    error=describe(error),
                    **traces.fields(traces.distinct([alert_id], batch.traces)),
                )
                return []
            middle = len(dossiers) // 2
            first = await self._isolate(step, work, dossiers[:middle], batch)
            return first + await self._isolate(step, work, dossiers[middle:], batch)
        return done

    async def _save(self, done: list[Dossier], batch: Batch) -> list[str]:
        done = self._sift(done, batch)
        if not done:
            return []
        following = None if self._next is None else self._next.name
        ids = [dossier.alert_id for dossier in done]
        onward = frozenset(self._onward(done, ids))
        try:
            saved = await patiently(
                "save",
                lambda: self._store.save(self._first.name, done, self._fills, following, onward),
            )
        except Exception as error:  # noqa: BLE001  # the edge: whatever it is, one alert has it
            if len(done) == 1:
                final = isinstance(error, DataQualityError)
                metrics.STEP_FAILURES.labels("save", metrics.reason_of(error)).inc()
                if isinstance(error, DataQualityError):
                    metrics.REFUSED_ROWS.labels(error.rule).inc()
                    table = refused_table(done[0], self._fills)
                    metrics.PERSISTED.labels(table, "refused").inc()
                batch.failures.append(
                    Failure(done[0].alert_id, "save", describe(error), final=final)
                )
                log.warning("save.failed", alert_id=done[0].alert_id, error=describe(error))
                return []
            middle = len(done) // 2
            first = await self._save(done[:middle], batch)
            return first + await self._save(done[middle:], batch)
        if "verdict" in self._fills:
            _count(done, saved)
        return saved

    def _sift(self, done: list[Dossier], batch: Batch) -> list[Dossier]:
        """Those that no constraint will refuse; the others are parked with the reason."""
        good = []
        for dossier in done:
            found = violation(dossier, self._fills)
            if found is None:
                good.append(dossier)
                continue
            metrics.STEP_FAILURES.labels("save", "data_quality").inc()
            metrics.REFUSED_ROWS.labels(found.partition(":")[0]).inc()
            table = refused_table(dossier, self._fills, found)
            metrics.PERSISTED.labels(table, "refused").inc()
            log.warning("quality.refused", alert_id=dossier.alert_id, error=found)
            batch.failures.append(Failure(dossier.alert_id, "save", found, final=True))
        return good

    async def _fail(self, batch: Batch) -> None:
        failures = batch.failures
        parked = await patiently(
            "fail",
            lambda: self._store.fail(
                self._first.name,
                failures,
                max_attempts=self._settings.max_attempts,
                pause=self._settings.retry_pause,
            ),
        )
        for failure in failures:
            if failure.alert_id in parked:
                metrics.PARKED.labels(failure.step).inc()
                log.error(
                    "alert.parked",
                    alert_id=failure.alert_id,
                    step=failure.step,
                    error=failure.error,
                    **traces.fields(traces.distinct([failure.alert_id], batch.traces)),
                )


class Sweeper:
    """Rings again for work that nobody answered for, and once for all of it at the start."""

    def __init__(
        self, first_steps: Sequence[Step], store: DossierStore, bus: Bus, settings: Settings
    ) -> None:
        self._steps = first_steps
        self._store = store
        self._bus = bus
        self._settings = settings

    async def run(self) -> None:
        """Sweep until cancelled."""
        await self.sweep(unheard=0.0)
        while True:
            await asyncio.sleep(self._settings.sweep_interval)
            await self.sweep(unheard=self._settings.sweep_after)

    async def sweep(self, *, unheard: float) -> int:
        """Ring for all that nobody has answered for so many seconds; gives how many alerts."""
        total, before = 0, await patiently("sweep", self._store.now) - unheard
        for step in self._steps:
            while ids := await self._due(step, before):
                total += len(ids)
                metrics.SWEPT.labels(step.name).inc(len(ids))
                await ring(self._bus, step.takes, ids)
        if total:
            log.info("sweep.rung", count=total)
        return total

    async def _due(self, step: Step, before: float) -> list[str]:
        return await patiently(
            "sweep", lambda: self._store.due(step.name, rung_before=before, limit=SWEEP_IDS)
        )


async def ring(bus: Bus, queue: str, ids: Sequence[str], told: Traces = NONE) -> None:
    """Ring in envelopes of at most 200 ids; a bus that does not answer costs a delay only."""
    try:
        for start in range(0, len(ids), ENVELOPE_IDS):
            part = ids[start : start + ENVELOPE_IDS]
            await bus.ring(queue, part, {i: told[i] for i in part if i in told} if told else NONE)
            metrics.RINGS.labels(queue, "rung").inc()
    except BusUnavailable as error:
        metrics.RINGS.labels(queue, "failed").inc()
        log.warning("bus.unavailable", queue=queue, count=len(ids), error=describe(error))


async def patiently(operation: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until what is needed answers again; other errors pass through at once."""
    async for retry in stamina.retry_context(
        on=Unavailable, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0
    ):
        with retry:
            if retry.num > 1:
                metrics.STORE_RETRIES.labels(operation).inc()
            return await attempt()
    raise AssertionError("unreachable: retries have no limit")


def describe(error: BaseException) -> str:
    """An error as one bounded line of text that cannot break a log or a column."""
    text = f"{type(error).__name__}: {error}"[:ERROR_LIMIT]
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _check(step: Step, given: Sequence[Dossier], done: Sequence[Dossier]) -> None:
    if [d.alert_id for d in given] != [d.alert_id for d in done]:
        raise RuntimeError(f"step {step.name} did not give back the batch that it took")


def _count(done: Sequence[Dossier], saved: Sequence[str]) -> None:
    ours = set(saved)
    gaps: dict[tuple[str, str], int] = {}
    verdicts: dict[str, int] = {}
    for dossier in done:
        if dossier.alert_id not in ours or dossier.verdict is None:
            continue
        verdict = dossier.verdict.verdict.value
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
        for gap in dossier.gaps:
            key = (gap.step, gap.reason.value)
            gaps[key] = gaps.get(key, 0) + 1
    for verdict, count in verdicts.items():
        metrics.VERDICTS.labels(verdict).inc(count)
    for (step, reason), count in gaps.items():
        metrics.GAPS.labels(step, reason).inc(count)
