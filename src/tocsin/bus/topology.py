"""The queues that every role declares on the broker, safe to repeat."""

from collections.abc import Sequence

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from tocsin.ports import DEAD_LETTERS

DELIVERY_LIMIT = 20  # deliveries without an acknowledgement before an envelope is a dead letter


async def declare(connection: AbstractConnection, queues: Sequence[str]) -> None:
    """Declare the dead-letter queue and the others; safe to repeat."""
    channel = await connection.channel()
    async with channel:
        await declare_dead_letters(channel)
        for name in queues:
            await declare_queue(channel, name)


async def declare_dead_letters(channel: AbstractChannel) -> AbstractQueue:
    """Declare the queue of what was delivered too often."""
    return await channel.declare_queue(
        DEAD_LETTERS, durable=True, arguments={"x-queue-type": "quorum"}
    )


async def declare_queue(channel: AbstractChannel, name: str) -> AbstractQueue:
    """Declare one queue of work."""
    return await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": DEAD_LETTERS,
        },
    )
