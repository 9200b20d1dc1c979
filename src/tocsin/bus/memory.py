"""The bus within one process: bounded queues of envelopes.

Nothing is lost with it: the work rows are the truth, and the sweeper rings again for what a
stopped process had in here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tocsin.errors import BusUnavailable
from tocsin.traces import NONE, Traces

ENVELOPES = 512


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery that needs no acknowledgement."""

    ids: Sequence[str]
    traces: Traces = field(default_factory=dict)

    async def acknowledge(self) -> None:
        """Nothing to do: the work rows remember."""


class MemoryBus:
    """Queues in memory; `ring` waits while a queue is full, which is the back-pressure."""

    def __init__(self, envelopes: int = ENVELOPES) -> None:
        self._envelopes = envelopes
        self._queues: dict[str, asyncio.Queue[Envelope | None]] = {}
        self._closed = False

    async def ring(self, queue: str, ids: Sequence[str], traces: Traces = NONE) -> None:
        """See `ports.Bus.ring`."""
        if self._closed:
            raise BusUnavailable("the bus is closed")
        if ids:
            await self._queue(queue).put(Envelope(ids, traces))

    async def take(self, queue: str, limit: int) -> Sequence[Envelope]:
        """See `ports.Bus.take`."""
        waiting = self._queue(queue)
        taken: list[Envelope] = []
        envelope = await waiting.get()
        size = 0
        while envelope is not None:
            taken.append(envelope)
            size += len(envelope.ids)
            if size >= limit or waiting.empty():
                return taken
            envelope = waiting.get_nowait()
        waiting.put_nowait(None)  # the bus is closed: the other listeners must hear of it too
        return taken

    async def check(self) -> None:
        """See `ports.Bus.check`."""
        if self._closed:
            raise BusUnavailable("the bus is closed")

    async def dead(self) -> int:
        """See `ports.Bus.dead`: what ends with its process is not given out twice."""
        await self.check()
        return 0

    def waiting(self, queue: str) -> int:
        """How many envelopes wait in a queue."""
        return self._queue(queue).qsize()

    async def close(self) -> None:
        """See `ports.Bus.close`."""
        await self.stop()

    async def stop(self) -> None:
        """See `ports.Bus.stop`."""
        self._closed = True
        for queue in self._queues.values():
            while queue.full():  # its envelopes come again with the next sweep
                queue.get_nowait()
            queue.put_nowait(None)

    def _queue(self, name: str) -> "asyncio.Queue[Envelope | None]":
        if name not in self._queues:
            self._queues[name] = asyncio.Queue(self._envelopes)
        return self._queues[name]
