"""What context, intelligence and triage ask: assets, users, indicators, detections."""

import sqlalchemy as sa

from tocsin import model
from tocsin.store.tables.naming import metadata
from tocsin.store.types import Instant, between, json_text, one_of

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("asset_id", sa.String(512), primary_key=True),
    sa.Column("hostname", sa.Text),
    sa.Column("hostname_key", sa.String(512), index=True),
    sa.Column("hostname_short", sa.String(512), index=True),
    sa.Column("ip", sa.String(45), index=True),
    sa.Column("type", sa.Text),
    sa.Column("os", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("department", sa.Text),
    sa.Column("location", sa.Text),
    sa.Column("environment", sa.Text),
    sa.Column("criticality", sa.String(16)),
    sa.Column("exposed", sa.Boolean, nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("criticality", model.Criticality),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.String(512), primary_key=True),
    sa.Column("user_name", sa.Text),
    sa.Column("user_name_key", sa.String(512), index=True),
    sa.Column("email", sa.Text),
    sa.Column("email_key", sa.String(512), index=True),
    sa.Column("full_name", sa.Text),
    sa.Column("department", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("manager", sa.Text),
    sa.Column("privileged", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

indicators = sa.Table(
    "indicators",
    metadata,
    sa.Column("type", sa.String(16), primary_key=True),
    sa.Column("value", sa.String(2048), primary_key=True),
    sa.Column("source", sa.String(256), primary_key=True),
    sa.Column("threat_level", sa.String(16), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("tlp", sa.String(16), nullable=False),
    sa.Column("tags", json_text(), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("first_seen", Instant),
    sa.Column("expires_at", Instant),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("type", model.ObservableType),
    one_of("threat_level", model.ThreatLevel),
    one_of("tlp", model.Tlp),
    between("confidence", 0, 1),
    sqlite_with_rowid=False,
)

indicator_state = sa.Table(
    "indicator_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

detections = sa.Table(
    "detections",
    metadata,
    sa.Column("catalogue", sa.String(64), primary_key=True),
    sa.Column("detection_id", sa.String(128), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("level", sa.String(16)),
    sa.Column("risk_score", sa.Float),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16)),
    sa.Column("techniques", json_text(), nullable=False),
    sa.Column("false_positives", json_text(), nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("level", model.Severity),
    one_of("kind", model.DetectionKind),
    one_of("status", model.DetectionStatus),
    between("risk_score", 0, 100),
)

detection_state = sa.Table(
    "detection_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)
