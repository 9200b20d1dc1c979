"""The shapes that others plug into.

Steps see the rest of the system only through these protocols; `app.py` decides which adapter
stands behind each. Everything works on batches: one call per batch, never one per alert.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from tocsin.model import (
    Account,
    Action,
    AssetRecord,
    Disposition,
    Dossier,
    Entity,
    EntityKind,
    Indicator,
    Link,
    Member,
    ObservableType,
    Prevalence,
    RiskLevel,
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
    builds the step's function. `batch` is the most alerts it takes at once; `lease` is in seconds.
    `wants` is there for a step that follows a verdict: it says for which alerts. Such a step begins
    a chain of its own, and work that waits for it is a follow-up: the alert is triaged already.
    """

    name: str
    takes: str
    gives: str
    fills: str
    work: Callable[["Resources"], Work]
    batch: int
    lease: float
    wants: Callable[[Dossier], bool] | None = None


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


class Trail(NamedTuple):
    """One alert's entities, entered so that other alerts find it by them.

    `stage` is how far along an attack the alert's tactic stands (0 to 13), -1 when nothing says.
    """

    alert_id: str
    at: datetime
    stage: int
    entities: Sequence[Entity]


class Met(NamedTuple):
    """An alert that has an entity, as it was entered; see `Trail` and `model.Entity`."""

    kind: EntityKind
    value: str
    alert_id: str
    at: datetime
    stage: int
    seen: int
    beside: str


class Incidents(Protocol):
    """Where alerts that matter meet each other."""

    async def meet(self, trails: Sequence[Trail], window: timedelta, most: int) -> Sequence[Met]:
        """Enter these trails, then give all that have one of their entities.

        Entering is committed first: of two alerts that are worked on at once by two processes, at
        least one then finds the other. It is an upsert, so it may be repeated.

        Args:
            trails: what alerts have, one each.
            window: how long before and after each alert to look.
            most: of each entity, only the latest so many alerts are given.
        """
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What `app.py` hands to every step."""

    settings: Settings
    inventory: Inventory
    history: History
    indicators: IndicatorSource
    incidents: Incidents


# --- how incidents are made ------------------------------------------------------------------


class Placed(NamedTuple):
    """What is stored of an alert that could be placed; `incident_id` None: in no incident."""

    alert_id: str
    at: datetime
    incident_id: str | None
    verdict: Disposition | None
    risk_level: RiskLevel | None


class Extent(NamedTuple):
    """How much an incident holds; `held`: a person decided what belongs to it."""

    incident_id: str
    alerts: int
    first_at: datetime
    last_at: datetime
    open: bool
    held: bool


class Move(NamedTuple):
    """An alert goes into an incident, perhaps out of another, because of a link.

    An empty `alert_id` stands for all alerts of `out_of`, which the other incident takes over.
    """

    alert_id: str
    into: str
    out_of: str | None
    link: Link | None


class Grouping(Protocol):
    """The rules by which the store puts alerts into incidents, within its own transaction.

    The store holds a lock meanwhile, so that two processes cannot place the same alert twice.
    """

    def place(
        self,
        links: Mapping[str, Sequence[Link]],
        placed: Mapping[str, Placed],
        extents: Mapping[str, Extent],
        parted: Collection[tuple[str, str]],
    ) -> Sequence[Move]:
        """Where alerts go.

        Args:
            links: by alert, its ties to others.
            placed: all alerts of `links`, and those that they are tied to.
            extents: the incidents of those, by id.
            parted: (incident, alert) pairs that a person has taken apart; an alert that was taken
                out of one and is in no other stays alone.
        """
        ...

    def account(self, members: Sequence[Member]) -> Account:
        """Title, summary and severity of an incident, told from its alerts, earliest first."""
        ...

    def proposals(self, dossier: Dossier) -> Sequence[Action]:
        """The recommended actions that should be proposed for approval."""
        ...


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
    "Extent",
    "Grouping",
    "History",
    "Incidents",
    "IndicatorSource",
    "Intake",
    "Inventory",
    "Met",
    "Move",
    "NewAlert",
    "ObservableType",
    "Placed",
    "Resources",
    "Step",
    "Trail",
    "Work",
]
