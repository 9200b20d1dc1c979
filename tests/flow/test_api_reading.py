"""Reading over HTTP: lists, pages, one alert in each form, documentation, metrics."""

import base64
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.flow.questions import ALERTS, accepted, is_problem, query
from tests.servers import Server

from tocsin.model import Dossier, Severity

COUNT = 60


def alert(number: int) -> dict[str, object]:
    return {
        "alert_type": "intrusion",
        "title": f"listed {number}",
        "severity": list(Severity)[number % 5].value,
        "source_ip": f"10.1.0.{number % 7}",
        "destination_ip": f"198.51.100.{number % 5}",
        "host_name": f"host-{number % 4}",
        "asset_id": f"A-{number % 3}",
        "user_name": f"user{number % 6}",
        "rule_id": f"R-{number % 9}",
    }


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    """Sent in one request, so that many share a moment of receipt: ties."""
    with server.client() as client:
        first = accepted(client.post(ALERTS, json=[alert(n) for n in range(COUNT // 2)]))
        rest = [alert(n) for n in range(COUNT // 2, COUNT)]
        second = accepted(client.post(f"{ALERTS}?source=sensor-2", json=rest))
    server.settle()
    time.sleep(0.01)
    return first + second


@pytest.fixture(scope="module")
def sent_by(ids: list[str]) -> str:
    """A moment after the last of them, which keeps what other tests send out of the lists."""
    return datetime.now(UTC).isoformat()


@pytest.fixture
def client(server: Server, sent_by: str) -> Iterator[httpx2.Client]:
    with server.client(params={"until": sent_by}) as opened:
        yield opened


def listed(client: httpx2.Client, **parameters: object) -> list[dict[str, object]]:
    answer = client.get(ALERTS, params={"limit": 500, **parameters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["alerts"]
    return found


@pytest.mark.parametrize(
    "name",
    ["severity", "source", "source_ip", "destination_ip", "host_name", "asset_id", "user_name",
     "rule_id", "verdict", "risk_level", "requires_human_review", "status"],
)  # fmt: skip
def test_a_filter_gives_exactly_the_alerts_that_have_the_value(
    client: httpx2.Client, name: str
) -> None:
    everything = listed(client)
    assert len(everything) == COUNT
    for value in {each[name] for each in everything}:
        wanted = str(value).lower() if isinstance(value, bool) else value
        expected = [each["alert_id"] for each in everything if each[name] == value]
        assert expected
        found = [each["alert_id"] for each in listed(client, **{name: wanted})]
        assert found == expected, (name, value)


def test_filters_narrow_together_and_hostile_values_match_nothing(client: httpx2.Client) -> None:
    both = listed(client, severity="high", asset_id="A-1")
    assert both
    assert all((a["severity"], a["asset_id"]) == ("high", "A-1") for a in both)
    for hostile in ("' OR 1=1 --", "%", "{}", "\n", "x" * 5000):
        assert listed(client, user_name=hostile) == []
    is_problem(client.get(ALERTS, params={"user_name": "a\0b"}), 422, "input")


def test_least_risk_and_times_are_bounds(client: httpx2.Client) -> None:
    everything = listed(client)
    risks = sorted(float(str(each["risk_score"])) for each in everything)
    bound = risks[COUNT // 2]
    assert len(listed(client, min_risk=bound)) == sum(risk >= bound for risk in risks)
    now = datetime.now(UTC)
    assert len(listed(client, since=(now - timedelta(hours=1)).isoformat())) == COUNT
    assert listed(client, since=(now + timedelta(hours=1)).isoformat()) == []
    assert listed(client, until=(now - timedelta(hours=1)).isoformat()) == []
    moment = str(everything[0]["received_at"])
    later = len(listed(client, since=moment))
    assert later + len(listed(client, until=moment)) == COUNT
    assert later >= 1


@pytest.mark.parametrize("sort", ["received_at", "risk_score"])
@pytest.mark.parametrize("limit", [1, 7, COUNT, 500])
def test_pages_have_no_gap_and_no_overlap(client: httpx2.Client, sort: str, limit: int) -> None:
    expected = [(each[sort], each["alert_id"]) for each in listed(client, sort=sort)]
    assert expected == sorted(expected, reverse=True)
    assert len({value for value, _ in expected}) < COUNT, "there are ties"
    found, cursor = [], None
    while True:
        parameters = {"sort": sort, "limit": limit, **({"cursor": cursor} if cursor else {})}
        page = client.get(ALERTS, params=parameters).json()
        assert len(page["alerts"]) <= limit
        found += [(each[sort], each["alert_id"]) for each in page["alerts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == expected


def test_alerts_that_arrive_meanwhile_do_not_disturb_the_pages(
    client: httpx2.Client, server: Server
) -> None:
    always: dict[str, object] = {"until": "2999-01-01T00:00:00Z"}
    server.settle()
    expected = [each["alert_id"] for each in listed(client, **always)]
    page = client.get(ALERTS, params={"limit": 10, **always}).json()
    (fresh,) = accepted(client.post(ALERTS, json={"title": f"meanwhile {time.time_ns()}"}))
    following = listed(client, cursor=page["next_cursor"], **always)
    assert [each["alert_id"] for each in page["alerts"] + following] == expected
    assert listed(client, **always)[0]["alert_id"] == fresh


def crafted(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", "", "AAAA", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
     crafted(["received_at", "not a time", "x"]), crafted(["received_at", None, "x"]),
     crafted(["risk_score", 5, "x"]), crafted([1, 2, 3]), crafted({}), crafted([]),
     crafted(["received_at", "2026-01-01T00:00:00Z", 7])],
)  # fmt: skip
def test_a_cursor_that_is_not_ours_is_refused(client: httpx2.Client, cursor: str) -> None:
    is_problem(client.get(ALERTS, params={"cursor": cursor}), 422, "input")


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"severity": "deadly"}, 400),
        ({"status": "{}"}, 400),
        ({"verdict": "clean"}, 400),
        ({"limit": 0}, 400),
        ({"limit": 501}, 400),
        ({"limit": "many"}, 400),
        ({"min_risk": 101}, 400),
        ({"since": "yesterday"}, 400),
        ({"since": "2026-03-04T12:00:00"}, 422),
        ({"sort": "title; DROP TABLE alerts"}, 422),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    client: httpx2.Client, parameters: dict[str, object], status: int
) -> None:
    reason = {400: "bad_request", 422: "input"}[status]
    is_problem(client.get(ALERTS, params=parameters), status, reason)


def test_one_alert_can_be_read_in_three_forms(client: httpx2.Client, ids: list[str]) -> None:
    answer = client.get(f"{ALERTS}/{ids[3]}")
    dossier = msgspec.json.decode(answer.content, type=Dossier)
    assert dossier.alert_id == ids[3]
    assert json.loads(dossier.payload) == alert(3)
    assert dossier.verdict is not None
    ecs = client.get(f"{ALERTS}/{ids[3]}", params={"format": "ecs"}).json()
    assert (ecs["source"]["ip"], ecs["rule"]["id"]) == ("10.1.0.3", "R-3")
    ocsf = client.get(f"{ALERTS}/{ids[3]}", params={"format": "ocsf"}).json()
    assert ocsf["class_uid"] == 2004
    is_problem(client.get(f"{ALERTS}/{ids[3]}", params={"format": "xml"}), 422, "input")


@pytest.mark.parametrize("name", ["nothing", "%00", "%ff", "{}", "%25s", "x" * 3000])
def test_an_alert_that_is_not_there_is_404(client: httpx2.Client, name: str) -> None:
    is_problem(client.get(f"{ALERTS}/{name}"), 404, "not_found")
    is_problem(client.post(f"{ALERTS}/{name}/retry"), 404, "not_found")


def test_only_parked_alerts_are_tried_again(
    client: httpx2.Client, server: Server, ids: list[str]
) -> None:
    is_problem(client.post(f"{ALERTS}/{ids[0]}/retry"), 404, "not_found")
    with sqlite3.connect(server.database) as connection:
        park(connection, ids[0])
    connection.close()
    (parked,) = listed(client, status="parked")
    assert (parked["alert_id"], parked["error"]) == (ids[0], "context: {0} %s")
    answer = client.post(f"{ALERTS}/{ids[0]}/retry")
    assert answer.json() == {"alert_id": ids[0], "status": "received"}
    assert listed(client, status="parked") == []
    is_problem(client.post(f"{ALERTS}/{ids[0]}/retry"), 404, "not_found")
    server.settle()


def park(connection: sqlite3.Connection, alert_id: str) -> None:
    """Put an alert where a step that failed for good would have put it."""
    connection.execute("UPDATE alerts SET status = 'parked' WHERE alert_id = ?", (alert_id,))
    connection.execute(
        "INSERT INTO alert_work (alert_id, step, since, rung_at, attempts, parked_at, error) "
        "VALUES (?, 'normalize', 0, 0, 4, 1, 'context: {0} %s')",
        (alert_id,),
    )


def test_no_such_page_and_no_such_method_are_problems(client: httpx2.Client) -> None:
    is_problem(client.get("/api/v2/alerts"), 404, "not_found")
    is_problem(client.put(ALERTS, json={}), 405, "method_not_allowed")
    is_problem(client.delete(f"{ALERTS}/x"), 405, "method_not_allowed")


def test_the_interface_describes_itself(client: httpx2.Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert {"get", "post"} <= set(document["paths"]["/api/v1/alerts"])
    assert "/api/v1/alerts/{alert_id}/retry" in document["paths"]
    schemes = document["components"]["securitySchemes"]
    assert any(scheme["scheme"] == "bearer" for scheme in schemes.values())


def test_the_documentation_page_needs_nobody_else(server: Server) -> None:
    with httpx2.Client(base_url=server.url) as browser:
        page = browser.get("/api")
        assert page.status_code == 200
        links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
        assert len(links) >= 4
        for link in links:
            assert link.startswith("/api/"), link
            found = browser.get(link)
            assert found.status_code == 200, link
            assert found.content


def test_the_metrics_can_be_parsed_and_hold_the_balance(
    client: httpx2.Client, server: Server
) -> None:
    server.settle()
    families = {
        family.name: family
        for family in text_string_to_metric_families(client.get("/metrics").text)
    }
    samples = families["tocsin_alerts"].samples
    balance = {sample.labels["state"]: sample.value for sample in samples}
    assert set(balance) == {"received", "triaged", "folded", "parked", "in_flight"}
    assert balance["received"] >= COUNT
    steps = {s.labels["step"] for s in families["tocsin_step_alerts"].samples}
    assert steps == {"normalize", "context", "intel", "triage", "after"}
    rows = query(server.database, "SELECT count(*) FROM triage_results")
    assert rows[0][0] >= COUNT
