"""What follows a verdict: incidents, proposed actions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def incident_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("alerts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_at", Instant(), nullable=True),
        sa.Column("last_at", Instant(), nullable=True),
        sa.Column("merged_into", sa.String(length=36), nullable=True),
        sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def action_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("natural_key", sa.String(length=64), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("phase", sa.String(length=32), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("evidence", json_text(), nullable=True),
        sa.Column("undo", sa.Text(), nullable=True),
        sa.Column("effort", sa.Text(), nullable=True),
        sa.Column("blast_radius", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
    )


def upgrade() -> None:
    with op.batch_alter_table("incidents") as batch:
        for column in incident_columns():
            batch.add_column(column)
    op.create_index(
        op.f("ix_incidents_updated_at_incident_id"), "incidents", ["updated_at", "incident_id"]
    )
    with op.batch_alter_table("remediation_actions") as batch:
        for column in action_columns():
            batch.add_column(column)
    op.create_index(
        op.f("ix_remediation_actions_natural_key"),
        "remediation_actions",
        ["natural_key"],
        unique=True,
    )
    op.create_index(
        op.f("ix_remediation_actions_proposed_at_action_id"),
        "remediation_actions",
        ["proposed_at", "action_id"],
    )
    op.create_table(
        "alert_entities",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("beside", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "kind IN ('host', 'user', 'ip', 'hash', 'domain')", name=op.f("ck_alert_entities_kind")
        ),
        sa.PrimaryKeyConstraint("kind", "value", "at", "alert_id", name=op.f("pk_alert_entities")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_alert_entities_alert_id"), "alert_entities", ["alert_id"])
    op.create_table(
        "incident_alerts",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("reasons", json_text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("removed_by", sa.Text(), nullable=True),
        sa.Column("removed_at", Instant(), nullable=True),
        sa.CheckConstraint("score >= 0 AND score <= 1", name=op.f("ck_incident_alerts_score")),
        sa.PrimaryKeyConstraint("incident_id", "alert_id", name=op.f("pk_incident_alerts")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_incident_alerts_alert_id"),
        "incident_alerts",
        ["alert_id"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "incident_changes",
        sa.Column("change_id", sa.String(length=36), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("other_id", sa.String(length=36), nullable=True),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", json_text(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "action IN ('split', 'merge', 'add', 'remove', 'close', 'reopen', 'assign', 'undo')",
            name=op.f("ck_incident_changes_action"),
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_incident_changes")),
    )
    op.create_index(op.f("ix_incident_changes_incident_id"), "incident_changes", ["incident_id"])
    op.create_index(op.f("ix_incident_changes_other_id"), "incident_changes", ["other_id"])


def downgrade() -> None:
    op.drop_table("incident_changes")
    op.drop_table("incident_alerts")
    op.drop_table("alert_entities")
    op.drop_index(
        op.f("ix_remediation_actions_proposed_at_action_id"), table_name="remediation_actions"
    )
    op.drop_index(op.f("ix_remediation_actions_natural_key"), table_name="remediation_actions")
    with op.batch_alter_table("remediation_actions") as batch:
        for column in reversed(action_columns()):
            batch.drop_column(column.name)
    op.drop_index(op.f("ix_incidents_updated_at_incident_id"), table_name="incidents")
    with op.batch_alter_table("incidents") as batch:
        for column in reversed(incident_columns()):
            batch.drop_column(column.name)
