"""What alerts that matter are put together to, and the measures proposed for them."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, between, json_text, one_of

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("severity", sa.String(16)),
    sa.Column("summary", sa.Text),
    sa.Column("assigned_to", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("alerts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("first_at", Instant),
    sa.Column("last_at", Instant),
    sa.Column("merged_into", sa.String(36)),
    sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("gist", json_text()),  # what title and summary are made from; null: look at all
    one_of("status", model.IncidentStatus),
    one_of("severity", model.Severity),
    sa.Index(None, "updated_at", "incident_id"),
)

incident_alerts = sa.Table(
    "incident_alerts",
    metadata,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), primary_key=True),
    sa.Column("score", sa.Float),
    sa.Column("reasons", json_text(), nullable=False),
    sa.Column("added_by", sa.Text, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
    sa.Column("removed_by", sa.Text),
    sa.Column("removed_at", Instant),
    between("score", 0, 1),
    sa.Index(  # an alert is in one incident at a time
        None,
        "alert_id",
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    ),
    sa.Index(  # what was taken out of one, which every follow-up asks for
        "ix_incident_alerts_removed",
        "alert_id",
        sqlite_where=sa.text("removed_at IS NOT NULL"),
        postgresql_where=sa.text("removed_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

incident_changes = sa.Table(
    "incident_changes",
    metadata,
    sa.Column("change_id", sa.String(36), primary_key=True),
    sa.Column("incident_id", sa.String(36), nullable=False, index=True),
    sa.Column("other_id", sa.String(36), index=True),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", json_text(), nullable=False),
    sa.Column("undone_at", Instant),
    one_of("action", model.IncidentAction),
)

alert_entities = sa.Table(
    "alert_entities",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("value", sa.String(256), primary_key=True),
    sa.Column("at", Instant, primary_key=True),
    sa.Column("alert_id", sa.String(128), primary_key=True, index=True),
    sa.Column("stage", sa.SmallInteger, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("beside", sa.String(64), nullable=False),
    one_of("kind", model.EntityKind),
    sqlite_with_rowid=False,
)

remediation_actions = sa.Table(
    "remediation_actions",
    metadata,
    sa.Column("action_id", sa.String(36), primary_key=True),
    sa.Column("alert_id", sa.String(128), index=True),
    sa.Column("incident_id", sa.String(36), index=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("proposed_at", Instant, nullable=False),
    sa.Column("decided_at", Instant),
    sa.Column("decided_by", sa.Text),
    sa.Column("natural_key", sa.String(64), index=True, unique=True),
    sa.Column("title", sa.Text),
    sa.Column("phase", sa.String(32)),
    sa.Column("priority", sa.Integer),
    sa.Column("evidence", json_text()),
    sa.Column("undo", sa.Text),
    sa.Column("effort", sa.Text),
    sa.Column("blast_radius", sa.Text),
    sa.Column("digest", sa.String(64)),
    sa.Column("decision_reason", sa.Text),
    sa.Column("expires_at", Instant),
    one_of("status", model.RemediationStatus),
    sa.Index(None, "proposed_at", "action_id"),
)
