"""The tables: the nine of the contract, and those that the pipeline needs to keep its promises.

Column names are the contract with everybody who queries the database. Enumerations are enforced by
CHECK constraints generated from `model/words.py`. JSON is kept as text on SQLite and as `json`
(which keeps the text) on PostgreSQL; instants as fixed-width UTC text on SQLite, `timestamptz` on
PostgreSQL.
"""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.types import Instant, between, json_text, one_of

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


# --- the alert and what the pipeline found ----------------------------------------

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

# --- what context and intelligence ask ----------------------------------------

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("asset_id", sa.String(512), primary_key=True),
    sa.Column("hostname", sa.Text),
    sa.Column("hostname_key", sa.String(512), index=True),
    sa.Column("hostname_short", sa.String(512), index=True),
    sa.Column("ip", sa.String(45), index=True),
    sa.Column("type", sa.Text),
    sa.Column("os", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("department", sa.Text),
    sa.Column("location", sa.Text),
    sa.Column("environment", sa.Text),
    sa.Column("criticality", sa.String(16)),
    sa.Column("exposed", sa.Boolean, nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("criticality", model.Criticality),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.String(512), primary_key=True),
    sa.Column("user_name", sa.Text),
    sa.Column("user_name_key", sa.String(512), index=True),
    sa.Column("email", sa.Text),
    sa.Column("email_key", sa.String(512), index=True),
    sa.Column("full_name", sa.Text),
    sa.Column("department", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("manager", sa.Text),
    sa.Column("privileged", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

indicators = sa.Table(
    "indicators",
    metadata,
    sa.Column("type", sa.String(16), primary_key=True),
    sa.Column("value", sa.String(2048), primary_key=True),
    sa.Column("source", sa.String(256), primary_key=True),
    sa.Column("threat_level", sa.String(16), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("tlp", sa.String(16), nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("first_seen", Instant),
    sa.Column("expires_at", Instant),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("type", model.ObservableType),
    one_of("threat_level", model.ThreatLevel),
    one_of("tlp", model.Tlp),
    between("confidence", 0, 1),
    sqlite_with_rowid=False,
)

indicator_state = sa.Table(
    "indicator_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

detections = sa.Table(
    "detections",
    metadata,
    sa.Column("catalogue", sa.String(64), primary_key=True),
    sa.Column("detection_id", sa.String(128), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("level", sa.String(16)),
    sa.Column("risk_score", sa.Float),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16)),
    sa.Column("techniques", json_text(), nullable=False),
    sa.Column("false_positives", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("level", model.Severity),
    one_of("kind", model.DetectionKind),
    one_of("status", model.DetectionStatus),
    between("risk_score", 0, 100),
)

detection_state = sa.Table(
    "detection_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

# --- what people decide, and what follows ----------------------------------------

dispositions = sa.Table(
    "dispositions",
    metadata,
    sa.Column("disposition_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), nullable=False, index=True),
    sa.Column("disposition", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.Text),
    sa.Column("stored_at", Instant),  # later than decided_at for what was imported
    sa.Column("bulk_id", sa.String(36), index=True),
    sa.Column("status_before", sa.String(16)),  # of the alert, before anybody decided
    sa.Column("subjects", json_text()),  # what decision_counts counted it for
    one_of("disposition", model.Disposition),
    one_of("status_before", model.AlertStatus),
)

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("severity", sa.String(16)),
    sa.Column("summary", sa.Text),
    sa.Column("assigned_to", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("alerts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("first_at", Instant),
    sa.Column("last_at", Instant),
    sa.Column("merged_into", sa.String(36)),
    sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
    one_of("status", model.IncidentStatus),
    one_of("severity", model.Severity),
    sa.Index(None, "updated_at", "incident_id"),
)

remediation_actions = sa.Table(
    "remediation_actions",
    metadata,
    sa.Column("action_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), index=True),
    sa.Column("incident_id", sa.String(36), index=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("proposed_at", Instant, nullable=False),
    sa.Column("decided_at", Instant),
    sa.Column("decided_by", sa.Text),
    sa.Column("natural_key", sa.String(64), index=True, unique=True),
    sa.Column("title", sa.Text),
    sa.Column("phase", sa.String(32)),
    sa.Column("priority", sa.Integer),
    sa.Column("evidence", json_text()),
    sa.Column("undo", sa.Text),
    sa.Column("effort", sa.Text),
    sa.Column("blast_radius", sa.Text),
    sa.Column("digest", sa.String(64)),
    sa.Column("decision_reason", sa.Text),
    sa.Column("expires_at", Instant),
    one_of("status", model.RemediationStatus),
    sa.Index(None, "proposed_at", "action_id"),
)

alert_entities = sa.Table(
    "alert_entities",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("value", sa.String(256), primary_key=True),
    sa.Column("at", Instant, primary_key=True),
    sa.Column("alert_id", sa.String(128), primary_key=True, index=True),
    sa.Column("stage", sa.SmallInteger, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("beside", sa.String(64), nullable=False),
    one_of("kind", model.EntityKind),
    sqlite_with_rowid=False,
)

incident_alerts = sa.Table(
    "incident_alerts",
    metadata,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("score", sa.Float),
    sa.Column("reasons", json_text(), nullable=False),
    sa.Column("added_by", sa.Text, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
    sa.Column("removed_by", sa.Text),
    sa.Column("removed_at", Instant),
    between("score", 0, 1),
    sa.Index(  # an alert is in one incident at a time
        None,
        "alert_id",
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    ),
    sqlite_with_rowid=False,
)

incident_changes = sa.Table(
    "incident_changes",
    metadata,
    sa.Column("change_id", sa.String(36), primary_key=True),
    sa.Column("incident_id", sa.String(36), nullable=False, index=True),
    sa.Column("other_id", sa.String(36), index=True),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", json_text(), nullable=False),
    sa.Column("undone_at", Instant),
    one_of("action", model.IncidentAction),
)

# --- what is learned from decisions ----------------------------------------

bulk_decisions = sa.Table(
    "bulk_decisions",
    metadata,
    sa.Column("bulk_id", sa.String(36), primary_key=True),
    sa.Column("disposition", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("filter", json_text(), nullable=False),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("matched", sa.Integer, nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.Text),
    one_of("disposition", model.Disposition),
    sa.Index(None, "decided_at"),
)

decision_counts = sa.Table(
    "decision_counts",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(600), primary_key=True),
    sa.Column("attacks", sa.Integer, nullable=False),
    sa.Column("harmless", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("version", sa.String(128), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("artifact", json_text(), nullable=False),
    sa.Column("card", json_text(), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    one_of("status", model.ModelStatus),
)

model_state = sa.Table(
    "model_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64)),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("done_at", sa.Float, nullable=False),
)

# --- what closes without a person ----------------------------------------

closing_policies = sa.Table(
    "closing_policies",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("mode", sa.String(8), nullable=False),
    sa.Column("rules", json_text(), nullable=False),
    sa.Column("seed", sa.String(64), nullable=False),
    sa.Column("bounds", json_text(), nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("reference", json_text(), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("tripped", sa.Boolean, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("enabled_at", Instant),
    one_of("mode", model.ClosingMode),
)

closing_state = sa.Table(
    "closing_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

closures = sa.Table(
    "closures",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("policy_version", sa.Integer, nullable=False),
    sa.Column("class", sa.String(128), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("closable", sa.Boolean, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("likeness", sa.String(16), nullable=False),
    sa.Column("reopened_at", Instant),
    sa.Column("reopened_by", sa.Text),
    one_of("action", model.ClosingAction),
    between("probability", 0, 1),
    sa.Index(None, "policy_version", "action", "at", "alert_id"),
)

closing_scores = sa.Table(
    "closing_scores",
    metadata,
    sa.Column("policy_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("class", sa.String(128), primary_key=True),
    sa.Column("hour", sa.String(13), primary_key=True),
    sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# --- access and audit ----------------------------------------

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
)

audit_logs = sa.Table(
    "audit_logs",
    metadata,
    sa.Column("writer", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("logged_at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", json_text(), nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index(None, "logged_at"),
)

audit_heads = sa.Table(
    "audit_heads",
    metadata,
    sa.Column("writer", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("pruned", sa.BigInteger, nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
)

# --- language models: what they cost, what they may, what they said -------------------------

model_usage = sa.Table(
    "model_usage",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("provider", sa.String(64), primary_key=True),
    sa.Column("purpose", sa.String(64), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("cached", sa.BigInteger, nullable=False),
    sa.Column("estimated", sa.BigInteger, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
)

model_budgets = sa.Table(
    "model_budgets",
    metadata,
    sa.Column("scope", sa.String(160), primary_key=True),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

model_replies = sa.Table(
    "model_replies",
    metadata,
    sa.Column("request_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("kept_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

# --- second opinions ----------------------------------------------------------------------------

opinions = sa.Table(
    "opinions",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("not_before", sa.Float, nullable=False, server_default="0"),
    sa.Column("model", sa.Text),
    sa.Column("assessment", sa.String(20)),
    sa.Column("risk_before", sa.Float),
    sa.Column("risk_after", sa.Float),
    sa.Column("review_before", sa.Boolean),
    sa.Column("review_after", sa.Boolean),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cost_usd", sa.Float, nullable=False, server_default="0"),
    sa.Column("reply", json_text()),
    sa.Column("ledger", json_text()),
    sa.Column("pseudonyms", json_text()),
    sa.Column("error", sa.Text),
    one_of("status", model.OpinionStatus),
    one_of("assessment", model.Disposition),
    between("value", 0, 1),
    sa.CheckConstraint("risk_after >= risk_before", name="risk_never_falls"),
    sa.Index(None, "status", "requested_at"),
)
