"""The bus on a real broker that cancels consumers, or forgets to deliver to them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from tests.rabbitmq import RabbitMQ
from tests.servers import tocsin

from tocsin.bus import rabbitmq
from tocsin.bus.rabbitmq import PREFETCH, RabbitBus
from tocsin.errors import BusUnavailable

QUEUE = "alert.raw"


@pytest.fixture
async def buses(broker_url: str) -> AsyncIterator[list[RabbitBus]]:
    made = [RabbitBus(broker_url, [QUEUE]) for _ in range(2)]
    yield made
    for bus in made:
        await bus.close()


async def gather(bus: RabbitBus, into: set[str]) -> None:
    while envelopes := await bus.take(QUEUE, 50):
        for envelope in envelopes:
            into.update(envelope.ids)
            await envelope.acknowledge()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


async def test_a_consumer_comes_back_though_another_one_kept_the_queue_busy(
    buses: list[RabbitBus], rabbit_server: RabbitMQ, broker_url: str
) -> None:
    vhost = broker_url.rsplit("/", 1)[1]
    busy, other = buses
    heard: set[str] = set()
    async with asyncio.TaskGroup() as tasks:
        taker = tasks.create_task(gather(other, heard))
        await other.ring(QUEUE, ["first"])
        full = tasks.create_task(gather(busy, set()))
        await asyncio.sleep(0.5)
        full.cancel()  # it stays subscribed, and holds what it is given
        await asyncio.to_thread(rabbit_server.control, "delete_queue", QUEUE, "-p", vhost)
        sent = [f"alert-{number}" for number in range(3 * PREFETCH)]

        async def all_heard() -> bool:
            for alert_id in sent:  # as the sweeper does: what is rung into a deletion is lost
                if alert_id not in heard:
                    await busy.ring(QUEUE, [alert_id])
            await asyncio.sleep(1)
            return heard >= set(sent)

        await until(all_heard)
        taker.cancel()


async def test_a_consumer_that_gets_nothing_though_messages_wait_subscribes_again(
    buses: list[RabbitBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf: set[int] = set()
    hear = rabbitmq._Listener._on_message

    async def first_is_deaf(
        listener: rabbitmq._Listener,
        subscription: rabbitmq._Subscription,
        message: AbstractIncomingMessage,
    ) -> None:
        if not deaf or id(subscription) in deaf:
            deaf.add(id(subscription))
            return
        await hear(listener, subscription, message)

    monkeypatch.setattr(rabbitmq._Listener, "_on_message", first_is_deaf)
    heard: set[str] = set()
    sent = {f"alert-{number}" for number in range(PREFETCH + 20)}
    async with asyncio.TaskGroup() as tasks:
        taker = tasks.create_task(gather(buses[0], heard))
        for alert_id in sent:
            await buses[1].ring(QUEUE, [alert_id])

        async def all_heard() -> bool:
            return heard == sent

        await until(all_heard)
        taker.cancel()
    assert deaf


async def test_a_bus_stops_soon_whatever_it_is_at(broker_url: str) -> None:
    """The client swallows a cancellation that comes while it opens a channel."""

    async def stop_after(seconds: float) -> float:
        bus = RabbitBus(broker_url, [QUEUE])
        taking = asyncio.create_task(bus.take(QUEUE, 10))
        await asyncio.sleep(seconds)
        started = time.monotonic()
        async with asyncio.timeout(30):
            await bus.stop()
        took = time.monotonic() - started
        assert await taking == []
        await bus.close()
        return took

    moments = [rabbitmq.WATCH_SECONDS + number * 0.025 for number in range(60)]
    assert max(await asyncio.gather(*map(stop_after, moments))) < 10


@pytest.mark.parametrize(
    "url",
    [
        "amqp://",
        "amqp://h:abc/",
        "amqp://h:99999/",
        "amqp://[::1/x",
        "amqp://u:hidden@/",
        "amqp:///",
    ],
)
def test_a_url_that_names_no_broker_is_said_at_the_start(url: str, tmp_path: Path) -> None:
    database = "postgresql://nobody@127.0.0.1:1/none"
    for command in (("queue", "list"), ("serve", "normalizer", "--port", "0")):
        done = tocsin(tmp_path, *command, broker=url, database=database)
        assert done.returncode == 2, done.stderr
        assert b"TOCSIN_BROKER" in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"hidden" not in done.stderr


async def test_a_connection_dropped_under_a_question_says_nothing_about_the_broker(
    buses: list[RabbitBus],
) -> None:
    """As when another task finds it broken at this very moment, wherever the question stands."""
    bus = buses[0]
    for turns in range(24):
        for ask in (bus.check, bus.dead):
            await bus.check()
            asked = asyncio.create_task(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            await bus.drop()
            await asked
        rung = asyncio.create_task(bus.ring(QUEUE, ["a"]))
        for _ in range(turns):
            await asyncio.sleep(0)
        await bus.drop()
        with contextlib.suppress(BusUnavailable):
            await rung


class _Odd(RabbitBus):
    """A bus whose client library fails in a way that nobody knows."""

    async def connection(self) -> AbstractConnection:
        raise LookupError("odd {} %s")


async def test_a_listener_that_ends_is_no_silence() -> None:
    bus = _Odd("amqp://127.0.0.1:1/", [QUEUE])
    async with asyncio.timeout(10):
        with pytest.raises(LookupError):
            await bus.take(QUEUE, 1)
