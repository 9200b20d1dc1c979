"""The shapes that others plug into.

Steps see the rest of the system only through these protocols; `app.py` decides which adapter
stands behind each. Everything works on batches: one call per batch, never one per alert.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from tocsin.model import (
    AssetRecord,
    Dossier,
    Indicator,
    ObservableType,
    Prevalence,
    UserRecord,
)
from tocsin.settings import Settings
from tocsin.traces import NONE, Traces

# --- steps ----------------------------------------------------------------------------------


class Work(Protocol):
    """A step's function: a batch of dossiers in, the same batch out, one field filled.

    The result has the same length and order. A check that could not be made becomes a `Gap`;
    an exception means that the batch holds a poisoned alert (or that the step is broken), and
    the runner splits the batch to find it.
    """

    async def __call__(self, batch: Sequence[Dossier]) -> list[Dossier]:
        """Work on a batch."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the map in `pipeline.py`.

    `name` is the folder, the role on the command line, the metric label and the value of
    `alert_work.step`. `takes` and `gives` are queue names. `fills` is the dossier's field. `work`
    builds the step's function. `batch` is the most alerts it takes at once. `lease` is the
    seconds after which a dead worker's batch is free; a living one renews it.
    """

    name: str
    takes: str
    gives: str
    fills: str
    work: Callable[["Resources"], Work]
    batch: int
    lease: float


# --- what steps may ask ---------------------------------------------------------------------


class EntityKey(NamedTuple):
    """A value to look up, with the kind of name it is.

    Kinds: `asset_id`, `hostname`, `ip` for assets; `user_id`, `user_name`, `email` for users;
    `rule`, `source_ip`, `destination_ip`, `host`, `user` for the history.
    """

    kind: str
    value: str


class Inventory(Protocol):
    """The organisation's assets and users."""

    async def assets(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, AssetRecord]:
        """The assets that answer to these keys; keys nobody answers to are left out."""
        ...

    async def users(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, UserRecord]:
        """The users that answer to these keys; keys nobody answers to are left out."""
        ...

    async def counts(self) -> tuple[int, int]:
        """How many assets and users are recorded."""
        ...


class History(Protocol):
    """What this installation has seen before."""

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        """How many alerts had each value; every key is answered, unseen ones with zeros."""
        ...


class IndicatorSource(Protocol):
    """The local indicator store, read in bulk into memory."""

    async def version(self) -> int:
        """A number that changes whenever the stored indicators change; cheap to ask."""
        ...

    def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        """All indicators that have not expired at `now`, in chunks."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What `app.py` hands to every step."""

    settings: Settings
    inventory: Inventory
    history: History
    indicators: IndicatorSource


# --- the bus --------------------------------------------------------------------------------


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

    async def stop(self) -> None:
        """Give out nothing more; what was taken can still be acknowledged."""
        ...

    async def close(self) -> None:
        """Leave; what was not acknowledged comes again."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One alert that a step could not work on; `final` ones are parked without another try."""

    alert_id: str
    step: str
    error: str
    final: bool = False


# --- accepting alerts -----------------------------------------------------------------------


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


__all__ = [
    "Accepted",
    "Bus",
    "Delivery",
    "EntityKey",
    "Failure",
    "History",
    "IndicatorSource",
    "Intake",
    "Inventory",
    "NewAlert",
    "ObservableType",
    "Resources",
    "Step",
    "Work",
]
