"""Decisions in full, and the models that are learned from them."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DISPOSITIONS = "'true_positive', 'benign_positive', 'false_positive', 'undetermined'"
STATUSES = "'received', 'triaged', 'folded', 'parked', 'closed'"
MODEL_STATUSES = "'challenger', 'champion', 'retired', 'rejected'"


def upgrade() -> None:
    with op.batch_alter_table("dispositions") as batch:
        batch.add_column(sa.Column("undone_by", sa.Text(), nullable=True))
        batch.add_column(sa.Column("stored_at", Instant(), nullable=True))
        batch.add_column(sa.Column("bulk_id", sa.String(length=36), nullable=True))
        batch.add_column(sa.Column("status_before", sa.String(length=16), nullable=True))
        batch.add_column(sa.Column("subjects", json_text(), nullable=True))
        batch.create_check_constraint(
            op.f("ck_dispositions_status_before"), f"status_before IN ({STATUSES})"
        )
    op.create_index(op.f("ix_dispositions_bulk_id"), "dispositions", ["bulk_id"], unique=False)
    op.create_table(
        "bulk_decisions",
        sa.Column("bulk_id", sa.String(length=36), nullable=False),
        sa.Column("disposition", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("filter", json_text(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            f"disposition IN ({DISPOSITIONS})", name=op.f("ck_bulk_decisions_disposition")
        ),
        sa.PrimaryKeyConstraint("bulk_id", name=op.f("pk_bulk_decisions")),
    )
    op.create_index(
        op.f("ix_bulk_decisions_decided_at"), "bulk_decisions", ["decided_at"], unique=False
    )
    op.create_table(
        "decision_counts",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=600), nullable=False),
        sa.Column("attacks", sa.Integer(), nullable=False),
        sa.Column("harmless", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_decision_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "models",
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("artifact", json_text(), nullable=False),
        sa.Column("card", json_text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint(f"status IN ({MODEL_STATUSES})", name=op.f("ck_models_status")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_models")),
    )
    op.create_table(
        "model_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_state")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def downgrade() -> None:
    op.drop_table("leases")
    op.drop_table("model_state")
    op.drop_table("models")
    op.drop_table("decision_counts")
    op.drop_index(op.f("ix_bulk_decisions_decided_at"), table_name="bulk_decisions")
    op.drop_table("bulk_decisions")
    op.drop_index(op.f("ix_dispositions_bulk_id"), table_name="dispositions")
    with op.batch_alter_table("dispositions") as batch:
        batch.drop_constraint(op.f("ck_dispositions_status_before"), type_="check")
        batch.drop_column("subjects")
        batch.drop_column("status_before")
        batch.drop_column("bulk_id")
        batch.drop_column("stored_at")
        batch.drop_column("undone_by")
