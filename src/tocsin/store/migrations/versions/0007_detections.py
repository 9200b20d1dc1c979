"""What is known of detections before they fire."""

import sqlalchemy as sa
from alembic import op

from tocsin.store.types import Instant, json_text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "detections",
        sa.Column("catalogue", sa.String(length=64), nullable=False),
        sa.Column("detection_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=True),
        sa.Column("risk_score", sa.Float(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("techniques", json_text(), nullable=False),
        sa.Column("false_positives", json_text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "level IN ('critical', 'high', 'medium', 'low', 'info')",
            name=op.f("ck_detections_level"),
        ),
        sa.CheckConstraint(
            "kind IN ('rule', 'ttp', 'anomaly', 'hunting', 'correlation')",
            name=op.f("ck_detections_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('stable', 'test', 'experimental', 'deprecated', 'unsupported')",
            name=op.f("ck_detections_status"),
        ),
        sa.CheckConstraint(
            "risk_score >= 0 AND risk_score <= 100", name=op.f("ck_detections_risk_score")
        ),
        sa.PrimaryKeyConstraint("catalogue", "detection_id", name=op.f("pk_detections")),
    )
    op.create_table(
        "detection_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_detection_state")),
    )


def downgrade() -> None:
    op.drop_table("detection_state")
    op.drop_table("detections")
