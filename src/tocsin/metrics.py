"""Every metric, named once; updated per batch, never per alert.

Labels are bounded: steps, tables, queues, operations and words of small sets, never a text from an
alert. Counters that say that something is wrong exist from the start with the value 0, because a
counter that appears with 1 has not risen for who watches its rate.
"""

import time
from collections.abc import Awaitable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tocsin import __version__
from tocsin.errors import DataQualityError, TocsinError, Unavailable

T = TypeVar("T")

disable_created_metrics()  # type: ignore[no-untyped-call]  # it takes and gives nothing
registry = CollectorRegistry()
ProcessCollector(registry=registry)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

BUILD = Gauge(
    "tocsin_build_info", "Always 1; the version is a label.", ["version"], registry=registry
)
BUILD.labels(__version__).set(1)
RECEIVED = Counter(
    "tocsin_alerts_received_total",
    "Alerts answered, by outcome: accepted, duplicate, refused; a body that cannot be read is one.",
    ["outcome"],
    registry=registry,
)
DECISIONS = Counter(
    "tocsin_decisions_total",
    "Decisions of people on alerts over the API: decided (with their disposition), undone (any).",
    ["change", "disposition"],
    registry=registry,
)
STEP_ALERTS = Counter(
    "tocsin_step_alerts_total",
    "Alerts that left a step, by outcome: done, failed.",
    ["step", "outcome"],
    registry=registry,
)
STEP_FAILURES = Counter(
    "tocsin_step_failures_total",
    "Tries of single alerts that failed, by step (or save) and reason: defect (an exception nobody "
    "expected), data_quality, timeout, unavailable, input, error.",
    ["step", "reason"],
    registry=registry,
)
STEP_SECONDS = Histogram(
    "tocsin_step_batch_seconds",
    "Time of one batch in a step, in seconds.",
    ["step"],
    buckets=SECONDS,
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
AUTOCLOSED = Counter(
    "tocsin_autoclosed_alerts_total",
    "Alerts that the policy closed, by class; only classes that the policy names.",
    ["class"],
    registry=registry,
)
AUTOCLOSE_SAMPLED = Counter(
    "tocsin_autoclose_sampled_alerts_total",
    "Alerts that the policy drew at random for people, by class.",
    ["class"],
    registry=registry,
)
AUTOCLOSE_STATE = Gauge(
    "tocsin_autoclose_state",
    "The policy's state at the last look: 1 for one of off, shadow, on, tripped (off by itself).",
    ["state"],
    registry=registry,
)
AUTOCLOSE_DRIFT = Gauge(
    "tocsin_autoclose_drift_ratio",
    "How near the policy is to switching itself off: 1 is the limit, by class and test (attacks, "
    "scores, backlog); at the last look.",
    ["class", "test"],
    registry=registry,
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
PERSISTED = Counter(
    "tocsin_persisted_rows_total",
    "Rows written in bulk, by table and outcome: written (inserted or updated, committed), refused "
    "(what a constraint would not have taken).",
    ["table", "outcome"],
    registry=registry,
)
STORE_RETRIES = Counter(
    "tocsin_store_retries_total",
    "Operations that had to be tried again because what they need was away, by operation.",
    ["operation"],
    registry=registry,
)
TRANSACTION_SECONDS = Histogram(
    "tocsin_database_transaction_seconds",
    "Time of a database transaction, in seconds, by use: read, write; failed ones included.",
    ["use"],
    buckets=SECONDS,
    registry=registry,
)
DATABASE_FAILURES = Counter(
    "tocsin_database_failures_total",
    "Transactions that failed, by use and reason: unavailable, full (no room), conflict (another "
    "one was in the way; tried again), refused (its values will not do), unusable (no database).",
    ["use", "reason"],
    registry=registry,
)
CPU_SECONDS = Counter(
    "tocsin_cpu_seconds_total",
    "Processor time, in seconds, by part: each step without the database's threads, body (reading "
    "what was sent), read and write (the database's threads), rows (the part of write that makes "
    "rows of dossiers). What the process used beside these is HTTP, the bus and the event loop.",
    ["part"],
    registry=registry,
)
RINGS = Counter(
    "tocsin_bus_rings_total",
    "Envelopes given to the bus, by queue and outcome: rung (confirmed), failed (swept up later).",
    ["queue", "outcome"],
    registry=registry,
)
TAKEN = Counter(
    "tocsin_bus_envelopes_taken_total",
    "Envelopes taken from the bus, by queue.",
    ["queue"],
    registry=registry,
)
SWEPT = Counter(
    "tocsin_swept_alerts_total",
    "Alerts that the sweeper rang for again, by step; many say that bells are lost.",
    ["step"],
    registry=registry,
)
DEPENDENCY = Gauge(
    "tocsin_dependency_up",
    "Whether the database and the bus answered this process at this scrape: 1 or 0.",
    ["dependency"],
    registry=registry,
)
DEAD = Gauge(
    "tocsin_bus_dead_envelopes",
    "Envelopes that the bus gave out too often and nobody acknowledged, by the queue that holds "
    "them; their alerts are found by the sweeper. Every process reads the same figure.",
    ["queue"],
    registry=registry,
)
BALANCE = Gauge(
    "tocsin_alerts",
    "The balance over all time: received = triaged + folded + parked + in_flight; every process "
    "reads the same figures from the database, so take their maximum, not their sum.",
    ["state"],
    registry=registry,
)
FOLLOW_UPS = Gauge(
    "tocsin_followups",
    "Work that follows verdicts (incidents, proposed actions), by state: waiting, parked (after "
    "its last try; its alert stays triaged), done; read from the database like tocsin_alerts.",
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
    buckets=SECONDS,
    registry=registry,
)
MODEL_REQUESTS = Counter(
    "tocsin_model_requests_total",
    "Requests to language models, by provider and outcome: answered, cached (not sent), or why "
    "there was no reply.",
    ["provider", "outcome"],
    registry=registry,
)
MODEL_TOKENS = Counter(
    "tocsin_model_tokens_total",
    "Tokens used, by provider and kind: prompt, completion.",
    ["provider", "kind"],
    registry=registry,
)
MODEL_COST = Counter(
    "tocsin_model_cost_usd_total",
    "What models cost by the prices in the settings, in US dollars.",
    ["provider"],
    registry=registry,
)
MODEL_SECONDS = Histogram(
    "tocsin_model_seconds",
    "Time of one request to a provider, in seconds; failed ones included.",
    ["provider"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300),
    registry=registry,
)
MODEL_UP = Gauge(
    "tocsin_model_provider_up",
    "Whether a provider is asked: 1, or 0 after failures in a row until a probe succeeds.",
    ["provider"],
    registry=registry,
)
MODEL_BUDGET_LEFT = Gauge(
    "tocsin_model_budget_left",
    "What is left of the day's budget, by unit: tokens, usd; only where there is a limit. Every "
    "process reads the same figure from the database.",
    ["unit"],
    registry=registry,
)
OPINIONS = Counter(
    "tocsin_opinions_total",
    "Second opinions of language models that this process worked on, by what became of them: done, "
    "failed, skipped, budget, pending (to be tried again).",
    ["status"],
    registry=registry,
)
OPINION_SECONDS = Histogram(
    "tocsin_opinion_seconds",
    "Time of one second opinion, all rounds together, in seconds.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=registry,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
MODEL_ANSWERED, MODEL_CACHED = "answered", "cached"
MODEL_OUTCOMES = (
    MODEL_ANSWERED,
    MODEL_CACHED,
    "timeout",
    "unreachable",
    "rate_limited",
    "overloaded",
    "unauthorized",
    "refused",
    "form_refused",
    "filtered",
    "broken",
    "too_large",
    "invalid_reply",
    "abandoned",
)
FAILURES = ("defect", "data_quality", "timeout", "unavailable", "input", "error")
DATABASE_REASONS = ("unavailable", "full", "conflict", "refused", "unusable")
OPERATIONS = ("claim", "load", "save", "fail", "sweep")


def prepare(steps: Mapping[str, str], tables: Iterable[str]) -> None:
    """Let the counters of trouble exist before the first trouble.

    Args:
        steps: the queue that each step of this process takes from, by the step's name.
        tables: those that the pipeline writes.
    """
    _exist(RECEIVED, ("accepted", "duplicate", "refused"))
    _exist(PERSISTED, tables, ("written", "refused"))
    _exist(DATABASE_FAILURES, ("read", "write"), DATABASE_REASONS)
    if steps:
        _exist(STORE_RETRIES, (*OPERATIONS, *steps))
        _exist(PARKED, (*steps, "save"))
        _exist(STEP_FAILURES, (*steps, "save"), FAILURES)
        _exist(STEP_ALERTS, steps, ("done", "failed"))
        _exist(SWEPT, steps)
        _exist(RINGS, steps.values(), ("failed",))


def prepare_models(providers: Iterable[str]) -> None:
    """Let the counters of trouble exist for these providers."""
    names = tuple(providers)
    _exist(MODEL_REQUESTS, names, MODEL_OUTCOMES)
    for name in names:
        MODEL_UP.labels(name).set(1)


def _exist(counter: Counter, *labels: Iterable[str]) -> None:
    for values in product(*labels):
        counter.labels(*values)


@contextmanager
def spent(part: str) -> Iterator[None]:
    """Count the processor time of this thread until the end of the block."""
    started = time.thread_time()
    try:
        yield
    finally:
        CPU_SECONDS.labels(part).inc(time.thread_time() - started)


class Spending(Awaitable[T]):
    """Awaits something, and counts the processor time of its own pieces of the event loop's."""

    def __init__(self, part: str, awaited: Awaitable[T]) -> None:
        self._part = part
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        """Drive it piece by piece: what other tasks do in between is theirs."""
        inner = self._awaited.__await__()
        answer: Any = None
        error: BaseException | None = None
        while True:
            with spent(self._part):
                try:
                    if error is None:
                        asked = inner.send(answer) if answer is not None else next(inner)
                    else:
                        asked = inner.throw(error)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]  # of the awaited type
            answer = error = None
            try:
                answer = yield asked
            except BaseException as raised:  # noqa: BLE001  # it is handed on
                error = raised


def reason_of(error: BaseException) -> str:
    """One of `FAILURES`."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, DataQualityError):
        return "data_quality"
    if isinstance(error, Unavailable):
        return "unavailable"
    if isinstance(error, TocsinError):
        return error.reason if error.reason in FAILURES else "error"
    return "defect"


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(registry)
