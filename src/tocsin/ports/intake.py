"""Accepting alerts: what is read, and where it becomes durable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert that was read and found acceptable, not yet stored.

    `digest` (16 bytes) identifies the content. `key` (16 bytes) identifies the alert over all
    time: it stands for the id that the sender chose, or else is the digest. `fallback_id` is the
    id that the alert gets when `alert_id` is a chosen one that names another alert already.
    """

    alert_id: str
    key: bytes
    digest: bytes
    payload: str
    source: str | None
    received_at: datetime
    fallback_id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer for one `NewAlert`, in order.

    `duplicate`: the same alert is stored under this id already. `renamed`: the chosen id names
    another alert, so this one was stored under a new id.
    """

    alert_id: str
    duplicate: bool = False
    renamed: bool = False


class Intake(Protocol):
    """Where accepted alerts are made durable."""

    async def accept(self, alerts: Sequence[NewAlert]) -> list[Accepted]:
        """Commit the alerts and their work rows in one transaction; returns when durable.

        Raises:
            StoreUnavailable: nothing was committed; the sender should try again.
        """
        ...

    async def in_flight(self) -> int:
        """How many alerts wait for a step now."""
        ...
