"""Second opinions of language models, and what they cost."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_accounts()


def downgrade() -> None:
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
