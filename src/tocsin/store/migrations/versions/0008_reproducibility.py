"""What a verdict was made from, kept with it."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import json_text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("triage_results", sa.Column("inputs", json_text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("triage_results") as batch:
        batch.drop_column("inputs")
