"""Every metric, named once; updated per batch, never per alert."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

registry = CollectorRegistry()

RECEIVED = Counter(
    "tocsin_alerts_received_total",
    "Alerts answered, by outcome: accepted, duplicate, refused.",
    ["outcome"],
    registry=registry,
)
STEP_ALERTS = Counter(
    "tocsin_step_alerts_total",
    "Alerts that left a step, by outcome: done, failed.",
    ["step", "outcome"],
    registry=registry,
)
STEP_SECONDS = Histogram(
    "tocsin_step_batch_seconds",
    "Time of one batch in a step, in seconds.",
    ["step"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
BATCH_ALERTS = Histogram(
    "tocsin_batch_alerts",
    "Alerts in a claimed batch.",
    ["step"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
    registry=registry,
)
GAPS = Counter(
    "tocsin_gaps_total",
    "Checks that could not be made, by step and reason.",
    ["step", "reason"],
    registry=registry,
)
VERDICTS = Counter(
    "tocsin_verdicts_total", "Stored verdicts, by verdict.", ["verdict"], registry=registry
)
PARKED = Counter(
    "tocsin_parked_alerts_total",
    "Alerts that were parked after their last attempt.",
    ["step"],
    registry=registry,
)
REFUSED_ROWS = Counter(
    "tocsin_refused_records_total",
    "Records that were not written because a constraint would have refused them, by reason.",
    ["reason"],
    registry=registry,
)
STORE_RETRIES = Counter(
    "tocsin_store_retries_total",
    "Database operations that had to be tried again, by operation.",
    ["operation"],
    registry=registry,
)
BALANCE = Gauge(
    "tocsin_alerts",
    "The balance over all time: received = triaged + folded + parked + in_flight.",
    ["state"],
    registry=registry,
)
WAITING = Gauge(
    "tocsin_step_waiting_alerts", "Alerts that wait for a step.", ["step"], registry=registry
)
OLDEST = Gauge(
    "tocsin_step_oldest_seconds",
    "How long the oldest alert has waited for a step, in seconds.",
    ["step"],
    registry=registry,
)
HTTP_SECONDS = Histogram(
    "tocsin_http_request_seconds",
    "Time of an HTTP request, in seconds, by method and status class.",
    ["method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(registry)
