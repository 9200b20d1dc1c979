"""Incidents as people read them: lists by keyset, and one with all that belongs to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import NotFoundError
from tocsin.model import (
    EntityKind,
    Incident,
    IncidentAction,
    IncidentStatus,
    Link,
    Member,
    Record,
    Severity,
)
from tocsin.store import cursors, incident_reading
from tocsin.store.database import Database
from tocsin.store.rows import links_of
from tocsin.store.tables import alert_entities, incident_alerts, incident_changes, incidents
from tocsin.store.types import instant_text

MOST_ENTITIES = 200
MOST_CHANGES = 200
COLUMNS = Incident.__struct_fields__


class IncidentPage(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A page and the cursor of the next one; None after the last."""

    incidents: tuple[Incident, ...]
    next_cursor: str | None = None


class IncidentAlert(Member, frozen=True, kw_only=True):
    """An alert of an incident, and why it belongs to it.

    `score` is None when a person put it there; `links` are the ties that brought it.
    """

    added_by: str
    added_at: datetime
    score: float | None = None
    links: tuple[Link, ...] = ()


class SharedEntity(Record, frozen=True, kw_only=True):
    """What alerts of an incident have, and how many of them."""

    kind: EntityKind
    value: str
    alerts: int


class IncidentChange(Record, frozen=True, kw_only=True):
    """One line of an incident's history."""

    change_id: str
    changed_at: datetime
    actor: str
    action: IncidentAction
    reason: str
    other_id: str | None = None
    undone_at: datetime | None = None


class IncidentDetail(Record, frozen=True, kw_only=True, omit_defaults=False):
    """An incident with its alerts in the order of time, what they share, and its history."""

    incident: Incident
    alerts: tuple[IncidentAlert, ...]
    entities: tuple[SharedEntity, ...]
    history: tuple[IncidentChange, ...]


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list is narrowed to; None means any."""

    status: IncidentStatus | None = None
    severity: Severity | None = None
    assigned_to: str | None = None
    since: datetime | None = None
    merged: bool = False  # also those that were merged into others


class IncidentPages:
    """Reads for people; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: IncidentFilter, *, limit: int = 50, cursor: str | None = None
    ) -> IncidentPage:
        """Incidents that fit, the one that changed last first.

        Raises:
            InputError: the cursor is not one of ours.
        """
        c = incidents.c
        query = sa.select(*(c[name] for name in COLUMNS))
        for column, value in (
            (c.status, wanted.status),
            (c.severity, wanted.severity),
            (c.assigned_to, wanted.assigned_to),
        ):
            if value is not None:
                query = query.where(column == value)
        if wanted.since is not None:
            query = query.where(c.updated_at >= wanted.since)
        if not wanted.merged:
            query = query.where(c.merged_into.is_(None))
        if cursor is not None:
            query = query.where(
                sa.tuple_(c.updated_at, c.incident_id) < before(c.updated_at, cursor)
            )
        query = query.order_by(c.updated_at.desc(), c.incident_id.desc()).limit(limit + 1)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = tuple(_incident(row) for row in rows[:limit])
        last = found[-1] if len(rows) > limit else None
        following = cursor_of(last.updated_at, last.incident_id) if last else None
        return IncidentPage(incidents=found, next_cursor=following)

    async def detail(self, incident_id: str) -> IncidentDetail:
        """One incident.

        Raises:
            NotFoundError: there is no such incident.
        """
        return await self._database.read(lambda connection: _detail(connection, incident_id))


def cursor_of(when: datetime, identifier: str) -> str:
    """Where the next page of a list by time begins."""
    return cursors.cursor(instant_text(when), identifier)


def before(column: Any, cursor: str) -> Any:
    """The pair that the next page's rows are smaller than.

    Raises:
        InputError: the cursor is not one of ours.
    """
    text, identifier = cursors.parts_of(cursor, tuple[str, str])
    when = cursors.moment_of(text)
    return sa.tuple_(sa.literal(when, column.type), sa.literal(identifier))


def _detail(connection: Connection, incident_id: str) -> IncidentDetail:
    c, i, e = incidents.c, incident_alerts.c, alert_entities.c
    row = connection.execute(
        sa.select(*(c[name] for name in COLUMNS)).where(c.incident_id == incident_id)
    ).first()
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    here = sa.and_(i.incident_id == incident_id, i.removed_at.is_(None))
    why = {
        each.alert_id: each for each in connection.execute(sa.select(incident_alerts).where(here))
    }
    shared = (
        sa.select(e.kind, e.value, sa.func.count(sa.distinct(e.alert_id)).label("count"))
        .select_from(alert_entities.join(incident_alerts, i.alert_id == e.alert_id))
        .where(here)
        .group_by(e.kind, e.value)
        .order_by(sa.desc("count"), e.kind, e.value)
        .limit(MOST_ENTITIES)
    )
    return IncidentDetail(
        incident=_incident(row),
        alerts=tuple(
            _alert(member, why[member.alert_id])
            for member in incident_reading.members(connection, [incident_id])[incident_id]
        ),
        entities=tuple(
            SharedEntity(kind=EntityKind(kind), value=value, alerts=count)
            for kind, value, count in connection.execute(shared)
        ),
        history=_history(connection, incident_id),
    )


def _alert(member: Member, row: Any) -> IncidentAlert:
    values = {name: getattr(member, name) for name in Member.__struct_fields__}
    return IncidentAlert(
        **values,
        added_by=row.added_by,
        added_at=row.added_at,
        score=row.score,
        links=links_of(row.reasons),
    )


def _history(connection: Connection, incident_id: str) -> tuple[IncidentChange, ...]:
    h = incident_changes.c
    query = (
        sa.select(*(h[name] for name in IncidentChange.__struct_fields__))
        .where(sa.or_(h.incident_id == incident_id, h.other_id == incident_id))
        .order_by(h.changed_at.desc(), h.change_id)
        .limit(MOST_CHANGES)
    )
    return tuple(
        msgspec.convert({str(k): v for k, v in row.items()}, IncidentChange)
        for row in connection.execute(query).mappings()
    )


def _incident(row: Any) -> Incident:
    values = dict(zip(COLUMNS, row, strict=True))
    values["held"] = bool(values["held"])
    return msgspec.convert(values, Incident)
