"""What the broker gave out too often comes before a person's eyes, and goes on when they say so."""

import asyncio
import re
from pathlib import Path

import aio_pika
import httpx2
import pytest
from tests.rabbitmq import RabbitMQ
from tests.servers import tocsin
from tests.services import CHAIN, Fleet, fleet, post

from tocsin.bus.rabbitmq import RabbitBus
from tocsin.bus.topology import DELIVERY_LIMIT

QUEUE = "alert.raw"
STRANGERS = 400  # envelopes of ids that nobody knows; more ids than a statement takes parameters


async def give_up(url: str) -> None:
    """Be a worker that ends before it acknowledges, as often as the broker lets it."""
    connection = await aio_pika.connect(url)
    async with connection:
        for _ in range(DELIVERY_LIMIT + 1):
            channel = await connection.channel()
            queue = await channel.declare_queue(QUEUE, passive=True)
            for _ in range(100):
                if message := await queue.get(fail=False):
                    await message.nack(requeue=True)
                    break
                await asyncio.sleep(0.05)
            await channel.close()


async def ring_strangers(url: str) -> None:
    bus = RabbitBus(url, [QUEUE])
    for number in range(STRANGERS):
        await bus.ring("alert.dead", [f"{number}-{each} {{}} %s" for each in range(200)])
    await bus.close()


def dead(running: Fleet) -> list[str]:
    text = httpx2.get(f"{running.ingestor.url}/metrics", timeout=30).text
    return re.findall(r'tocsin_bus_dead_envelopes\{queue="alert.dead"\} (\S+)', text)


def test_a_dead_letter_is_shown_and_replayed(
    tmp_path: Path, postgres_url: str, broker_url: str
) -> None:
    places = {"database": postgres_url, "broker": broker_url}
    with fleet(tmp_path, postgres_url, broker_url, (("ingestor",),)) as running:
        sent = [{"title": f"dead {n}", "source_ip": "192.0.2.1"} for n in range(3)]
        post(running, sent)
        assert dead(running) == ["0.0"]
        well = tocsin(tmp_path, "doctor", **places)
        assert "ok    broker" in well.stdout.decode()
        assert f"-     no settings file {tmp_path / 'none.toml'}" in well.stdout.decode()
        assert "WARN" not in well.stdout.decode()

        asyncio.run(give_up(broker_url))
        assert dead(running) == ["1.0"]
        told = tocsin(tmp_path, "doctor", **places)
        assert "1 envelopes were given out too often" in told.stdout.decode()
        assert "tocsin queue replay" in told.stdout.decode()

        asyncio.run(ring_strangers(broker_url))
        replayed = tocsin(tmp_path, "queue", "replay", **places)
        assert replayed.returncode == 0, replayed.stderr.decode()
        assert "rang again for 3 alerts" in replayed.stdout.decode()
        assert f"{STRANGERS * 200} were done or parked already" in replayed.stdout.decode()
        listed = tocsin(tmp_path, "queue", "list", **places).stdout.decode()
        assert re.search(r"alert\.raw +1 +normalize +3", listed), listed
        assert dead(running) == ["0.0"]
        running.add(*CHAIN).wait()
        assert running.settle()["triaged"] == 3


@pytest.mark.parametrize("command", [("queue", "list"), ("queue", "replay"), ("doctor",)])
def test_a_broker_that_is_down_is_one_line(
    command: tuple[str, ...], rabbit_server: RabbitMQ, postgres_url: str, tmp_path: Path
) -> None:
    assert rabbit_server
    gone = "amqp://guest:hidden@127.0.0.1:1/"
    done = tocsin(tmp_path, *command, broker=gone, database=postgres_url)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == (1 if command == ("doctor",) else 3), output
    lines = [line for line in output.splitlines() if "the broker" in line or "Connect" in line]
    assert len(lines) == 1, output
    assert "library.message" not in output
    assert "hidden" not in output
