"""The pipeline's statements; the hot ones are compiled once. Only `dossiers.py` runs them."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus
from tocsin.ports import NewAlert
from tocsin.store import reading, rows
from tocsin.store.bulk import BulkInsert, BulkUpdate, among, mark_of
from tocsin.store.clock import LONGEST_WAIT, ahead
from tocsin.store.tables import (
    alert_context,
    alert_keys,
    alert_work,
    alerts,
    pipeline_counts,
    threat_intel,
    triage_results,
)

MOST_DOUBLINGS = 64  # of the pause between attempts: more, and it would be no number any more

insert_keys = BulkInsert(alert_keys, ("key", "alert_id", "digest"), key=("key",))
insert_new_keys = BulkInsert(
    alert_keys, ("key", "alert_id", "digest"), key=("key",), returning="key"
)
insert_alerts = BulkInsert(
    alerts,
    ("alert_id", "received_at", "source", "status", "raw_data"),
    key=("alert_id",),
    fresh=True,
)
insert_work = BulkInsert(
    alert_work, ("alert_id", "step", "since", "rung_at"), key=("alert_id",), fresh=True
)
update_alerts = BulkUpdate(alerts, "alert_id", rows.ALERT_COLUMNS)
finish_alerts = BulkUpdate(
    alerts,
    "alert_id",
    ("risk_score", "status"),
    # an alert that was closed or decided on before stays so
    update={
        "status": f"CASE WHEN {{new}} = '{AlertStatus.CLOSED.value}' "
        f"OR alerts.status = '{AlertStatus.RECEIVED.value}' THEN {{new}} ELSE alerts.status END"
    },
)
insert_context = BulkInsert(
    alert_context,
    ("alert_id", "context_type", "context_data", "source", "confidence_score"),
    key=("alert_id", "context_type"),
    update={n: f"excluded.{n}" for n in ("context_data", "source", "confidence_score")},
    fresh=True,
)
insert_intel = BulkInsert(
    threat_intel,
    (
        "ioc",
        "ioc_type",
        "threat_level",
        "confidence_score",
        "sources",
        "first_seen",
        "last_seen",
        "detections",
        "tags",
        "raw_data",
    ),
    key=("ioc", "ioc_type"),
    update={
        **{
            name: f"excluded.{name}"
            for name in ("threat_level", "confidence_score", "sources", "tags", "raw_data")
        },
        "last_seen": "excluded.last_seen",
        "detections": "threat_intel.detections + excluded.detections",
    },
)
_TRIAGE_COLUMNS = (
    "alert_id",
    "triaged_at",
    "verdict",
    "probability",
    "impact",
    "risk_score",
    "risk_level",
    "confidence_score",
    "analysis_result",
    "recommended_actions",
    "evidence",
    "gaps",
    "model_version",
    "requires_human_review",
    "inputs",
)
insert_triage = BulkInsert(
    triage_results,
    _TRIAGE_COLUMNS,
    key=("alert_id",),
    update={name: f"excluded.{name}" for name in _TRIAGE_COLUMNS[1:]},
    fresh=True,
)
update_review = BulkUpdate(
    triage_results, "alert_id", ("human_reviewer", "human_review_notes", "reviewed_at")
)
add_count = BulkInsert(
    pipeline_counts,
    ("writer", "name", "count"),
    key=("writer", "name"),
    update={"count": "pipeline_counts.count + excluded.count"},
)
update_work = BulkUpdate(
    alert_work,
    "alert_id",
    ("step", "since", "rung_at", "attempts", "lease_until", "lease_owner", "gaps"),
)


def give_back_taken(connection: Connection, fresh: Sequence[NewAlert]) -> set[bytes]:
    """Keys of alerts whose chosen id is one that Tocsin gave to another alert; deletes them."""
    chosen = {a.alert_id: a.key for a in fresh if a.alert_id != a.fallback_id}
    taken = {chosen[found] for found in reading.existing(connection, list(chosen))}
    if taken:
        connection.execute(sa.delete(alert_keys).where(alert_keys.c.key.in_(taken)))
    return taken


def delete_work(connection: Connection, ids: Sequence[str]) -> None:
    """Nothing waits for these alerts any more."""
    if ids:
        some, listed = among(connection, "alert_id", ids)
        connection.exec_driver_sql(f"DELETE FROM alert_work WHERE {some}", listed)


def set_status(connection: Connection, ids: Sequence[str], status: AlertStatus) -> None:
    """Change where these alerts are in their life."""
    if ids:
        some, listed = among(connection, "alert_id", ids)
        mark = mark_of(connection)
        connection.exec_driver_sql(
            f"UPDATE alerts SET status = {mark} WHERE {some}", (status.value, *listed)
        )


def reopen(connection: Connection, alert_id: str) -> None:
    """Give a closed alert back to people."""
    change = sa.update(alerts).where(
        alerts.c.alert_id == alert_id, alerts.c.status == AlertStatus.CLOSED.value
    )
    connection.execute(change.values(status=AlertStatus.TRIAGED.value))


def claim(
    connection: Connection, step: str, ids: Sequence[str], owner: str, *, now: float, until: float
) -> int:
    """Lease the work rows of these alerts that wait for `step` and nobody holds; gives how many.

    Times are by the clock of leases. What another worker is claiming right now is not waited for.
    """
    mark = mark_of(connection)
    some, listed = among(connection, "alert_id", ids)
    free = (
        f"{some} AND step = {mark} AND parked_at IS NULL "
        f"AND lease_until NOT BETWEEN {mark} AND {mark} "
        f"AND not_before NOT BETWEEN {mark} AND {mark}"
    )
    if connection.dialect.name != "sqlite":
        free = f"alert_id IN (SELECT alert_id FROM alert_work WHERE {free} FOR UPDATE SKIP LOCKED)"
    return connection.exec_driver_sql(
        f"UPDATE alert_work SET lease_owner = {mark}, lease_until = {mark} WHERE {free}",
        (owner, until, *listed, step, *ahead(now), *ahead(now)),
    ).rowcount


def renew(
    connection: Connection, step: str, ids: Sequence[str], owner: str, *, until: float
) -> None:
    """Hold what this owner holds of these alerts until then, by the clock of leases."""
    mark, (some, listed) = mark_of(connection), among(connection, "alert_id", ids)
    connection.exec_driver_sql(
        f"UPDATE alert_work SET lease_until = {mark} "
        f"WHERE {some} AND step = {mark} AND lease_owner = {mark}",
        (until, *listed, step, owner),
    )


def release(connection: Connection, owner: str | None) -> None:
    """Give back the leases of an owner, or of everybody (None)."""
    change = sa.update(alert_work).where(alert_work.c.lease_until > 0)
    if owner is not None:
        change = change.where(alert_work.c.lease_owner == owner)
    connection.execute(change.values(lease_owner=None, lease_until=0.0))


def due(step: str, rung_before: float, limit: int, now: float) -> sa.Executable:
    """Marks as rung the alerts that wait for `step` and that nobody works on; gives their ids."""
    work = alert_work.c
    idle = sa.and_(
        work.step == step,
        work.parked_at.is_(None),
        sa.not_(work.lease_until.between(*ahead(now))),
        sa.not_(work.not_before.between(*ahead(now))),
        sa.or_(
            sa.not_(work.rung_at.between(rung_before, now + LONGEST_WAIT)),
            sa.and_(work.rung_at < work.not_before, work.not_before <= now),
        ),
    )
    some = sa.select(work.alert_id).where(idle).order_by(work.since)
    some = some.limit(limit).with_for_update(skip_locked=True)
    change = sa.update(alert_work).where(work.alert_id.in_(some.scalar_subquery()))
    return change.values(rung_at=now).returning(work.alert_id)


def count_attempt(
    connection: Connection,
    held: tuple[str, str, str],
    error: str,
    *,
    max_attempts: int,
    pause: float,
    now: float,
) -> bool:
    """Count a failed attempt; try again after a growing pause, or park.

    Args:
        connection: in whose transaction.
        held: the alert, the step it waits for, and the owner who must hold the lease.
        error: what went wrong.
        max_attempts: attempts after which it is parked.
        pause: seconds before the second attempt; doubles with each.
        now: by the clock of leases.

    Returns:
        Whether it was parked.
    """
    alert_id, step, owner = held
    row = sa.and_(
        alert_work.c.alert_id == alert_id,
        alert_work.c.step == step,
        alert_work.c.lease_owner == owner,
    )
    tried = connection.execute(sa.select(alert_work.c.attempts).where(row)).scalar()
    if tried is None:
        return False
    attempts = tried + 1
    wait = min(pause * 2.0 ** min(attempts - 1, MOST_DOUBLINGS), LONGEST_WAIT)
    last: bool = attempts >= max_attempts
    change = sa.update(alert_work).where(row)
    connection.execute(
        change.values(
            attempts=attempts,
            lease_owner=None,
            lease_until=0.0,
            not_before=now + wait,
            parked_at=now if last else None,
            error=error,
        )
    )
    return last


def unpark(connection: Connection, alert_id: str, now: float) -> str | None:
    """Give parked work its attempts back; gives the step it waits for, None if nothing is."""
    parked = sa.and_(alert_work.c.alert_id == alert_id, alert_work.c.parked_at.is_not(None))
    change = sa.update(alert_work).where(parked).returning(alert_work.c.step)
    fresh = {"parked_at": None, "attempts": 0, "not_before": 0.0, "rung_at": 0.0}
    step: str | None = connection.execute(change.values(since=now, **fresh)).scalar()
    return step


def forget(
    connection: Connection, ids: Sequence[str], follow_ups: Collection[str]
) -> tuple[list[str], int]:
    """Delete those of these alerts that are done; gives their ids and how many were there."""
    busy = sa.select(alert_work.c.alert_id).where(
        alert_work.c.alert_id.in_(ids), alert_work.c.step.not_in(follow_ups)
    )
    held = set(connection.execute(busy).scalars())
    free = [alert_id for alert_id in ids if alert_id not in held]
    for table in (alert_context, triage_results, alert_work):
        connection.execute(sa.delete(table).where(table.c.alert_id.in_(free)))
    gone = connection.execute(sa.delete(alerts).where(alerts.c.alert_id.in_(free)))
    return free, gone.rowcount
