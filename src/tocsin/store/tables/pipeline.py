"""The alert, the work that waits for it, and what the pipeline found."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, between, json_text, one_of

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("event_time", Instant),
    sa.Column("source", sa.Text),
    sa.Column("alert_type", sa.Text),
    sa.Column("severity", sa.String(16)),
    sa.Column("title", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("source_ip", sa.String(45)),
    sa.Column("source_port", sa.Integer),
    sa.Column("destination_ip", sa.String(45)),
    sa.Column("destination_port", sa.Integer),
    sa.Column("protocol", sa.Text),
    sa.Column("user_name", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("asset_id", sa.Text),
    sa.Column("host_name", sa.Text),
    sa.Column("file_hash", sa.Text),
    sa.Column("file_name", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("dns_query", sa.Text),
    sa.Column("rule_id", sa.Text),
    sa.Column("rule_name", sa.Text),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("risk_score", sa.Float),  # that of triage_results, where an index can hold both
    sa.Column("assigned_to", sa.Text),
    sa.Column("folded_into", sa.String(128)),
    sa.Column("normalized", json_text()),
    sa.Column("raw_data", sa.Text, nullable=False),
    one_of("severity", model.Severity),
    one_of("status", model.AlertStatus),
    between("source_port", 0, 65535),
    between("destination_port", 0, 65535),
    sa.Index(None, "received_at", "alert_id"),
    sa.Index(
        "ix_alerts_queue",
        "status",
        "risk_score",
        "alert_id",
        sqlite_where=sa.text("risk_score IS NOT NULL"),
        postgresql_where=sa.text("risk_score IS NOT NULL"),
    ),
    sa.Index("ix_alerts_kind", "source", "severity", "status", "received_at", "alert_id"),
    sa.Index(
        "ix_alerts_rule",
        sa.text("substr(rule_id, 1, 128)"),
        "status",
        "received_at",
        "alert_id",
        sqlite_where=sa.text("rule_id IS NOT NULL"),
        postgresql_where=sa.text("rule_id IS NOT NULL"),
    ),
)

alert_keys = sa.Table(
    "alert_keys",
    metadata,
    sa.Column("key", sa.LargeBinary(16), primary_key=True),
    sa.Column("alert_id", sa.String(128), nullable=False),
    sa.Column("digest", sa.LargeBinary(16), nullable=False),
    sqlite_with_rowid=False,
)

alert_work = sa.Table(
    "alert_work",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("rung_at", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("not_before", sa.Float, nullable=False, server_default="0"),
    sa.Column("parked_at", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("gaps", json_text()),
)

alert_context = sa.Table(
    "alert_context",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("context_type", sa.String(16), primary_key=True),
    sa.Column("context_data", json_text(), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("confidence_score", sa.Float, nullable=False),
    one_of("context_type", model.ContextType),
    between("confidence_score", 0, 1),
    sqlite_with_rowid=False,
)

threat_intel = sa.Table(
    "threat_intel",
    metadata,
    sa.Column("ioc", sa.String(2048), primary_key=True),
    sa.Column("ioc_type", sa.String(16), primary_key=True),
    sa.Column("threat_level", sa.String(16), nullable=False),
    sa.Column("confidence_score", sa.Float, nullable=False),
    sa.Column("sources", json_text(), nullable=False),
    sa.Column("first_seen", Instant, nullable=False),
    sa.Column("last_seen", Instant, nullable=False),
    sa.Column("detections", sa.Integer, nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("raw_data", json_text(), nullable=False),
    one_of("ioc_type", model.ObservableType),
    one_of("threat_level", model.ThreatLevel),
    between("confidence_score", 0, 1),
    sqlite_with_rowid=False,
)

triage_results = sa.Table(
    "triage_results",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("triaged_at", Instant, nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("impact", sa.Float, nullable=False),
    sa.Column("risk_score", sa.Float, nullable=False),
    sa.Column("risk_level", sa.String(16), nullable=False),
    sa.Column("confidence_score", sa.Float, nullable=False),
    sa.Column("analysis_result", sa.Text, nullable=False),
    sa.Column("recommended_actions", json_text(), nullable=False),
    sa.Column("evidence", json_text(), nullable=False),
    sa.Column("gaps", json_text(), nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("requires_human_review", sa.Boolean, nullable=False),
    sa.Column("human_reviewer", sa.Text),
    sa.Column("human_review_notes", sa.Text),
    sa.Column("reviewed_at", Instant),
    sa.Column("inputs", json_text()),  # what triage read that changes afterwards
    one_of("verdict", model.Disposition),
    one_of("risk_level", model.RiskLevel),
    between("probability", 0, 1),
    between("impact", 0, 1),
    between("risk_score", 0, 100),
    between("confidence_score", 0, 1),
)

prevalence = sa.Table(
    "prevalence",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(512), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

pipeline_counts = sa.Table(
    "pipeline_counts",
    metadata,
    sa.Column("writer", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)
