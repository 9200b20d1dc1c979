"""What closes without a person."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, between, json_text, one_of

closing_policies = sa.Table(
    "closing_policies",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("mode", sa.String(8), nullable=False),
    sa.Column("rules", json_text(), nullable=False),
    sa.Column("seed", sa.String(64), nullable=False),
    sa.Column("bounds", json_text(), nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("reference", json_text(), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("tripped", sa.Boolean, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("enabled_at", Instant),
    one_of("mode", model.ClosingMode),
)

closing_state = sa.Table(
    "closing_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

closures = sa.Table(
    "closures",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("policy_version", sa.Integer, nullable=False),
    sa.Column("class", sa.String(128), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("closable", sa.Boolean, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("likeness", sa.String(16), nullable=False),
    sa.Column("reopened_at", Instant),
    sa.Column("reopened_by", sa.Text),
    one_of("action", model.ClosingAction),
    between("probability", 0, 1),
    sa.Index(None, "policy_version", "action", "at", "alert_id"),
)

closing_scores = sa.Table(
    "closing_scores",
    metadata,
    sa.Column("policy_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("class", sa.String(128), primary_key=True),
    sa.Column("hour", sa.String(13), primary_key=True),
    sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
