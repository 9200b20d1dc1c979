"""The gate: what was read is committed, then the bell rings, then the sender hears of it.

Requests that arrive while a commit is under way share the next one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tocsin.errors import Overloaded, Unavailable
from tocsin.ingest.body import Item
from tocsin.ingest.identity import chosen_key, content_digest, new_alert_id
from tocsin.ports import Accepted, Intake, NewAlert
from tocsin.settings import Settings
from tocsin.traces import Trace, Traces

RECOUNT_SECONDS = 0.5

Bell = Callable[[Sequence[str], Traces], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its commit."""

    alerts: list[NewAlert]
    answer: "asyncio.Future[list[Accepted]]"
    trace: Trace | None = None


class Gate:
    """Groups concurrent requests into commits, and refuses more than can be worked on.

    Args:
        intake: makes alerts durable.
        bell: rings for the ids of alerts that are new, with the traces of their requests.
        settings: `commit_alerts` and `max_in_flight`.
    """

    def __init__(self, intake: Intake, bell: Bell, settings: Settings) -> None:
        self._intake = intake
        self._bell = bell
        self._group = settings.commit_alerts
        self._limit = settings.max_in_flight
        self._waiting: list[Waiting] = []
        self._arrived = asyncio.Event()
        self._closed = False
        self._in_flight = 0
        self._counted_at = 0.0

    async def run(self) -> None:
        """Commit what arrives until closed and empty."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._commit(self._next_group())
            if self._closed:
                return

    async def submit(
        self, items: Sequence[Item], source: str | None, trace: Trace | None = None
    ) -> list[Accepted]:
        """Make the alerts durable; the answers are in the order of `items`.

        Raises:
            Overloaded: too much is in flight; try again later.
            StoreUnavailable: the database does not answer; nothing was stored.
            Unavailable: the process is stopping.
        """
        self._check_open()
        await self._admit(len(items))
        self._check_open()  # it may have closed meanwhile, and nobody commits any more
        now = datetime.now(UTC)
        answer: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        alerts = [_identify(item, source, now) for item in items]
        self._waiting.append(Waiting(alerts, answer, trace))
        self._arrived.set()
        return await answer

    def close(self) -> None:
        """Refuse new requests; those that wait are still committed."""
        self._closed = True
        self._arrived.set()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the server is stopping", retry_after=5.0)

    async def _admit(self, count: int) -> None:
        now = time.monotonic()
        if now - self._counted_at > RECOUNT_SECONDS:
            self._counted_at = now
            self._in_flight = await self._intake.in_flight()
        if self._in_flight >= self._limit:
            raise Overloaded(
                f"{self._in_flight} alerts are waiting for triage; the limit is {self._limit}"
            )
        self._in_flight += count

    def _next_group(self) -> list[Waiting]:
        group = [self._waiting.pop(0)]
        size = len(group[0].alerts)
        while self._waiting and size + len(self._waiting[0].alerts) <= self._group:
            request = self._waiting.pop(0)
            group.append(request)
            size += len(request.alerts)
        return group

    async def _commit(self, group: list[Waiting]) -> None:
        alerts = [alert for request in group for alert in request.alerts]
        try:
            accepted = await self._intake.accept(alerts)
        except Unavailable as error:
            self._refuse(group, error)
            return
        except Exception as error:  # noqa: BLE001  # the edge: each sender gets its own answer
            await self._commit_alone(group, error)
            return
        start = 0
        traces: dict[str, Trace] = {}
        for request in group:
            end = start + len(request.alerts)
            if request.trace is not None:
                ids = (one.alert_id for one in accepted[start:end])
                traces.update(dict.fromkeys(ids, request.trace))
            if not request.answer.done():
                request.answer.set_result(accepted[start:end])
            start = end
        fresh = [answer.alert_id for answer in accepted if not answer.duplicate]
        if fresh:
            await self._bell(fresh, traces)

    async def _commit_alone(self, group: list[Waiting], error: Exception) -> None:
        """A request that the database refuses must not take its neighbours with it."""
        if len(group) == 1:
            self._refuse(group, error)
            return
        for request in group:
            await self._commit([request])

    def _refuse(self, group: list[Waiting], error: Exception) -> None:
        for request in group:
            if not request.answer.done():
                request.answer.set_exception(error)


def _identify(item: Item, source: str | None, now: datetime) -> NewAlert:
    digest = content_digest(item.canonical, source)
    fallback = new_alert_id()
    if item.chosen_id is None:
        return NewAlert(fallback, digest, digest, item.payload, source, now, fallback)
    key = chosen_key(item.chosen_id)
    return NewAlert(item.chosen_id, key, digest, item.payload, source, now, fallback)
