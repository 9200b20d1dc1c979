"""Policies that close alerts, and what they closed."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "closing_policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("rules", json_text(), nullable=False),
        sa.Column("seed", sa.String(length=64), nullable=False),
        sa.Column("bounds", json_text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("reference", json_text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tripped", sa.Boolean(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("enabled_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "mode IN ('off', 'shadow', 'on')", name=op.f("ck_closing_policies_mode")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_closing_policies")),
    )
    state = op.create_table(
        "closing_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closing_state")),
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0, "version": 0}])
    op.create_table(
        "closures",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("class", sa.String(length=128), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("closable", sa.Boolean(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("likeness", sa.String(length=16), nullable=False),
        sa.Column("reopened_at", Instant(), nullable=True),
        sa.Column("reopened_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "action IN ('left', 'sampled', 'would_close', 'closed')",
            name=op.f("ck_closures_action"),
        ),
        sa.CheckConstraint(
            "probability >= 0 AND probability <= 1", name=op.f("ck_closures_probability")
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_closures")),
    )
    op.create_index(
        op.f("ix_closures_policy_version_action_at_alert_id"),
        "closures",
        ["policy_version", "action", "at", "alert_id"],
        unique=False,
    )
    op.create_table(
        "closing_scores",
        sa.Column("policy_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("class", sa.String(length=128), nullable=False),
        sa.Column("hour", sa.String(length=13), nullable=False),
        sa.Column("bin", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "policy_version", "class", "hour", "bin", name=op.f("pk_closing_scores")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("closing_scores")
    op.drop_index(op.f("ix_closures_policy_version_action_at_alert_id"), table_name="closures")
    op.drop_table("closures")
    op.drop_table("closing_state")
    op.drop_table("closing_policies")
