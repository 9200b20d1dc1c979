"""The bell that says that there is work."""

from collections.abc import Sequence
from typing import Protocol

from tocsin.traces import NONE, Traces

DEAD_LETTERS = "alert.dead"
"""Where a broker puts such envelopes; their alerts are found by the sweeper all the same."""


class Delivery(Protocol):
    """An envelope of alert ids from one queue."""

    @property
    def ids(self) -> Sequence[str]:
        """The alerts that it speaks of."""
        ...

    @property
    def traces(self) -> Traces:
        """The traces of those alerts that have one; it may hold others too."""
        ...

    async def acknowledge(self) -> None:
        """The work is committed; the bus may forget the envelope."""
        ...


class Bus(Protocol):
    """A bell: it says that there is work, and for which ids. Losing it costs a delay only."""

    async def ring(self, queue: str, ids: Sequence[str], traces: Traces = NONE) -> None:
        """Say that these alerts wait in `queue`, with their traces; waits while it is full.

        Raises:
            BusUnavailable: the bus did not take the message.
        """
        ...

    async def take(self, queue: str, limit: int) -> Sequence[Delivery]:
        """Wait for a delivery from `queue`, then take what waits, up to about `limit` ids.

        An empty answer says that the bus was stopped.
        """
        ...

    async def check(self) -> None:
        """Ask the bus whether it lives.

        Raises:
            BusUnavailable: it does not.
        """
        ...

    async def dead(self) -> int:
        """How many envelopes were given out too often and never acknowledged.

        Raises:
            BusUnavailable: the bus does not answer.
        """
        ...

    async def stop(self) -> None:
        """Give out nothing more; what was taken can still be acknowledged."""
        ...

    async def close(self) -> None:
        """Leave; what was not acknowledged comes again."""
        ...
