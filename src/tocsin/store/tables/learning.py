"""What people decide, and what is learned from it."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, json_text, one_of

dispositions = sa.Table(
    "dispositions",
    metadata,
    sa.Column("disposition_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), nullable=False, index=True),
    sa.Column("disposition", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.Text),
    sa.Column("stored_at", Instant),  # later than decided_at for what was imported
    sa.Column("bulk_id", sa.String(36), index=True),
    sa.Column("status_before", sa.String(16)),  # of the alert, before anybody decided
    sa.Column("subjects", json_text()),  # what decision_counts counted it for
    one_of("disposition", model.Disposition),
    one_of("status_before", model.AlertStatus),
)

bulk_decisions = sa.Table(
    "bulk_decisions",
    metadata,
    sa.Column("bulk_id", sa.String(36), primary_key=True),
    sa.Column("disposition", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("filter", json_text(), nullable=False),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("matched", sa.Integer, nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.Text),
    one_of("disposition", model.Disposition),
    sa.Index(None, "decided_at"),
)

decision_counts = sa.Table(
    "decision_counts",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(600), primary_key=True),
    sa.Column("attacks", sa.Integer, nullable=False),
    sa.Column("harmless", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("version", sa.String(128), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("artifact", json_text(), nullable=False),
    sa.Column("card", json_text(), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    one_of("status", model.ModelStatus),
)

model_state = sa.Table(
    "model_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64)),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("done_at", sa.Float, nullable=False),
)
