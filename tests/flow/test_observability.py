"""What a running server shows: metrics that dashboards and rules may use, and traces."""

import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.flow.questions import ALERTS, accepted, log_lines
from tests.servers import ROOT, Server, serving

from tocsin.bus.rabbitmq import RabbitBus
from tocsin.traces import Trace

FOLDER = ROOT / "deploy" / "observability"
STEPS = ("normalize", "context", "intel", "triage")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PROMETHEUS = {"up"}  # written by Prometheus itself for each scrape
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}

Label = tuple[str, str]


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alert-rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    document = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    for panel in panels():
        found += [(panel["title"], target["expr"]) for target in panel["targets"]]
    return found


def plain(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def selectors(node: Any) -> Iterator[Any]:
    """Every selector of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    for name in ("expr", "vector_selector", "lhs", "rhs", "param"):
        if (inner := getattr(node, name, None)) is not None:
            yield from selectors(inner)
    for argument in getattr(node, "args", ()):
        yield from selectors(argument)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The labels of every sample that a server showed after it had seen work and trouble."""
    nobody = [{"name": "nobody", "url": "http://127.0.0.1:1/v1", "model": "m"}]
    data = tmp_path_factory.mktemp("seen")
    asks = {"llm_providers": json.dumps(nobody), "llm_day_tokens": "1000"}
    with serving(data, **asks) as server, server.client() as client:
        sent = [{"title": f"seen {n}", "source_ip": "192.0.2.7"} for n in range(30)]
        accepted(client.post(ALERTS, json=sent))
        client.post(ALERTS, json=sent[0])
        client.post(ALERTS, content=b"{broken")
        server.settle()
        return samples(client.get("/metrics").text)


def samples(text: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@pytest.mark.parametrize(("title", "expression"), queries())
def test_every_query_is_promql_over_series_that_a_server_was_seen_to_show(
    seen: dict[str, list[dict[str, str]]], title: str, expression: str
) -> None:
    found = list(selectors(promql_parser.parse(plain(expression))))
    assert found, title
    for selector in found:
        if selector.name in PROMETHEUS:
            continue
        assert selector.name in seen, f"{title}: {selector.name} was not emitted"
        scraped = {"instance", "job"}
        for matcher in selector.matchers.matchers:
            if matcher.name in scraped:
                continue
            if (matcher.name, matcher.value) == ("status", "5xx"):
                continue  # nothing went wrong with a request here; the label is there
            values = {labels.get(matcher.name) for labels in seen[selector.name]}
            assert matcher.value in values, f"{title}: {selector.name}{{{matcher.name}}}: {values}"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Tocsin[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    kept = labels_of(promql_parser.parse(rule["expr"]))
    for name in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
        assert kept is None or name in kept, f"{rule['alert']}: {name} is aggregated away"


def labels_of(node: Any) -> set[str] | None:
    """The labels that a result has, as far as an aggregation names them; None: any."""
    if isinstance(node, promql_parser.AggregateExpr):
        return set(node.modifier.labels) if node.modifier else set()
    if isinstance(node, promql_parser.BinaryExpr):
        return labels_of(node.lhs)
    if isinstance(node, promql_parser.ParenExpr):
        return labels_of(node.expr)
    if isinstance(node, promql_parser.Call):
        found = [labels_of(argument) for argument in node.args if selects(argument)]
        return found[0] if found else None
    return None


def selects(node: Any) -> bool:
    return next(selectors(node), None) is not None


def test_names_are_unique_and_panels_do_not_overlap() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    everything = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_what_is_written_is_counted_by_table(seen: dict[str, list[dict[str, str]]]) -> None:
    written = {one["table"] for one in seen["tocsin_persisted_rows_total"]}
    assert {"alerts", "alert_context", "threat_intel", "triage_results"} <= written
    assert not [name for name in seen if name.endswith("_created")]


def test_the_counted_rows_are_the_rows_in_the_tables(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with server.client() as client:
            accepted(client.post(ALERTS, json=[{"title": f"row {n}"} for n in range(40)]))
            server.settle()
            families = text_string_to_metric_families(client.get("/metrics").text)
        counted = {
            sample.labels["table"]: sample.value
            for family in families
            if family.name == "tocsin_persisted_rows"
            for sample in family.samples
            if sample.labels["outcome"] == "written"
        }
        with closing(sqlite3.connect(server.database)) as database:
            for table in ("alert_context", "triage_results", "alert_keys"):
                (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
                assert counted[table] == rows, table
            assert counted["alerts"] == 80, "each is inserted once and updated once"


def step_lines(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log_lines(server)]
    return [line for line in lines if line["event"] == "step.done" and line["count"]]


def test_the_trace_that_a_sender_gives_is_on_every_step_s_line(server: Server) -> None:
    with server.client() as client:
        answer = client.post(ALERTS, json={"title": "a"}, headers={"traceparent": TRACEPARENT})
        accepted(answer)
        assert answer.headers["traceresponse"] == TRACEPARENT
        new = client.post(ALERTS, json={"title": "b"}, headers={"traceparent": "00-nonsense"})
        accepted(new)
    server.settle()
    for trace in (TRACEPARENT, new.headers["traceresponse"]):
        name = trace[3:35]
        steps = {
            line["step"]
            for line in step_lines(server)
            if name == line["trace_id"] or name in line.get("trace_ids", ())
        }
        assert steps == set(STEPS), trace


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"a": TRACEPARENT, "b": TRACEPARENT, "c": TRACEPARENT},
        {"a": TRACEPARENT, "c": OTHER},
    ],
    ids=["none", "one", "several"],
)
async def test_the_broker_carries_traces_beside_the_ids(
    broker_url: str, told: dict[str, str]
) -> None:
    bus = RabbitBus(broker_url, ["q"])
    try:
        await bus.ring("q", ["a", "b", "c"], {i: Trace(t) for i, t in told.items()})
        (delivery,) = await bus.take("q", 10)
        assert tuple(delivery.ids) == ("a", "b", "c")
        assert delivery.traces == told
        await delivery.acknowledge()
    finally:
        await bus.close()


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP/HTTP endpoint that keeps what it gets."""
    bodies: list[bytes] = []

    class Keep(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}/v1/traces", bodies
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def spans(bodies: Sequence[bytes]) -> list[Any]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def test_with_the_extra_there_is_a_span_per_batch_and_step_linked_to_its_alerts(
    tmp_path: Path,
) -> None:
    with collector() as (endpoint, bodies):
        with serving(tmp_path, otlp_endpoint=endpoint) as server:
            with server.client() as client:
                headers = {"traceparent": TRACEPARENT}
                accepted(
                    client.post(ALERTS, json=[{"title": "x"}, {"title": "y"}], headers=headers)
                )
                server.settle()
                silent = {"traceparent": OTHER[:-2] + "00"}
                accepted(client.post(ALERTS, json={"title": "not sampled"}, headers=silent))
                server.settle()
            assert server.stop() == 0, "what is left is sent before the end"
            lines = step_lines(server)
        found = [span for span in spans(bodies) if span.links]
    assert sorted(span.name for span in found) == sorted(f"step {step}" for step in STEPS)
    assert len(lines) == 2 * len(STEPS)
    for span in found:
        assert [link.trace_id.hex() for link in span.links] == [TRACEPARENT[3:35]]
        assert span.trace_id.hex() == TRACEPARENT[3:35], "a batch of one trace belongs to it"
        assert span.parent_span_id.hex() == TRACEPARENT[36:52]
        values = {one.key: one.value.int_value for one in span.attributes}
        assert values == {
            "tocsin.count": 2,
            "tocsin.failed": 0,
            "tocsin.gaps": values["tocsin.gaps"],
        }
        assert span.end_time_unix_nano >= span.start_time_unix_nano
