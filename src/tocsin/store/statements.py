"""The pipeline's hot statements, compiled once; only `dossiers.py` runs them."""

from tocsin.store import rows
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
    alerts,
    ("alert_id", "received_at", "source", "status", "raw_data"),
    key=("alert_id",),
    fresh=True,
)
insert_work = BulkInsert(
    alert_work, ("alert_id", "step", "since", "rung_at"), key=("alert_id",), fresh=True
)
update_alerts = BulkUpdate(alerts, "alert_id", rows.ALERT_COLUMNS)
update_queue = BulkUpdate(alerts, "alert_id", ("status", "risk_score"))
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
)
insert_triage = BulkInsert(
    triage_results,
    _TRIAGE_COLUMNS,
    key=("alert_id",),
    update={name: f"excluded.{name}" for name in _TRIAGE_COLUMNS[1:]},
    fresh=True,
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
