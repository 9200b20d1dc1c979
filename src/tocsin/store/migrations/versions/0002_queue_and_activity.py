"""What lists look up by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BY_RISK = "ix_triage_results_risk_score_alert_id"


def upgrade() -> None:
    op.add_column("alerts", sa.Column("risk_score", sa.Float(), nullable=True))
    op.execute(
        "UPDATE alerts SET risk_score = (SELECT t.risk_score FROM triage_results t "
        "WHERE t.alert_id = alerts.alert_id) "
        "WHERE alert_id IN (SELECT alert_id FROM triage_results)"
    )
    triaged = sa.text("risk_score IS NOT NULL")
    op.create_index(
        "ix_alerts_queue",
        "alerts",
        ["status", "risk_score", "alert_id"],
        sqlite_where=triaged,
        postgresql_where=triaged,
    )
    op.create_index(
        "ix_alerts_kind", "alerts", ["source", "severity", "status", "received_at", "alert_id"]
    )
    ruled = sa.text("rule_id IS NOT NULL")
    op.create_index(
        "ix_alerts_rule",
        "alerts",
        [sa.text("substr(rule_id, 1, 128)"), "status", "received_at", "alert_id"],
        sqlite_where=ruled,
        postgresql_where=ruled,
    )
    op.drop_index(_BY_RISK, table_name="triage_results")


def downgrade() -> None:
    op.create_index(_BY_RISK, "triage_results", ["risk_score", "alert_id"])
    for name in ("ix_alerts_rule", "ix_alerts_kind", "ix_alerts_queue"):
        op.drop_index(name, table_name="alerts")
    with op.batch_alter_table("alerts") as table:
        table.drop_column("risk_score")
