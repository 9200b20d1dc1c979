"""Closing through the front door: HTTP and the commands, on a running server."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.closing.world import CLASS, suricata
from tests.flow.questions import ALERTS, accepted, has_no_trouble, is_problem, query
from tests.flow.test_api import holder_of
from tests.postgres import Postgres
from tests.servers import Server, serving, tocsin

from tocsin.app import open_store
from tocsin.model import KeyScope
from tocsin.settings import Settings

AUTOCLOSE = "/api/v1/autoclose"
RULES = {"classes": [CLASS], "alpha": 0.1, "delta": 0.2, "sample_rate": 0.3}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which looks for drift all the time."""
    with serving(tmp_path / "data", autoclose_check="0.2") as server:
        yield server


@pytest.fixture
def client(running: Server) -> Iterator[httpx2.Client]:
    opened, _ = holder_of(running, KeyScope.ADMIN)
    with opened:
        yield opened


def send(server: Server, client: httpx2.Client, numbers: range) -> list[str]:
    ids = accepted(client.post(ALERTS, json=[suricata(n) for n in numbers]))
    server.settle()
    return ids


def judge(server: Server, ids: list[str], word: str) -> None:
    """People decide."""
    said = {"disposition": word, "reason": "looked at {} %s"}
    with server.client() as client:
        for alert_id in ids:
            answer = client.post(f"{ALERTS}/{alert_id}/disposition", json=said)
            assert answer.status_code < 300, answer.text


def samples(client: httpx2.Client) -> list[str]:
    found = client.get(f"{AUTOCLOSE}/samples", params={"limit": 1000, "all": True}).json()
    return [line["sample"]["alert_id"] for line in found["samples"]]


def metric(client: httpx2.Client, start: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(start)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def until(what: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_from_shadow_to_on_to_reopened_to_off_by_itself(
    running: Server, client: httpx2.Client
) -> None:
    assert client.get(AUTOCLOSE).json()["mode"] == "off"
    begun = client.put(AUTOCLOSE, json=RULES).json()
    assert (begun["mode"], begun["version"]) == ("shadow", 1)
    assert begun["classes"][0]["bound"]["needed"] == 16
    send(running, client, range(120))
    assert client.get(f"{AUTOCLOSE}/classes").json() == {CLASS: 120}
    drawn = samples(client)
    judge(running, drawn, "false_positive")
    assert samples(client) == []
    preview = client.post(f"{AUTOCLOSE}/preview").json()
    assert preview["ready"], preview
    assert preview["would_close"] == 120 - len(drawn)
    is_problem(client.post(f"{AUTOCLOSE}/enable", json={"digest": "0" * 16}), 409, "conflict")
    on = client.post(f"{AUTOCLOSE}/enable", json={"digest": preview["digest"]}).json()
    assert on["mode"] == "on"
    time.sleep(0.4)  # a worker looks for the policy five times a second
    ids = send(running, client, range(1000, 1100))
    page = client.get(ALERTS, params={"closed_by": "autoclose", "limit": 500}).json()["alerts"]
    closed = [alert["alert_id"] for alert in page]
    assert 40 < len(closed) < 95
    assert set(closed) <= set(ids)
    assert {alert["status"] for alert in page} == {"closed"}
    one = client.get(f"{ALERTS}/{closed[0]}").json()["closing"]
    assert (one["action"], one["class"], one["policy_version"]) == ("closed", CLASS, 1)
    assert metric(client, f'tocsin_autoclosed_alerts_total{{class="{CLASS}"}}') == len(closed)
    assert metric(client, "tocsin_autoclose_sampled_alerts_total") >= 100 - len(closed)
    until(lambda: metric(client, 'tocsin_autoclose_state{state="on"}') == 1)
    answer = client.post(f"{ALERTS}/{closed[0]}/reopen")
    assert (answer.status_code, answer.json()["status"]) == (200, "triaged")
    is_problem(client.post(f"{ALERTS}/{closed[0]}/reopen"), 404, "not_found")
    judge(running, samples(client), "true_positive")
    until(lambda: client.get(AUTOCLOSE).json()["tripped"])
    report = client.get(AUTOCLOSE).json()
    assert report["mode"] == "off"
    assert "attacks among" in report["reason"]
    assert report["reopened"] == 1
    until(lambda: metric(client, 'tocsin_autoclose_state{state="tripped"}') == 1)
    assert "seed" not in client.get(AUTOCLOSE).text
    log = running.log.read_text()
    assert "Traceback" not in log
    (seed,) = query(running.database, "SELECT seed FROM closing_policies")
    assert seed["seed"] not in log


def test_the_kill_switch_stops_closing_at_once_under_load(
    running: Server, client: httpx2.Client
) -> None:
    client.put(AUTOCLOSE, json=RULES)
    send(running, client, range(120))
    judge(running, samples(client), "false_positive")
    digest = client.post(f"{AUTOCLOSE}/preview").json()["digest"]
    client.post(f"{AUTOCLOSE}/enable", json={"digest": digest})

    def closed() -> int:
        rows = query(running.database, "SELECT count(*) AS n FROM closures WHERE action = 'closed'")
        return int(rows[0]["n"])

    time.sleep(0.4)
    for part in range(6):
        numbers = range(10_000 + part * 400, 10_400 + part * 400)
        accepted(client.post(ALERTS, json=[suricata(n) for n in numbers]))
    until(lambda: closed() > 0)
    with running.client() as other:  # the first key may stop it, but not begin it
        answer = other.post(f"{AUTOCLOSE}/disable", json={"reason": "stop {} %s"})
        at_switch = closed()
    assert answer.json() == {"mode": "off", "changed": True}
    running.settle()
    send(running, client, range(50_000, 50_100))
    assert closed() == at_switch
    assert client.get(AUTOCLOSE).json()["reason"] == "stop {} %s"
    assert client.post(f"{AUTOCLOSE}/disable").json() == {"mode": "off", "changed": False}
    has_no_trouble(running)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'{"classes": "x"}', b'{"classes": []}', b'{"classes": ["x"]}',
        b'{"classes": ["a/b"], "alpha": 0}', b'{"classes": ["a/b"], "sample_rate": 0.009}',
        b'{"classes": ["a/b"], "nonsense": 1}', b'{"classes": ["a/\\u0000"]}',
        b'{"classes": ["a/b", "a/b"]}', b'{"classes": ["a/b"], "ceiling": 0.51}', b"\xff\xfe",
        b'{"classes": ["a/\\udc80"]}', b'{"classes": ["a/b"], "looks": 1e400}',
    ],
)  # fmt: skip
def test_rules_that_cannot_work_are_refused(server: Server, body: bytes) -> None:
    client, _ = holder_of(server, KeyScope.ADMIN)
    with client:
        before = client.get(AUTOCLOSE).json()
        answer = client.put(AUTOCLOSE, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert client.get(AUTOCLOSE).json() == before


def test_who_may_do_what(server: Server) -> None:
    calls = {
        KeyScope.READ: [("GET", ""), ("GET", "/classes"), ("GET", "/samples")],
        KeyScope.WRITE: [("POST", "/preview"), ("POST", "/disable")],
        KeyScope.ADMIN: [("PUT", ""), ("POST", "/enable")],
    }
    for scope in (KeyScope.INGEST, KeyScope.READ, KeyScope.WRITE):
        client, _ = holder_of(server, scope)
        with client:
            for needed, requests in calls.items():
                for method, path in requests:
                    answer = client.request(method, AUTOCLOSE + path)
                    assert (answer.status_code == 403) == (needed is not scope), (scope, path)
    assert httpx2.post(f"{server.url}{AUTOCLOSE}/disable").status_code == 401


def test_closed_by_is_checked(server: Server) -> None:
    with server.client() as client:
        for wrong in ("nobody", "autoclose:", "autoclose:x", "autoclose:٣", "autoclose:-1", "'"):
            is_problem(client.get(ALERTS, params={"closed_by": wrong}), 422, "input")
        assert client.get(ALERTS, params={"closed_by": "autoclose:999999999"}).status_code == 200


def test_the_commands_do_what_the_api_does(running: Server, client: httpx2.Client) -> None:
    data = running.data
    began = tocsin(data, "autoclose", "shadow", "--class", CLASS, "--alpha", "0.1", "--delta",
                   "0.2", "--sample-rate", "0.3", "--rules", '{"max_gaps": 4}')  # fmt: skip
    assert began.returncode == 0, began.stderr
    assert "after 16 judged samples" in began.stdout.decode()
    time.sleep(0.4)
    send(running, client, range(120))
    assert f"{CLASS}" in tocsin(data, "autoclose", "classes").stdout.decode()
    invented = [{"title": f"a feed {n}"} for n in range(6)]
    for number, alert in enumerate(invented):
        client.post(ALERTS, params={"source": f"feed-{number}"}, json=alert)
    running.settle()
    few = tocsin(data, "autoclose", "classes", "--rows", "2", "--json")
    assert len(json.loads(few.stdout)) == 2
    assert next(iter(json.loads(few.stdout))) == CLASS
    assert "and 5 smaller classes with 5 alerts" in few.stderr.decode()
    assert len(client.get(f"{AUTOCLOSE}/classes", params={"limit": 3}).json()) == 3
    listed = json.loads(tocsin(data, "autoclose", "samples", "--limit", "1000", "--json").stdout)
    ids = [line["sample"]["alert_id"] for line in listed]
    assert ids
    assert ids[0] in tocsin(data, "autoclose", "samples").stdout.decode()
    early = tocsin(data, "autoclose", "preview")
    assert early.returncode == 1
    assert "too little data" in early.stdout.decode()
    judge(running, ids, "false_positive")
    shown = tocsin(data, "autoclose", "preview")
    assert shown.returncode == 0, shown.stderr
    digest = json.loads(tocsin(data, "autoclose", "preview", "--json").stdout)["digest"]
    assert f"tocsin autoclose enable {digest}" in shown.stdout.decode()
    wrong = tocsin(data, "autoclose", "enable", "nonsense{}%s\x1b")
    assert wrong.returncode == 2
    assert b"Traceback" not in wrong.stderr
    assert tocsin(data, "autoclose", "enable", digest).returncode == 0
    time.sleep(0.4)
    send(running, client, range(1000, 1050))
    page = client.get(ALERTS, params={"closed_by": "autoclose:1"}).json()["alerts"]
    assert page
    assert "autoclose: on" in tocsin(data, "autoclose", "show").stdout.decode()
    alert_id = page[0]["alert_id"]
    assert tocsin(data, "autoclose", "reopen", alert_id).returncode == 0
    assert tocsin(data, "autoclose", "reopen", alert_id).returncode == 2
    off = tocsin(data, "autoclose", "disable", "--reason", "\x1b[2J{evil}")
    assert b"nothing is closed any more" in off.stdout
    said = tocsin(data, "autoclose", "show").stdout.decode()
    assert r"\x1b[2J{evil}" in said
    assert "\x1b" not in said
    report = json.loads(tocsin(data, "autoclose", "show", "--json").stdout)
    assert (report["mode"], report["reopened"]) == ("off", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--class", "x"], ["--class", "a/b", "--alpha", "7"], ["--class", "a/b", "--rules", "{"],
        ["--class", "a/b", "--rules", '{"x": 1}'], [], ["--class", "a/b", "--rules", "[1]"],
    ],
)  # fmt: skip
def test_wrong_rules_are_a_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    done = tocsin(tmp_path, "autoclose", "shadow", *arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_the_simulation_is_a_command(tmp_path: Path) -> None:
    done = tocsin(tmp_path, "autoclose", "simulate", "--histories", "1000", "--samples", "299")
    assert done.returncode == 0, done.stderr
    assert "level" in done.stdout.decode()
    again = tocsin(tmp_path, "autoclose", "simulate", "--histories", "500", "--json")
    worlds = {line["world"]: line for line in json.loads(again.stdout)}
    assert all(line["bound_broken"] <= 0.05 for line in worlds.values() if line["holds"])
    assert worlds["repeats"]["refused"] == 1.0


def test_the_commands_work_on_postgresql(tmp_path: Path, postgres_server: Postgres) -> None:
    url = postgres_server.create("autoclose")
    try:
        for command in (
            ["shadow", "--class", CLASS], ["show"], ["samples"], ["classes"], ["disable"],
        ):  # fmt: skip
            done = tocsin(tmp_path, "autoclose", *command, database=url)
            assert done.returncode == 0, done.stderr
        shown = json.loads(tocsin(tmp_path, "autoclose", "show", "--json", database=url).stdout)
        assert (shown["mode"], shown["reason"]) == ("off", "switched off")
    finally:
        postgres_server.drop("autoclose")


def test_migrations_go_up_and_down(settings: Settings) -> None:
    from tocsin.store import migrate
    from tocsin.store.database import Database

    async def there_and_back() -> list[str | None]:
        async with open_store(settings):
            pass
        database = Database(settings.database_url)
        try:
            before = await migrate.current(database)
            await database.write(lambda c: _downgrade(c, "0003"))
            middle = await migrate.current(database)
            await migrate.upgrade(database)
            return [before, middle, await migrate.current(database)]
        finally:
            await database.close()

    before, middle, after = asyncio.run(there_and_back())
    assert middle == "0003"
    assert before == after


def _downgrade(connection: Any, target: str) -> None:
    from alembic import command

    from tocsin.store.migrate import _config

    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, target)
