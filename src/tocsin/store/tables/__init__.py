"""The tables: the nine of the contract, and those that the pipeline needs to keep its promises.

Column names are the contract with everybody who queries the database. Enumerations are enforced by
CHECK constraints generated from `model/words.py`. JSON is kept as text on SQLite and as `json`
(which keeps the text) on PostgreSQL; instants as fixed-width UTC text on SQLite, `timestamptz` on
PostgreSQL.
"""

from tocsin.store.tables.access import api_keys, audit_heads, audit_logs
from tocsin.store.tables.casework import (
    alert_entities,
    incident_alerts,
    incident_changes,
    incidents,
    remediation_actions,
)
from tocsin.store.tables.closing import (
    closing_policies,
    closing_scores,
    closing_state,
    closures,
)
from tocsin.store.tables.known import (
    assets,
    detection_state,
    detections,
    indicator_state,
    indicators,
    users,
)
from tocsin.store.tables.learning import (
    bulk_decisions,
    decision_counts,
    dispositions,
    leases,
    model_state,
    models,
)
from tocsin.store.tables.llm import model_budgets, model_replies, model_usage, opinions
from tocsin.store.tables.naming import metadata
from tocsin.store.tables.pipeline import (
    alert_context,
    alert_keys,
    alert_work,
    alerts,
    pipeline_counts,
    prevalence,
    threat_intel,
    triage_results,
)

__all__ = [
    "alert_context",
    "alert_entities",
    "alert_keys",
    "alert_work",
    "alerts",
    "api_keys",
    "assets",
    "audit_heads",
    "audit_logs",
    "bulk_decisions",
    "closing_policies",
    "closing_scores",
    "closing_state",
    "closures",
    "decision_counts",
    "detection_state",
    "detections",
    "dispositions",
    "incident_alerts",
    "incident_changes",
    "incidents",
    "indicator_state",
    "indicators",
    "leases",
    "metadata",
    "model_budgets",
    "model_replies",
    "model_state",
    "model_usage",
    "models",
    "opinions",
    "pipeline_counts",
    "prevalence",
    "remediation_actions",
    "threat_intel",
    "triage_results",
    "users",
]
