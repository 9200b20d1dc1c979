"""W3C trace context: which request an alert came with, carried beside the ids to every step.

A trace is kept as the text of its `traceparent` header, one per alert: the alerts of a request
share the string, and on the way through a queue a run of them is written once. Spans are made when
the extra `otel` is installed and an endpoint is set; without them the ids still stand in the logs.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NewType

from tocsin.errors import SettingsError

Trace = NewType("Trace", str)
"""A `traceparent` of version 00: `00-TRACE_ID-PARENT_ID-FLAGS`, 55 characters."""

Traces = Mapping[str, Trace]
"""Traces by alert id; an alert that came with a lost bell has none."""

NONE: Traces = {}
HEADER = "traceparent"
LENGTH = 55
LOGGED = 50
LINKED = 128  # what OpenTelemetry keeps of a span's links
RUNS = 10_000  # of a queue's message: more than any envelope has ids

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|\Z)"
)
_spans: "Callable[[str, Sequence[Trace], int, int, Mapping[str, Any]], None] | None" = None


def read(header: str | None) -> Trace | None:
    """The trace that a `traceparent` header names; None when it is absent or not valid."""
    found = _PARENT.match(header.strip()) if header else None
    if found is None or header is None:
        return None
    value = header.strip()
    if value.startswith("00") and len(value) != LENGTH:
        return None  # only later versions may go on
    return Trace("00" + value[2:LENGTH])


def begin() -> Trace:
    """A new trace, for a request that names none."""
    return Trace(f"00-{_random(16)}-{_random(8)}-01")


def _random(size: int) -> str:
    while not (value := secrets.token_hex(size)).strip("0"):
        continue
    return value


def trace_id(trace: Trace) -> str:
    """The 32 hexadecimal digits that name a trace everywhere."""
    return trace[3:35]


def distinct(ids: Iterable[str], traces: Traces) -> tuple[Trace, ...]:
    """The traces of these alerts, each once, in their order."""
    if not traces:
        return ()
    return tuple(dict.fromkeys(traces[i] for i in ids if i in traces))


def fields(found: Sequence[Trace]) -> dict[str, Any]:
    """What a log line says of a batch's traces.

    `trace_id` is the first one's; with several there are also `trace_ids` (at most 50 of them) and
    their number, `traces`.
    """
    if not found:
        return {}
    if len(found) == 1:
        return {"trace_id": trace_id(found[0])}
    several = [trace_id(trace) for trace in found[:LOGGED]]
    return {"trace_id": several[0], "trace_ids": several, "traces": len(found)}


def pack(ids: Sequence[str], traces: Traces) -> str:
    """The traces of an envelope as text: `TRACEPARENT*COUNT` for each run, parted by commas."""
    if not traces:
        return ""
    runs = [f"{one or ''}*{sum(1 for _ in run)}" for one, run in groupby(map(traces.get, ids))]
    return "" if len(runs) == 1 and runs[0].startswith("*") else ",".join(runs)


def unpack(ids: Sequence[str], text: object) -> Traces:
    """What `pack` wrote; nothing where it is not that, since anybody may write to a queue."""
    if not isinstance(text, str) or not text:
        return NONE
    found: dict[str, Trace] = {}
    place = 0
    for run in text.split(",", RUNS):
        header, _, count = run.partition("*")
        if not (count.isascii() and count.isdigit() and len(count) < 8):
            return NONE
        trace, end = read(header), place + int(count)
        if trace is not None:
            found.update(dict.fromkeys(ids[place:end], trace))
        place = end
    return found


# --- spans ----------------------------------------------------------------------------------


def export(endpoint: str, **resource: str) -> Callable[[], None]:
    """Send a span per batch and step to an OTLP/HTTP endpoint; gives what ends that.

    Args:
        endpoint: e.g. `http://127.0.0.1:4318/v1/traces`; empty: no spans are made.
        resource: what names this process, e.g. `version`.

    Raises:
        SettingsError: the extra `otel` is not installed.
    """
    global _spans  # noqa: PLW0603  # one per process, as the registry of metrics is
    if not endpoint:
        return _nothing
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "TOCSIN_OTLP_ENDPOINT is set, but the extra is missing: pip install 'tocsin[otel]'"
        ) from error
    named = {f"service.{name}": value for name, value in resource.items()}
    provider = TracerProvider(resource=Resource.create({"service.name": "tocsin", **named}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    _spans = _recorder(provider.get_tracer("tocsin"))

    def end() -> None:
        global _spans  # noqa: PLW0603  # see above
        _spans = None
        provider.shutdown()

    return end


def record(
    step: str, found: Sequence[Trace], started: int, ended: int, **attributes: float
) -> None:
    """The span of one batch in one step, linked to the traces of its alerts.

    Args:
        step: the step's name.
        found: the batch's traces. When it is one, the span belongs to it; else to a new one.
        started: nanoseconds since the epoch.
        ended: the same.
        attributes: figures of the batch, e.g. `count`.
    """
    if _spans is not None:
        _spans(step, found, started, ended, attributes)


def _recorder(
    tracer: Any,
) -> "Callable[[str, Sequence[Trace], int, int, Mapping[str, Any]], None]":
    from opentelemetry.trace import (  # noqa: PLC0415  # only with the extra
        Link,
        NonRecordingSpan,
        SpanContext,
        SpanKind,
        TraceFlags,
        set_span_in_context,
    )

    def context(trace: Trace) -> SpanContext:
        return SpanContext(
            int(trace_id(trace), 16),
            int(trace[36:52], 16),
            is_remote=True,
            trace_flags=TraceFlags(int(trace[53:55], 16)),
        )

    def make(
        step: str,
        found: Sequence[Trace],
        started: int,
        ended: int,
        attributes: Mapping[str, Any],
    ) -> None:
        contexts = [context(trace) for trace in found[:LINKED]]
        if contexts and not any(one.trace_flags.sampled for one in contexts):
            return  # the senders asked for none
        alone = set_span_in_context(NonRecordingSpan(contexts[0])) if len(found) == 1 else None
        span = tracer.start_span(
            f"step {step}",
            context=alone,
            kind=SpanKind.CONSUMER,
            links=[Link(one) for one in contexts],
            attributes={f"tocsin.{name}": value for name, value in attributes.items()},
            start_time=started,
        )
        span.end(end_time=ended)

    return make


def _nothing() -> None:
    """Nothing was begun."""
