"""What the narrator asks of the store: a queue of second opinions, and read-only look-ups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from tocsin.model import Dossier, Indicator, LookupTool, Opinion, Record


class OpinionRequest(NamedTuple):
    """An alert on which a second opinion is wanted: what it could change (0-1), and why."""

    alert_id: str
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class OpinionWork:
    """A second opinion that was leased: the alert with all that was found, and tries before.

    `decided`: a person has said by now what the alert is.
    """

    dossier: Dossier
    value: float
    why: str
    attempts: int
    decided: bool = False


class Opinions(Protocol):
    """The queue of second opinions, and where they end."""

    async def lease(self, limit: int, seconds: float) -> Sequence[OpinionWork]:
        """Take the most valuable that wait; they come back if nobody answers for them in time."""
        ...

    async def finish(self, opinion: Opinion, pseudonyms: Mapping[str, str]) -> bool:
        """Record an opinion and raise what it raises, in one transaction.

        `opinion.change` is recorded as what was found then: risks and reviews never fall. False
        when somebody else holds the work by now; nothing is written then.
        """
        ...

    async def postpone(self, alert_id: str, seconds: float, error: str) -> bool:
        """Count a failed try, and wait before the next."""
        ...


class PastAlert(Record, frozen=True, kw_only=True):
    """An earlier alert as a look-up shows it; `decided` is what people said, not triage."""

    received_at: datetime
    title: str | None = None
    source: str | None = None
    rule_id: str | None = None
    severity: str | None = None
    host_name: str | None = None
    user_name: str | None = None
    source_ip: str | None = None
    destination_ip: str | None = None
    verdict: str | None = None
    risk_score: float | None = None
    decided: str | None = None
    reason: str | None = None


class Lookups(Protocol):
    """Read-only questions over our own store, bounded in rows and in time."""

    async def similar(self, dossier: Dossier, since: datetime, limit: int) -> Sequence[PastAlert]:
        """Other alerts of the same source and rule, newest first, with people's decisions."""
        ...

    async def of_entity(
        self, kind: LookupTool, value: str, since: datetime, limit: int, but: str
    ) -> Sequence[PastAlert]:
        """Alerts of a host, an account or an address, newest first, without the alert `but`."""
        ...

    async def indicator(self, value: str, limit: int) -> Sequence[Indicator]:
        """What the local indicator store holds of exactly this value."""
        ...
