"""The bus on RabbitMQ: quorum queues, publisher confirms, envelopes of ids.

The broker is the bell and may lose everything: the work rows are the truth and the sweeper rings
again. So a queue has no time to live and no limit that drops; what is delivered too often goes to
the dead-letter queue, a second net under the attempts that `alert_work` counts.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError

from tocsin import logs
from tocsin.bus.letters import headers_of, ids_of, traces_of
from tocsin.bus.topology import declare, declare_dead_letters, declare_queue
from tocsin.errors import BusUnavailable, SettingsError
from tocsin.ports import DEAD_LETTERS
from tocsin.traces import NONE, Traces

PREFETCH = 16
CONFIRM_SECONDS = 10.0
CONNECT_SECONDS = 10.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
AWAY_SECONDS = 1.0
WATCH_SECONDS = 2.0  # between two looks at whether a consumer still is one
# aiormq raises RuntimeError on a connection that has just been closed.
BROKEN = (AMQPError, OSError, TimeoutError, RuntimeError, ChannelInvalidStateError)

T = TypeVar("T")

log = logs.get("bus")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery; unacknowledged ones come again."""

    ids: Sequence[str]
    message: AbstractIncomingMessage
    traces: Traces
    subscription: "_Subscription"

    async def acknowledge(self) -> None:
        """Tell the broker to forget it; a broker that is away delivers it again, harmlessly."""
        self.subscription.held -= 1
        with contextlib.suppress(*BROKEN):
            await self.message.ack()


@dataclass(slots=True)
class _Subscription:
    """What came over one consumer: deliveries in all, and those not acknowledged yet."""

    came: int = 0
    held: int = 0


class RabbitBus:
    """Queues on a broker, which may come and go.

    Args:
        url: `amqp://USER:PASSWORD@HOST:PORT/VHOST`.
        queues: declared whenever a connection is made, so every role finds what it needs.

    Raises:
        SettingsError: the URL is none.
    """

    def __init__(self, url: str, queues: Sequence[str]) -> None:
        self._url = _checked(url)
        self._queues = tuple(queues)
        self._connection: AbstractConnection | None = None
        self._publisher: AbstractChannel | None = None
        self._connecting = asyncio.Lock()
        self._listening: dict[str, _Listener] = {}
        self._closed = False
        self._away_until = 0.0

    async def ring(self, queue: str, ids: Sequence[str], traces: Traces = NONE) -> None:
        """See `ports.Bus.ring`; returns when the broker has confirmed."""
        if not ids:
            return
        message = aio_pika.Message(
            msgspec.json.encode(ids),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers=headers_of(ids, traces),
        )
        if time.monotonic() < self._away_until:  # nobody waits again for what just failed
            raise BusUnavailable("the broker did not answer a moment ago")
        try:
            with _let_go():
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await self._publish(queue, message)
        except BROKEN as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            await self.drop()
            raise _away(error) from error

    async def take(self, queue: str, limit: int) -> Sequence[Envelope]:
        """See `ports.Bus.take`."""
        if self._closed:
            return []
        if queue not in self._listening:
            self._listening[queue] = _Listener(self, queue)
        return await self._listening[queue].take(limit)

    async def check(self) -> None:
        """See `ports.Bus.check`: opens a channel, which the broker must answer."""

        async def answered(channel: AbstractChannel) -> None:
            del channel  # that it is open is the answer

        await self._ask(answered)

    async def dead(self) -> int:
        """See `ports.Bus.dead`; a queue that was deleted is there again."""
        queue = await self._ask(declare_dead_letters)
        return queue.declaration_result.message_count or 0

    async def stop(self) -> None:
        """See `ports.Bus.stop`."""
        self._closed = True
        for listener in self._listening.values():
            await listener.close()

    async def close(self) -> None:
        """See `ports.Bus.close`."""
        await self.stop()
        if self._connection is not None:
            with contextlib.suppress(*BROKEN):
                await self._connection.close()

    async def depths(self) -> dict[str, int]:
        """Envelopes that wait in each queue, dead letters included.

        Raises:
            BusUnavailable: the broker does not answer.
        """
        try:
            channel = await (await self.connection()).channel()
            async with channel:
                found = {}
                for name in (*self._queues, DEAD_LETTERS):
                    queue = await channel.declare_queue(name, passive=True)
                    found[name] = queue.declaration_result.message_count or 0
                return found
        except BROKEN as error:
            raise _away(error) from error

    async def empty(self, queue: str) -> list[str]:
        """Take everything out of a queue; gives the ids that it held.

        Raises:
            BusUnavailable: the broker does not answer.
        """
        ids: list[str] = []
        try:
            channel = await (await self.connection()).channel()
            async with channel:
                waiting = await channel.declare_queue(queue, passive=True)
                while (message := await waiting.get(fail=False)) is not None:
                    ids.extend(ids_of(message))
                    await message.ack()
        except BROKEN as error:
            raise _away(error) from error
        return ids

    async def connection(self) -> AbstractConnection:
        """The connection; a new one, with the topology declared, if the last one broke."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                async with asyncio.timeout(CONNECT_SECONDS):
                    connection = await aio_pika.connect(self._url)
                    await declare(connection, self._queues)
                self._connection, self._publisher = connection, None
            return self._connection

    async def drop(self) -> None:
        """Forget a connection that failed: a closed one does not always say that it is."""
        broken, self._connection, self._publisher = self._connection, None, None
        if broken is not None:
            with contextlib.suppress(*BROKEN):
                async with asyncio.timeout(AWAY_SECONDS):
                    await broken.close()

    async def _ask(self, question: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        """Ask on a channel of its own, and once more on a new connection.

        The one at hand may have ended, or be dropped by another task at this very moment, which
        says nothing about the broker.
        """
        for again in (True, False):
            try:
                with _let_go():
                    async with asyncio.timeout(CONNECT_SECONDS):
                        async with await (await self.connection()).channel() as channel:
                            return await question(channel)
            except BROKEN as error:
                log.warning("bus.unanswered", error=repr(error)[:300], again=again)
                await self.drop()
                if not again:
                    raise _away(error) from error
        raise AssertionError("unreachable: the second try answers or raises")

    async def _publish(self, queue: str, message: aio_pika.Message) -> None:
        connection = await self.connection()
        try:
            await self._send(connection, queue, message)
        except DeliveryError:  # the queue was deleted: declare it and try once more
            await declare(connection, self._queues)
            await self._send(connection, queue, message)

    async def _send(
        self, connection: AbstractConnection, queue: str, message: aio_pika.Message
    ) -> None:
        if self._publisher is None or self._publisher.is_closed:
            self._publisher = await connection.channel(publisher_confirms=True)
        await self._publisher.default_exchange.publish(message, routing_key=queue, mandatory=True)


class _Listener:
    """Consumes one queue into memory, again and again whatever happens to the broker."""

    def __init__(self, bus: RabbitBus, queue: str) -> None:
        self._bus = bus
        self._queue = queue
        self._waiting: deque[Envelope] = deque()
        self._arrived = asyncio.Condition()
        self._closed = False
        self._over = False
        self._broken = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def take(self, limit: int) -> Sequence[Envelope]:
        taken: list[Envelope] = []
        size = 0
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._waiting or self._closed or self._over)
            while (
                self._waiting
                and not self._closed
                and (not taken or size + len(self._waiting[0].ids) <= limit)
            ):
                envelope = self._waiting.popleft()
                taken.append(envelope)
                size += len(envelope.ids)
        if self._over and not self._closed:
            await self._task  # raises what ended it: better no process than one that hears nothing
        return taken

    async def close(self) -> None:
        async with self._arrived:
            self._closed = True
            self._arrived.notify_all()
        self._task.cancel()  # which the client may swallow while it opens a channel: see `_closed`
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            await self._consume()
        finally:
            async with self._arrived:
                self._over = True
                self._arrived.notify_all()

    async def _consume(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed:
            try:
                with _let_go():
                    async with asyncio.timeout(CONNECT_SECONDS):
                        channel, subscription = await self._subscribe()
                    log.info("bus.consuming", queue=self._queue)
                    pause = FIRST_PAUSE
                    await self._watch(subscription)
                if not channel.is_closed:  # what it still holds is delivered again
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await channel.close()
            except BROKEN as error:
                log.warning("bus.broken", queue=self._queue, error=repr(error)[:300], pause=pause)
                await self._bus.drop()
            self._waiting.clear()  # the broker will deliver them again
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _subscribe(self) -> tuple[AbstractChannel, _Subscription]:
        subscription = _Subscription()
        channel = await (await self._bus.connection()).channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        self._broken.clear()
        channel.close_callbacks.add(self._on_broken)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_broken)
        queue = await declare_queue(channel, self._queue)
        await queue.consume(partial(self._on_message, subscription))
        return channel, subscription

    async def _watch(self, subscription: _Subscription) -> None:
        """Return when the consumer is gone or deaf.

        It is gone when its channel closed or its queue was deleted. Where a queue was deleted and
        declared again at that very moment, the broker may count a consumer that it never delivers
        to: deaf is one that gets nothing from one look to the next, though it has room and the
        queue has messages.
        """
        before = -1
        while not (self._broken.is_set() or self._closed):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._broken.wait(), WATCH_SECONDS)
                return
            waiting, consumers = await self._look()
            if not consumers:
                return
            idle = subscription.came == before and subscription.held < PREFETCH
            if waiting and idle:
                log.warning("bus.deaf", queue=self._queue, waiting=waiting)
                return
            before = subscription.came

    async def _look(self) -> tuple[int, int]:
        """Messages that wait in the queue, and its consumers in all processes."""
        async with asyncio.timeout(CONNECT_SECONDS):
            probe = await (await self._bus.connection()).channel()
            async with probe:
                found = (await probe.declare_queue(self._queue, passive=True)).declaration_result
        return found.message_count or 0, found.consumer_count or 0

    def _on_broken(self, *_: object) -> None:
        self._broken.set()

    async def _on_message(
        self, subscription: _Subscription, message: AbstractIncomingMessage
    ) -> None:
        subscription.came += 1
        subscription.held += 1
        async with self._arrived:
            ids = ids_of(message)
            self._waiting.append(Envelope(ids, message, traces_of(message, ids), subscription))
            self._arrived.notify()


def _checked(url: str) -> str:
    """The URL, which may hold a password and is in no error; the client finds out too late."""
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise SettingsError("TOCSIN_BROKER is not a URL: amqp://USER:PASSWORD@HOST:PORT/VHOST")
    return url


@contextlib.contextmanager
def _let_go() -> Iterator[None]:
    """Give the error a name that the client raises where a connection ends under a question.

    Whoever waits for an answer then, because another task dropped the connection, gets a bare
    `Exception`, which must end neither a listener nor a worker.
    """
    try:
        yield
    except Exception as error:  # the edge: the client's class says nothing
        if type(error) is not Exception:
            raise
        raise ConnectionError("the connection ended before the answer came") from error


def _away(error: Exception) -> BusUnavailable:
    return BusUnavailable("the broker does not answer", cause=repr(error))
