"""Second opinions of language models, and what they cost."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_accounts()
    create_opinions()


def downgrade() -> None:
    drop_opinions()
    drop_accounts()


def create_accounts() -> None:
    """What models cost, what they may, and what they said."""
    op.create_table(
        "model_usage",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("cached", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "provider", "purpose", name=op.f("pk_model_usage")),
    )
    op.create_table(
        "model_budgets",
        sa.Column("scope", sa.String(length=160), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_model_budgets")),
    )
    op.create_table(
        "model_replies",
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("kept_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("request_hash", name=op.f("pk_model_replies")),
    )
    op.create_index(op.f("ix_model_replies_expires_at"), "model_replies", ["expires_at"])


def drop_accounts() -> None:
    op.drop_table("model_replies")
    op.drop_table("model_budgets")
    op.drop_table("model_usage")


def create_opinions() -> None:
    """Second opinions: their queue and what they said."""
    op.create_table(
        "opinions",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=64)),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("not_before", sa.Float(), server_default="0", nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("assessment", sa.String(length=20)),
        sa.Column("risk_before", sa.Float()),
        sa.Column("risk_after", sa.Float()),
        sa.Column("review_before", sa.Boolean()),
        sa.Column("review_after", sa.Boolean()),
        sa.Column("prompt_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost_usd", sa.Float(), server_default="0", nullable=False),
        sa.Column("reply", json_text()),
        sa.Column("ledger", json_text()),
        sa.Column("pseudonyms", json_text()),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint(
            "status IN ('pending', 'done', 'failed', 'skipped', 'budget')",
            name=op.f("ck_opinions_status"),
        ),
        sa.CheckConstraint(
            "assessment IN ('true_positive', 'benign_positive', 'false_positive', 'undetermined')",
            name=op.f("ck_opinions_assessment"),
        ),
        sa.CheckConstraint("value >= 0 AND value <= 1", name=op.f("ck_opinions_value")),
        sa.CheckConstraint("risk_after >= risk_before", name=op.f("ck_opinions_risk_never_falls")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_opinions")),
    )
    op.create_index(op.f("ix_opinions_status_requested_at"), "opinions", ["status", "requested_at"])


def drop_opinions() -> None:
    op.drop_table("opinions")
