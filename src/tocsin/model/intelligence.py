"""Indicators, and what they say of an alert's observables."""

from datetime import datetime

from tocsin.model.record import Record, Share
from tocsin.model.words import ObservableRole, ObservableType, ThreatLevel, Tlp


class Indicator(Record, frozen=True, kw_only=True):
    """One row of the local indicator store (`indicators`)."""

    type: ObservableType
    value: str
    source: str
    threat_level: ThreatLevel = ThreatLevel.HIGH
    confidence: Share = 0.7
    tlp: Tlp = Tlp.AMBER
    tags: tuple[str, ...] = ()
    description: str | None = None
    first_seen: datetime | None = None
    expires_at: datetime | None = None


class Sighting(Record, frozen=True, kw_only=True):
    """What intelligence says of one observable of an alert; one `threat_intel` row each.

    `matched` is the indicator that matched (a parent domain or a containing network may be
    wider than the value); `benign_lists` names the warning lists that hold the value.
    """

    type: ObservableType
    value: str
    role: ObservableRole
    threat_level: ThreatLevel = ThreatLevel.UNKNOWN
    confidence: Share = 0.0
    sources: tuple[str, ...] = ()
    matched: str | None = None
    tags: tuple[str, ...] = ()
    tlp: Tlp | None = None
    benign_lists: tuple[str, ...] = ()
