"""Incidents and proposed actions through the front door: HTTP and the command line, kill -9."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.flow.questions import ALERTS, accepted, has_no_trouble, is_problem, query
from tests.following import attack_alert, day
from tests.servers import Server, serving, start, tocsin

INCIDENTS, ACTIONS = "/api/v1/incidents", "/api/v1/remediation"
HOSTILE = "{} {0} %s %(x)s\n'; DROP TABLE incidents; -- \x1b[31m <script>"


def case(host: str) -> list[dict[str, object]]:
    titles = ("Trojan dropper was started", "Malware command and control beacon", "Ransomware note")
    return [
        attack_alert(
            5 * n, f"{title} on {host}", host_name=host, user_name=f"u-{host}",
            destination_ip=f"203.0.113.{host.rpartition('-')[2]}", technique_id="T1071.001",
        )
        for n, title in enumerate(titles)
    ]  # fmt: skip


def settled(server: Server) -> dict[str, float]:
    """`tocsin_followups` by state, when nothing waits any more."""
    server.settle()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with server.client() as client:
            lines = client.get("/metrics").text.splitlines()
        found = {
            line.split('"')[1]: float(line.split()[-1])
            for line in lines
            if line.startswith("tocsin_followups{")
        }
        if found["waiting"] == 0:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


@pytest.fixture(scope="module")
def incidents(server: Server) -> dict[str, str]:
    """The incident of each of three hosts."""
    hosts = ("ws-1", "ws-2", "ws-3")
    found = {}
    with server.client() as client:
        for host in hosts:
            ids = accepted(client.post(ALERTS, json=case(host)))
            settled(server)
            found[host] = client.get(f"{ALERTS}/{ids[0]}").json()["incident_id"]
    assert len(set(found.values())) == 3
    return found


@pytest.fixture
def client(server: Server, incidents: dict[str, str]) -> Iterator[httpx2.Client]:
    with server.client() as opened:
        yield opened


def alerts_of(client: httpx2.Client, incident: str) -> list[str]:
    answer = client.get(f"{INCIDENTS}/{incident}")
    assert answer.status_code == 200, answer.text
    return [alert["alert_id"] for alert in answer.json()["alerts"]]


def test_an_incident_says_what_why_and_when(
    client: httpx2.Client, incidents: dict[str, str]
) -> None:
    detail = client.get(f"{INCIDENTS}/{incidents['ws-1']}").json()
    incident = detail["incident"]
    assert incident["status"] == "open"
    assert "ws-1" in incident["title"]
    assert "3 alerts from 2026-03-04 00:00 to 00:10 UTC" in incident["summary"]
    times = [alert["at"] for alert in detail["alerts"]]
    assert times == sorted(times)
    for alert in detail["alerts"]:
        assert 0.35 <= alert["score"] <= 1
        for link in alert["links"]:
            assert all(reason["statement"].endswith(".") for reason in link["reasons"])
    shared = {(e["kind"], e["value"]): e["alerts"] for e in detail["entities"]}
    assert shared["host", "ws-1"] == shared["user", "u-ws-1"] == 3


def test_lists_page_by_cursor_and_refuse_what_cannot_be(client: httpx2.Client) -> None:
    seen, cursor = [], None
    while True:
        params = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        page = client.get(INCIDENTS, params=params).json()
        seen += [each["incident_id"] for each in page["incidents"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) >= 3
    is_problem(client.get(INCIDENTS, params={"cursor": HOSTILE}), 422, "input")
    is_problem(client.get(ACTIONS, params={"cursor": HOSTILE}), 422, "input")
    is_problem(client.get(INCIDENTS, params={"since": "2026-03-04T00:00:00"}), 422, "input")
    assert client.get(INCIDENTS, params={"status": "half-open"}).status_code == 400
    is_problem(client.get(f"{INCIDENTS}/none"), 404, "not_found")
    is_problem(client.get(f"{ACTIONS}/none"), 404, "not_found")


def listed(client: httpx2.Client, **narrowed: str) -> set[str]:
    page = client.get(INCIDENTS, params={"limit": 500, **narrowed}).json()
    return {incident["incident_id"] for incident in page["incidents"]}


def test_split_merge_close_reopen_assign_and_undo(
    client: httpx2.Client, incidents: dict[str, str]
) -> None:
    one, two = incidents["ws-1"], incidents["ws-2"]
    ours, theirs = alerts_of(client, one), alerts_of(client, two)
    answer = client.post(f"{INCIDENTS}/{one}/split", json={"alerts": ours[:1], "reason": HOSTILE})
    assert answer.status_code == 200, answer.text
    new = answer.json()["incident_id"]
    assert alerts_of(client, new) == ours[:1]
    merged = client.post(f"{INCIDENTS}/{two}/merge", json={"incident_id": new}).json()
    assert sorted(a["alert_id"] for a in merged["alerts"]) == sorted(theirs + ours[:1])
    assert new not in listed(client), "its alerts are another's now"
    assert new not in listed(client, status="closed")
    assert new in listed(client, merged="true")
    assert two in listed(client, merged="true")
    is_problem(client.get(INCIDENTS, params={"merged": "perhaps"}), 400, "bad_request")
    is_problem(client.post(f"{INCIDENTS}/{one}/undo"), 409, "conflict")
    assert client.post(f"{INCIDENTS}/{two}/undo").status_code == 200
    undone = client.post(f"{INCIDENTS}/{one}/undo", json={"reason": "back"}).json()
    assert [a["alert_id"] for a in undone["alerts"]] == ours
    assert undone["history"][1]["reason"] == HOSTILE
    assert undone["history"][0]["actor"].startswith("key:")
    assert client.post(f"{INCIDENTS}/{one}/close").json()["incident"]["status"] == "closed"
    is_problem(client.post(f"{INCIDENTS}/{one}/close"), 409, "conflict")
    is_problem(client.post(f"{INCIDENTS}/{one}/split", json={"alerts": ours[:1]}), 409, "conflict")
    assert client.post(f"{INCIDENTS}/{one}/reopen").json()["incident"]["status"] == "open"
    named = client.post(f"{INCIDENTS}/{one}/assign", json={"assigned_to": "carol"}).json()
    assert named["incident"]["assigned_to"] == "carol"
    moved = client.post(f"{INCIDENTS}/{two}/alerts", json={"alerts": ours[:1]}).json()
    assert ours[0] in {a["alert_id"] for a in moved["alerts"]}
    left = client.post(f"{INCIDENTS}/{two}/remove", json={"alerts": ours[:1]}).json()
    assert ours[0] not in {a["alert_id"] for a in left["alerts"]}
    for _ in range(2):
        assert client.post(f"{INCIDENTS}/{two}/undo").status_code == 200
    assert alerts_of(client, one) == ours


def test_bodies_that_say_nothing_useful_are_refused(
    client: httpx2.Client, incidents: dict[str, str]
) -> None:
    one = incidents["ws-3"]
    for path, body in (
        ("split", {}), ("split", {"alerts": []}), ("split", {"alerts": "x"}),
        ("merge", {"incident_id": one}), ("assign", {"assigned_to": ""}),
        ("close", {"reason": "a\0b"}), ("close", {"reason": "x" * 5_000}),
        ("close", {"because": "x"}),
    ):  # fmt: skip
        answer = client.post(f"{INCIDENTS}/{one}/{path}", json=body)
        assert answer.status_code in (400, 422), (path, body, answer.text)
    broken = client.post(
        f"{INCIDENTS}/{one}/close", content=b'{"reason": "\xff\xfe"}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    is_problem(broken, 400, "invalid_encoding")


def test_a_decision_is_bound_to_what_was_read(
    client: httpx2.Client, incidents: dict[str, str]
) -> None:
    found = client.get(ACTIONS, params={"incident_id": incidents["ws-3"]}).json()["actions"]
    assert found
    action = found[0]
    path = f"{ACTIONS}/{action['action_id']}"
    is_problem(
        client.post(f"{path}/approve", json={"digest": "f" * 64, "reason": "r"}), 409, "conflict"
    )
    body = {"digest": action["digest"], "reason": HOSTILE}
    approved = client.post(f"{path}/approve", json=body).json()
    assert (approved["status"], approved["decision_reason"]) == ("approved", HOSTILE)
    assert approved["decided_by"].startswith("key:")
    assert approved["expires_at"] > approved["decided_at"]
    is_problem(client.post(f"{path}/approve", json=body), 409, "conflict")
    listed = client.get(ACTIONS, params={"status": "approved"}).json()["actions"]
    assert [each["action_id"] for each in listed] == [action["action_id"]]
    is_problem(client.post(f"{path}/reject", json={}), 422, "input")
    is_problem(client.post(f"{path}/reject", json={"reason": ""}), 422, "input")
    assert client.post(f"{path}/reject", json={"reason": "no"}).json()["status"] == "rejected"


def test_deciding_needs_a_key_that_may_write(server: Server, incidents: dict[str, str]) -> None:
    reader = tocsin(server.data, "key", "create", "reader", "--scope", "read").stdout.decode()
    headers = {"Authorization": f"Bearer {reader.strip()}"}
    one = incidents["ws-3"]
    with httpx2.Client(base_url=server.url, headers=headers) as client:
        assert client.get(INCIDENTS).status_code == 200
        assert client.post(f"{INCIDENTS}/{one}/close").status_code == 403
        body = {"digest": "x", "reason": "r"}
        assert client.post(f"{ACTIONS}/x/approve", json=body).status_code == 403
    assert httpx2.get(server.url + INCIDENTS).status_code == 401


def test_the_documentation_says_that_nothing_is_executed(client: httpx2.Client) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    said = paths["/api/v1/remediation/{action_id}/approve"]["post"]["description"]
    assert "does not execute" in said


@pytest.mark.timeout(300)  # two dozen processes
def test_the_command_line_shows_and_changes_the_same(
    server: Server, client: httpx2.Client, incidents: dict[str, str]
) -> None:
    one, two = incidents["ws-2"], incidents["ws-3"]

    def run(*arguments: str, code: int = 0) -> str:
        done = tocsin(server.data, *arguments)
        assert done.returncode == code, done.stderr.decode()
        return (done.stdout + done.stderr).decode()

    assert one in run("incident", "list")
    shown = run("incident", "show", one)
    assert "Why they belong together" in shown
    assert "Both have the host ws-2" in shown
    as_json = json.loads(run("incident", "show", one, "--json"))
    assert as_json == client.get(f"{INCIDENTS}/{one}").json()
    ours = alerts_of(client, one)
    new = run("incident", "split", one, ours[0], "--reason", HOSTILE).strip()
    assert alerts_of(client, new) == ours[:1]
    run("incident", "undo", one)
    run("incident", "merge", one, two)
    assert two not in run("incident", "list")
    assert f"merged into {one[:8]}" in run("incident", "list", "--merged")
    run("incident", "undo", one)
    assert two in run("incident", "list")
    run("incident", "assign", one, "dora")
    history = client.get(f"{INCIDENTS}/{one}").json()["history"]
    ways = dict(change["actor"].split(":", 1) for change in history)  # who, not only from where
    assert "cli" in ways
    assert "dora" in run("incident", "list", "--status", "open")
    run("incident", "close", one, "--reason", "done")
    assert "is closed" in run("incident", "close", one, code=2)
    run("incident", "reopen", one)
    assert "no incident" in run("incident", "show", "none", code=2)
    actions = json.loads(run("action", "list", "--incident", one, "--json"))["actions"]
    action = actions[0]["action_id"]
    assert "somebody has to" in run("action", "approve", action, "--reason", "called them")
    assert "called them" in run("action", "show", action)
    assert "approved already" in run("action", "approve", action, "--reason", "again", code=2)
    assert "rejected" in run("action", "reject", action, "--reason", "changed our mind")
    assert "say why" in run("action", "reject", action, "--reason", " ", code=2)
    listed = run("audit", "list")
    assert "remediation.rejected" in listed
    assert f"incident {one}" in run("explain", ours[0])


def test_nothing_went_wrong(server: Server, client: httpx2.Client) -> None:
    assert settled(server)["parked"] == 0
    has_no_trouble(server)


def test_after_kill_9_every_follow_up_is_done_once(tmp_path: Path) -> None:
    told = [each.alert for each in day() if each.story or "Trojan" in str(each.alert["title"])]
    quick = {"sweep_interval": "0.5", "sweep_after": "1", "batch": "20"}
    server = start(tmp_path, **quick)
    for number in range(4):
        with server.client() as client:
            part = told[number * 20 : (number + 1) * 20]
            accepted(client.post(ALERTS, json=part))
        time.sleep(0.03 * number)
        server.kill()
        server = start(tmp_path, **quick)
    balance, following = server.settle(), settled(server)
    assert balance["received"] == balance["triaged"] == len(told[:80])
    assert (following["parked"], following["waiting"]) == (0, 0)
    database = server.database
    server.stop()
    doubled = query(
        database,
        "SELECT alert_id FROM incident_alerts WHERE removed_at IS NULL "
        "GROUP BY alert_id HAVING count(*) > 1",
    )
    assert doubled == []
    counts = query(
        database,
        "SELECT i.alerts, count(a.alert_id) AS found FROM incidents i LEFT JOIN incident_alerts a "
        "ON a.incident_id = i.incident_id AND a.removed_at IS NULL GROUP BY i.incident_id",
    )
    assert all(row["alerts"] == row["found"] for row in counts)
    wanted = query(
        database,
        "SELECT count(*) AS n FROM triage_results "
        "WHERE risk_level IN ('medium', 'high', 'critical') OR verdict = 'true_positive'",
    )
    assert following["done"] == wanted[0]["n"]
    with sqlite3.connect(database) as connection:
        (left,) = connection.execute("SELECT count(*) FROM alert_work").fetchone()
    assert left == 0


def test_a_follow_up_can_be_tried_again_over_http(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.client() as client:
        ids = accepted(client.post(ALERTS, json=case("ws-1")))
        settled(server)
        is_problem(client.post(f"{ALERTS}/{ids[0]}/retry"), 404, "not_found")
        with sqlite3.connect(server.database) as connection:
            connection.execute(
                "INSERT INTO alert_work (alert_id, step, since, rung_at, parked_at, error) "
                "VALUES (?, 'after', 0, 0, 1, 'after: broken')",
                (ids[0],),
            )
        assert settled(server)["parked"] == 1
        assert server.balance()["parked"] == 0
        doctor = tocsin(server.data, "doctor").stdout.decode()
        assert "1 follow-ups are parked" in doctor
        assert ids[0] in doctor
        answer = client.post(f"{ALERTS}/{ids[0]}/retry")
        assert answer.json() == {"alert_id": ids[0], "status": "triaged"}
        end = time.monotonic() + 30
        while settled(server)["done"] < 4 and time.monotonic() < end:
            time.sleep(0.1)
        assert settled(server)["parked"] == 0
