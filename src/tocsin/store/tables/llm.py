"""Language models: what they cost, what they may, what they said; second opinions."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, between, json_text, one_of

model_usage = sa.Table(
    "model_usage",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("provider", sa.String(64), primary_key=True),
    sa.Column("purpose", sa.String(64), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("cached", sa.BigInteger, nullable=False),
    sa.Column("estimated", sa.BigInteger, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
)

model_budgets = sa.Table(
    "model_budgets",
    metadata,
    sa.Column("scope", sa.String(160), primary_key=True),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

model_replies = sa.Table(
    "model_replies",
    metadata,
    sa.Column("request_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("kept_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

opinions = sa.Table(
    "opinions",
    metadata,
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("not_before", sa.Float, nullable=False, server_default="0"),
    sa.Column("model", sa.Text),
    sa.Column("assessment", sa.String(20)),
    sa.Column("risk_before", sa.Float),
    sa.Column("risk_after", sa.Float),
    sa.Column("review_before", sa.Boolean),
    sa.Column("review_after", sa.Boolean),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cost_usd", sa.Float, nullable=False, server_default="0"),
    sa.Column("reply", json_text()),
    sa.Column("ledger", json_text()),
    sa.Column("pseudonyms", json_text()),
    sa.Column("error", sa.Text),
    one_of("status", model.OpinionStatus),
    one_of("assessment", model.Disposition),
    between("value", 0, 1),
    sa.CheckConstraint("risk_after >= risk_before", name="risk_never_falls"),
    sa.Index(None, "status", "requested_at"),
)
