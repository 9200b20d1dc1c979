"""What an incident's words are made from, kept with it."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import json_text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("gist", json_text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("incidents") as batch:
        batch.drop_column("gist")
