"""The first tables."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The audit trail only grows. Rows may go when their chain's head says so: retention writes that
# first, sealed. Whoever may change the tables can drop these; the hashes are what proves.
APPEND_ONLY = {
    "sqlite": (
        """
        CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
        BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END
        """,
        """
        CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
        WHEN OLD.sequence > coalesce(
            (SELECT pruned FROM audit_heads WHERE writer = OLD.writer), 0)
        BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF OLD.sequence <= (SELECT pruned FROM audit_heads WHERE writer = OLD.writer) THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION 'audit_logs is append-only';
        END $$
        """,
        """
        CREATE TRIGGER audit_logs_no_change BEFORE UPDATE OR DELETE ON audit_logs
        FOR EACH ROW EXECUTE FUNCTION audit_logs_append_only()
        """,
        """
        CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
        FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_append_only()
        """,
    ),
}


def upgrade() -> None:
    op.create_table(
        "alert_context",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("context_type", sa.String(length=16), nullable=False),
        sa.Column("context_data", json_text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("confidence_score", sa.Float(), nullable=False),
        sa.CheckConstraint(
            "context_type IN ('network', 'asset', 'user')",
            name=op.f("ck_alert_context_context_type"),
        ),
        sa.CheckConstraint(
            "confidence_score >= 0 AND confidence_score <= 1",
            name=op.f("ck_alert_context_confidence_score"),
        ),
        sa.PrimaryKeyConstraint("alert_id", "context_type", name=op.f("pk_alert_context")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_keys",
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alert_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_work",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("rung_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("not_before", sa.Float(), server_default="0", nullable=False),
        sa.Column("parked_at", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("gaps", json_text(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert_work")),
    )
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("event_time", Instant(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("alert_type", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("source_ip", sa.String(length=45), nullable=True),
        sa.Column("source_port", sa.Integer(), nullable=True),
        sa.Column("destination_ip", sa.String(length=45), nullable=True),
        sa.Column("destination_port", sa.Integer(), nullable=True),
        sa.Column("protocol", sa.Text(), nullable=True),
        sa.Column("user_name", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("asset_id", sa.Text(), nullable=True),
        sa.Column("host_name", sa.Text(), nullable=True),
        sa.Column("file_hash", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("dns_query", sa.Text(), nullable=True),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("rule_name", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("folded_into", sa.String(length=128), nullable=True),
        sa.Column("normalized", json_text(), nullable=True),
        sa.Column("raw_data", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "severity IN ('critical', 'high', 'medium', 'low', 'info')",
            name=op.f("ck_alerts_severity"),
        ),
        sa.CheckConstraint(
            "status IN ('received', 'triaged', 'folded', 'parked', 'closed')",
            name=op.f("ck_alerts_status"),
        ),
        sa.CheckConstraint(
            "destination_port >= 0 AND destination_port <= 65535",
            name=op.f("ck_alerts_destination_port"),
        ),
        sa.CheckConstraint(
            "source_port >= 0 AND source_port <= 65535", name=op.f("ck_alerts_source_port")
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alerts")),
    )
    op.create_index(
        op.f("ix_alerts_received_at_alert_id"), "alerts", ["received_at", "alert_id"], unique=False
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "assets",
        sa.Column("asset_id", sa.String(length=512), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=True),
        sa.Column("hostname_key", sa.String(length=512), nullable=True),
        sa.Column("hostname_short", sa.String(length=512), nullable=True),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("os", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("criticality", sa.String(length=16), nullable=True),
        sa.Column("exposed", sa.Boolean(), nullable=False),
        sa.Column("tags", json_text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "criticality IN ('critical', 'high', 'medium', 'low')",
            name=op.f("ck_assets_criticality"),
        ),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_assets")),
    )
    op.create_index(op.f("ix_assets_hostname_key"), "assets", ["hostname_key"], unique=False)
    op.create_index(op.f("ix_assets_hostname_short"), "assets", ["hostname_short"], unique=False)
    op.create_index(op.f("ix_assets_ip"), "assets", ["ip"], unique=False)
    op.create_table(
        "audit_logs",
        sa.Column("writer", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("logged_at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", json_text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("writer", "sequence", name=op.f("pk_audit_logs")),
    )
    op.create_index(op.f("ix_audit_logs_logged_at"), "audit_logs", ["logged_at"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("writer", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "dispositions",
        sa.Column("disposition_id", sa.String(length=36), nullable=False),
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("disposition", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "disposition IN ('true_positive', 'benign_positive', 'false_positive', 'undetermined')",
            name=op.f("ck_dispositions_disposition"),
        ),
        sa.PrimaryKeyConstraint("disposition_id", name=op.f("pk_dispositions")),
    )
    op.create_index(op.f("ix_dispositions_alert_id"), "dispositions", ["alert_id"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "severity IN ('critical', 'high', 'medium', 'low', 'info')",
            name=op.f("ck_incidents_severity"),
        ),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_incidents_status")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
    )
    op.create_table(
        "indicator_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_indicator_state")),
    )
    op.create_table(
        "indicators",
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=2048), nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("threat_level", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("tlp", sa.String(length=16), nullable=False),
        sa.Column("tags", json_text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("first_seen", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "threat_level IN ('critical', 'high', 'medium', 'low', 'unknown')",
            name=op.f("ck_indicators_threat_level"),
        ),
        sa.CheckConstraint(
            "tlp IN ('clear', 'green', 'amber', 'amber+strict', 'red')",
            name=op.f("ck_indicators_tlp"),
        ),
        sa.CheckConstraint(
            "type IN ('ip', 'cidr', 'domain', 'url', 'hash', 'email')",
            name=op.f("ck_indicators_type"),
        ),
        sa.CheckConstraint(
            "confidence >= 0 AND confidence <= 1", name=op.f("ck_indicators_confidence")
        ),
        sa.PrimaryKeyConstraint("type", "value", "source", name=op.f("pk_indicators")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pipeline_counts",
        sa.Column("writer", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "name", name=op.f("pk_pipeline_counts")),
    )
    op.create_table(
        "prevalence",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=512), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "day", name=op.f("pk_prevalence")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "remediation_actions",
        sa.Column("action_id", sa.String(length=36), nullable=False),
        sa.Column("alert_id", sa.String(length=128), nullable=True),
        sa.Column("incident_id", sa.String(length=36), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("proposed_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'rejected', 'executed', 'failed')",
            name=op.f("ck_remediation_actions_status"),
        ),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_remediation_actions")),
    )
    op.create_index(
        op.f("ix_remediation_actions_alert_id"), "remediation_actions", ["alert_id"], unique=False
    )
    op.create_index(
        op.f("ix_remediation_actions_incident_id"),
        "remediation_actions",
        ["incident_id"],
        unique=False,
    )
    op.create_table(
        "threat_intel",
        sa.Column("ioc", sa.String(length=2048), nullable=False),
        sa.Column("ioc_type", sa.String(length=16), nullable=False),
        sa.Column("threat_level", sa.String(length=16), nullable=False),
        sa.Column("confidence_score", sa.Float(), nullable=False),
        sa.Column("sources", json_text(), nullable=False),
        sa.Column("first_seen", Instant(), nullable=False),
        sa.Column("last_seen", Instant(), nullable=False),
        sa.Column("detections", sa.Integer(), nullable=False),
        sa.Column("tags", json_text(), nullable=False),
        sa.Column("raw_data", json_text(), nullable=False),
        sa.CheckConstraint(
            "ioc_type IN ('ip', 'cidr', 'domain', 'url', 'hash', 'email')",
            name=op.f("ck_threat_intel_ioc_type"),
        ),
        sa.CheckConstraint(
            "threat_level IN ('critical', 'high', 'medium', 'low', 'unknown')",
            name=op.f("ck_threat_intel_threat_level"),
        ),
        sa.CheckConstraint(
            "confidence_score >= 0 AND confidence_score <= 1",
            name=op.f("ck_threat_intel_confidence_score"),
        ),
        sa.PrimaryKeyConstraint("ioc", "ioc_type", name=op.f("pk_threat_intel")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "triage_results",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("triaged_at", Instant(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("impact", sa.Float(), nullable=False),
        sa.Column("risk_score", sa.Float(), nullable=False),
        sa.Column("risk_level", sa.String(length=16), nullable=False),
        sa.Column("confidence_score", sa.Float(), nullable=False),
        sa.Column("analysis_result", sa.Text(), nullable=False),
        sa.Column("recommended_actions", json_text(), nullable=False),
        sa.Column("evidence", json_text(), nullable=False),
        sa.Column("gaps", json_text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("requires_human_review", sa.Boolean(), nullable=False),
        sa.Column("human_reviewer", sa.Text(), nullable=True),
        sa.Column("human_review_notes", sa.Text(), nullable=True),
        sa.Column("reviewed_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "risk_level IN ('critical', 'high', 'medium', 'low', 'info')",
            name=op.f("ck_triage_results_risk_level"),
        ),
        sa.CheckConstraint(
            "verdict IN ('true_positive', 'benign_positive', 'false_positive', 'undetermined')",
            name=op.f("ck_triage_results_verdict"),
        ),
        sa.CheckConstraint(
            "confidence_score >= 0 AND confidence_score <= 1",
            name=op.f("ck_triage_results_confidence_score"),
        ),
        sa.CheckConstraint("impact >= 0 AND impact <= 1", name=op.f("ck_triage_results_impact")),
        sa.CheckConstraint(
            "probability >= 0 AND probability <= 1", name=op.f("ck_triage_results_probability")
        ),
        sa.CheckConstraint(
            "risk_score >= 0 AND risk_score <= 100", name=op.f("ck_triage_results_risk_score")
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_triage_results")),
    )
    op.create_index(
        op.f("ix_triage_results_risk_score_alert_id"),
        "triage_results",
        ["risk_score", "alert_id"],
        unique=False,
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.String(length=512), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=True),
        sa.Column("user_name_key", sa.String(length=512), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.String(length=512), nullable=True),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("manager", sa.Text(), nullable=True),
        sa.Column("privileged", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("tags", json_text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
    )
    op.create_index(op.f("ix_users_email_key"), "users", ["email_key"], unique=False)
    op.create_index(op.f("ix_users_user_name_key"), "users", ["user_name_key"], unique=False)
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_index(op.f("ix_users_user_name_key"), table_name="users")
    op.drop_index(op.f("ix_users_email_key"), table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_triage_results_risk_score_alert_id"), table_name="triage_results")
    op.drop_table("triage_results")
    op.drop_table("threat_intel")
    op.drop_index(op.f("ix_remediation_actions_incident_id"), table_name="remediation_actions")
    op.drop_index(op.f("ix_remediation_actions_alert_id"), table_name="remediation_actions")
    op.drop_table("remediation_actions")
    op.drop_table("prevalence")
    op.drop_table("pipeline_counts")
    op.drop_table("indicators")
    op.drop_table("indicator_state")
    op.drop_table("incidents")
    op.drop_index(op.f("ix_dispositions_alert_id"), table_name="dispositions")
    op.drop_table("dispositions")
    op.drop_table("audit_heads")
    op.drop_index(op.f("ix_audit_logs_logged_at"), table_name="audit_logs")
    op.drop_table("audit_logs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_logs_append_only()")
    op.drop_index(op.f("ix_assets_ip"), table_name="assets")
    op.drop_index(op.f("ix_assets_hostname_short"), table_name="assets")
    op.drop_index(op.f("ix_assets_hostname_key"), table_name="assets")
    op.drop_table("assets")
    op.drop_table("api_keys")
    op.drop_index(op.f("ix_alerts_received_at_alert_id"), table_name="alerts")
    op.drop_table("alerts")
    op.drop_table("alert_work")
    op.drop_table("alert_keys")
    op.drop_table("alert_context")
