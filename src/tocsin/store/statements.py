"""The pipeline's statements; the hot ones are compiled once. Only `dossiers.py` runs them."""

import time
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus, Dossier
from tocsin.store import closures, rows
from tocsin.store.bulk import BulkInsert, BulkUpdate
from tocsin.store.tables import (
    alert_context,
    alert_keys,
    alert_work,
    alerts,
    pipeline_counts,
    threat_intel,
    triage_results,
)

insert_keys = BulkInsert(alert_keys, ("key", "alert_id", "digest"), key=("key",))
insert_new_keys = BulkInsert(
    alert_keys, ("key", "alert_id", "digest"), key=("key",), returning="key"
)
insert_alerts = BulkInsert(
    alerts, ("alert_id", "received_at", "source", "status", "raw_data"), key=("alert_id",)
)
insert_work = BulkInsert(alert_work, ("alert_id", "step", "since", "rung_at"), key=("alert_id",))
update_alerts = BulkUpdate(alerts, "alert_id", rows.ALERT_COLUMNS)
insert_context = BulkInsert(
    alert_context,
    ("alert_id", "context_type", "context_data", "source", "confidence_score"),
    key=("alert_id", "context_type"),
    update={n: f"excluded.{n}" for n in ("context_data", "source", "confidence_score")},
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
)
insert_triage = BulkInsert(
    triage_results,
    _TRIAGE_COLUMNS,
    key=("alert_id",),
    update={name: f"excluded.{name}" for name in _TRIAGE_COLUMNS[1:]},
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


def set_status(connection: Connection, ids: Sequence[str], status: AlertStatus) -> None:
    """Change where these alerts are in their life."""
    if ids:
        change = sa.update(alerts).where(alerts.c.alert_id.in_(ids))
        connection.execute(change.values(status=status.value))


def finish_alerts(connection: Connection, done: Sequence[Dossier], *, last: bool) -> None:
    """The status of alerts whose own row a chain of later steps does not write anew.

    An alert that a policy closes is closed at once; the steps after that leave it so.
    """
    set_status(connection, [d.alert_id for d in done if closures.is_closed(d)], AlertStatus.CLOSED)
    others = [d.alert_id for d in done if not closures.is_closed(d)] if last else []
    if others:
        received = AlertStatus.RECEIVED.value  # an alert that was closed before stays closed
        change = sa.update(alerts).where(alerts.c.alert_id.in_(others), alerts.c.status == received)
        connection.execute(change.values(status=AlertStatus.TRIAGED.value))


def reopen(connection: Connection, alert_id: str) -> bool:
    """Give a closed alert back; False when it is not closed."""
    change = sa.update(alerts).where(
        alerts.c.alert_id == alert_id, alerts.c.status == AlertStatus.CLOSED.value
    )
    return connection.execute(change.values(status=AlertStatus.TRIAGED.value)).rowcount == 1


def due(step: str, rung_before: float, limit: int) -> sa.Executable:
    """Marks as rung the alerts that wait for `step` and that nobody works on; gives their ids."""
    now = time.time()
    w = alert_work.c
    idle = sa.and_(
        w.step == step,
        w.parked_at.is_(None),
        w.lease_until <= now,
        w.not_before <= now,
        sa.or_(w.rung_at < rung_before, w.rung_at < w.not_before),
    )
    some = sa.select(w.alert_id).where(idle).order_by(w.since)
    some = some.limit(limit).with_for_update(skip_locked=True)
    change = sa.update(alert_work).where(w.alert_id.in_(some.scalar_subquery()))
    return change.values(rung_at=now).returning(w.alert_id)
