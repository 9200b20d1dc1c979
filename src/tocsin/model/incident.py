"""What follows a verdict: what alerts have in common, why they belong together, incidents."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from tocsin.model.record import Record, Share
from tocsin.model.words import (
    Disposition,
    EntityKind,
    IncidentStatus,
    RemediationStatus,
    ResponsePhase,
    RiskLevel,
    Severity,
)

EARLY = timedelta(minutes=5)


def moment(event_time: datetime | None, received_at: datetime) -> datetime:
    """When an alert's event happened: as its source says, unless that lies in the future."""
    if event_time is None or event_time.tzinfo is None or event_time > received_at + EARLY:
        return received_at
    return event_time


class Entity(Record, frozen=True, kw_only=True):
    """Something that an alert names and that others may name too.

    `seen` is how many alerts of the last 30 days had it (0 when that is not counted), `beside`
    what it was seen with in this alert: something that turns up beside ever new things is a
    crossroads, and links nothing.
    """

    kind: EntityKind
    value: str
    seen: int = 0
    beside: str = ""


class Reason(Record, frozen=True, kw_only=True):
    """Why two alerts belong together: one shared entity, and what that is worth."""

    kind: EntityKind
    value: str
    strength: Share
    statement: str


class Link(Record, frozen=True, kw_only=True):
    """One alert's tie to an earlier or later one."""

    alert_id: str  # the other alert
    at: datetime  # when that happened
    score: Share
    reasons: tuple[Reason, ...] = ()


class Member(Record, frozen=True, kw_only=True):
    """An alert of an incident, with what the incident's words are made from."""

    alert_id: str
    at: datetime
    title: str
    host: str | None = None
    user: str | None = None
    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    verdict: Disposition | None = None
    risk_score: float = 0.0
    risk_level: RiskLevel = RiskLevel.INFO


class Riskiest(Record, frozen=True, kw_only=True, order=True):
    """The alert of an incident with the greatest risk."""

    risk_score: float
    alert_id: str
    title: str
    risk_level: RiskLevel


class First(Record, frozen=True, kw_only=True, order=True):
    """When an incident's alerts first had something, and how that alert wrote it."""

    at: datetime
    text: str


class Gist(Record, frozen=True, kw_only=True):
    """What an incident's words are made from: kept, so that one more alert costs no look at all.

    In which order alerts are added does not matter. Hosts and users stand under their names in
    lower case, titles under the place of their tactic in the kill chain.
    """

    alerts: int
    first_at: datetime
    last_at: datetime
    riskiest: Riskiest
    worst: RiskLevel
    hosts: Mapping[str, First] = msgspec.field(default_factory=dict)
    users: Mapping[str, First] = msgspec.field(default_factory=dict)
    steps: Mapping[int, First] = msgspec.field(default_factory=dict)


class Account(Record, frozen=True, kw_only=True):
    """What an incident says of itself, told from its alerts."""

    title: str
    summary: str
    severity: Severity


class Incident(Record, frozen=True, kw_only=True):
    """One row of a list of incidents.

    `merged_into` names the incident that took over the alerts of this one; `held` says that a
    person has changed which alerts belong to it, so that the pipeline merges it with none.
    """

    incident_id: str
    title: str
    status: IncidentStatus
    created_at: datetime
    updated_at: datetime
    alerts: int = 0
    severity: Severity | None = None
    summary: str | None = None
    assigned_to: str | None = None
    closed_at: datetime | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    merged_into: str | None = None
    held: bool = False


class Remediation(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A proposed action; `digest` is what an approval is bound to."""

    action_id: str
    action: str
    entity_type: str
    entity: str
    status: RemediationStatus
    proposed_at: datetime
    digest: str
    title: str = ""
    reason: str | None = None
    phase: ResponsePhase | None = None
    priority: int | None = None
    alert_id: str | None = None
    incident_id: str | None = None
    evidence: tuple[str, ...] = ()
    undo: str = ""
    effort: str = ""
    blast_radius: str = ""
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision_reason: str | None = None
    expires_at: datetime | None = None
