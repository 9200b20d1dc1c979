"""What incidents hold, asked within the transactions that change them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import NotFoundError
from tocsin.model import (
    Disposition,
    Gist,
    IncidentAction,
    IncidentStatus,
    Link,
    Member,
    RiskLevel,
    Threat,
)
from tocsin.model.incident import moment
from tocsin.ports import Extent, Placed
from tocsin.store.bulk import one_of
from tocsin.store.quality import storable
from tocsin.store.tables import (
    alerts,
    incident_alerts,
    incident_changes,
    incidents,
    triage_results,
)


class Step(NamedTuple):
    """An alert goes out of one incident and into another; None: no incident."""

    alert_id: str
    out_of: str | None
    into: str | None
    link: Link | None = None


class Change(NamedTuple):
    """A change as it was kept."""

    change_id: str
    other_id: str | None
    steps: list[Step]
    fields: dict[str, dict[str, tuple[Any, Any]]]


class _Detail(msgspec.Struct):
    steps: list[tuple[str, str | None, str | None]]
    fields: dict[str, dict[str, tuple[Any, Any]]]


class _Normalized(msgspec.Struct):
    threat: Threat = Threat()


_detail = msgspec.json.Decoder(_Detail)
_gist = msgspec.json.Decoder(Gist)
_threat = msgspec.json.Decoder(_Normalized)
MOMENTS = frozenset({"closed_at"})


def must_exist(connection: Connection, incident_id: str) -> None:
    """Raise NotFoundError unless there is such an incident."""
    columns(connection, incident_id, ("status",))


def columns(connection: Connection, incident_id: str, names: Iterable[str]) -> dict[str, Any]:
    """The named columns of an incident.

    Raises:
        NotFoundError: there is no such incident.
    """
    query = sa.select(*(incidents.c[name] for name in names))
    row = connection.execute(query.where(incidents.c.incident_id == incident_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    return dict(row)


def members_of(connection: Connection, incident_id: str) -> list[str]:
    """The ids of an incident's alerts."""
    i = incident_alerts.c
    query = sa.select(i.alert_id).where(i.incident_id == incident_id, i.removed_at.is_(None))
    return list(connection.execute(query.order_by(i.alert_id)).scalars())


def members(
    connection: Connection, incidents_: Sequence[str], only: Sequence[str] | None = None
) -> dict[str, list[Member]]:
    """The alerts of each of these incidents, earliest first; one without any has an empty list.

    With `only`, those of them that are named there.
    """
    i, a, t = incident_alerts.c, alerts.c, triage_results.c
    query = (
        sa.select(
            i.incident_id,
            a.alert_id,
            a.event_time,
            a.received_at,
            a.title,
            a.host_name,
            a.user_name,
            a.normalized,
            t.verdict,
            t.risk_score,
            t.risk_level,
        )
        .select_from(
            incident_alerts.join(alerts, a.alert_id == i.alert_id).outerjoin(
                triage_results, t.alert_id == i.alert_id
            )
        )
        .where(i.removed_at.is_(None))
    )
    found: dict[str, list[Member]] = {each: [] for each in incidents_}
    if not found:
        return found
    here = one_of(connection, i.incident_id, incidents_)
    if only is not None:
        here = sa.and_(here, one_of(connection, i.alert_id, only))
    for row in connection.execute(query.where(here)):
        found[row.incident_id].append(_member(row))
    for each in found.values():
        each.sort(key=lambda member: (member.at, member.alert_id))
    return found


def _member(row: Any) -> Member:
    threat = _threat.decode(row.normalized).threat if row.normalized else Threat()
    return Member(
        alert_id=row.alert_id,
        at=moment(row.event_time, row.received_at),
        title=row.title or "",
        host=row.host_name,
        user=row.user_name,
        tactics=threat.tactics,
        techniques=threat.techniques,
        verdict=Disposition(row.verdict) if row.verdict else None,
        risk_score=row.risk_score or 0.0,
        risk_level=RiskLevel(row.risk_level or RiskLevel.INFO),
    )


def gists(connection: Connection, ids: Sequence[str]) -> dict[str, Gist]:
    """What the words of these incidents are made from, where that is known.

    A version of Tocsin that keeps no gist counts the alerts that it adds all the same: one that
    holds another number of alerts is not of now.
    """
    if not ids:
        return {}
    c = incidents.c
    query = sa.select(c.incident_id, c.alerts, c.gist).where(
        one_of(connection, c.incident_id, ids), c.gist.is_not(None)
    )
    return {
        row.incident_id: gist
        for row in connection.execute(query)
        if (gist := _gist.decode(row.gist)).alerts == row.alerts
    }


def existing(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these alerts that are stored."""
    named = [alert_id for alert_id in ids if storable(alert_id)]
    query = sa.select(alerts.c.alert_id).where(one_of(connection, alerts.c.alert_id, named))
    return set(connection.execute(query).scalars())


def whereabouts(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The incident that each of these alerts is in; those in none are left out."""
    if not ids:
        return {}
    i = incident_alerts.c
    query = sa.select(i.alert_id, i.incident_id).where(i.removed_at.is_(None))
    return {
        row.alert_id: row.incident_id
        for row in connection.execute(query.where(one_of(connection, i.alert_id, ids)))
    }


def reasons(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[float | None, str]]:
    """The score and the reasons with which each alert was linked last."""
    if not ids:
        return {}
    i = incident_alerts.c
    query = sa.select(i.alert_id, i.score, i.reasons).order_by(i.added_at, i.incident_id)
    return {
        row.alert_id: (row.score, row.reasons)
        for row in connection.execute(query.where(one_of(connection, i.alert_id, ids)))
    }


def placed(connection: Connection, ids: Sequence[str]) -> dict[str, Placed]:
    """These alerts as `Grouping.place` wants them; those that are not stored are left out."""
    a, t = alerts.c, triage_results.c
    query = sa.select(a.alert_id, a.event_time, a.received_at, t.verdict, t.risk_level).select_from(
        alerts.outerjoin(triage_results, t.alert_id == a.alert_id)
    )
    now = whereabouts(connection, ids)
    return {
        row.alert_id: Placed(
            row.alert_id,
            moment(row.event_time, row.received_at),
            now.get(row.alert_id),
            Disposition(row.verdict) if row.verdict else None,
            RiskLevel(row.risk_level) if row.risk_level else None,
        )
        for row in connection.execute(query.where(one_of(connection, a.alert_id, ids)))
    }


def extents(connection: Connection, ids: Sequence[str]) -> dict[str, Extent]:
    """How much each of these incidents holds."""
    if not ids:
        return {}
    c = incidents.c
    query = sa.select(
        c.incident_id, c.alerts, c.first_at, c.last_at, c.status, c.held, c.created_at
    )
    return {
        row.incident_id: Extent(
            row.incident_id,
            row.alerts,
            row.first_at or row.created_at,
            row.last_at or row.created_at,
            open=row.status == IncidentStatus.OPEN.value,
            held=bool(row.held),
        )
        for row in connection.execute(query.where(one_of(connection, c.incident_id, ids)))
    }


def parted(connection: Connection, ids: Sequence[str], *, by_pipeline: str) -> set[tuple[str, str]]:
    """The (incident, alert) pairs that a person, not the pipeline, has taken apart."""
    i = incident_alerts.c
    query = sa.select(i.incident_id, i.alert_id).where(
        i.removed_at.is_not(None), i.removed_by != by_pipeline
    )
    return {
        (row.incident_id, row.alert_id)
        for row in connection.execute(query.where(one_of(connection, i.alert_id, ids)))
    }


def last_change(connection: Connection, incident_id: str) -> Change | None:
    """The last change of an incident that was not undone; None when there is none."""
    c = incident_changes.c
    query = (
        sa.select(c.change_id, c.incident_id, c.other_id, c.detail)
        .where(
            sa.or_(c.incident_id == incident_id, c.other_id == incident_id),
            c.undone_at.is_(None),
            c.action != IncidentAction.UNDO.value,
        )
        .order_by(c.changed_at.desc(), c.change_id)
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    detail = _detail.decode(row.detail)
    fields = {
        each: {name: (_value(name, old), _value(name, new)) for name, (old, new) in values.items()}
        for each, values in detail.fields.items()
    }
    other = row.other_id if row.incident_id == incident_id else row.incident_id
    return Change(row.change_id, other, [Step(*step) for step in detail.steps], fields)


def _value(name: str, stored: Any) -> Any:
    moment_text = name in MOMENTS and isinstance(stored, str)
    return datetime.fromisoformat(stored) if moment_text else stored
