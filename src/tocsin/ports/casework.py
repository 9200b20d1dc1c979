"""What alerts that matter are put together by: where they meet, and the rules of grouping."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from tocsin.model import (
    Account,
    Action,
    Disposition,
    Dossier,
    Entity,
    EntityKind,
    Gist,
    Link,
    Member,
    RiskLevel,
)


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

    async def meet(
        self, trails: Sequence[Trail], asked: Sequence[Trail], window: timedelta, most: int
    ) -> Sequence[Met]:
        """Enter trails, then give all that have one of the entities asked for.

        Entering is committed first: of two alerts that are worked on at once by two processes, at
        least one then finds the other. It is an upsert, so it may be repeated.

        Args:
            trails: what alerts have, one each.
            asked: the same alerts, with those of their entities that others are looked up by.
            window: how long before and after each alert to look.
            most: of each entity, only the latest so many alerts are given.
        """
        ...


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

    def gist(self, members: Sequence[Member], before: Gist | None = None) -> Gist:
        """What an incident's words are made from, with these alerts added to what was before."""
        ...

    def account(self, of: Gist) -> Account:
        """Title, summary and severity of an incident."""
        ...

    def proposals(self, dossier: Dossier) -> Sequence[Action]:
        """The recommended actions that should be proposed for approval."""
        ...
