"""Learning as processes and over HTTP, on both databases: live only if better, and back."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest
from tests.decided import by_hand, decided_server, sql, url_of, wait_until
from tests.flow.questions import is_problem
from tests.servers import Server, serving, tocsin

MODELS = "/api/v1/models"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("learn")
    with decided_server(
        request.param, folder, lambda: request.getfixturevalue("postgres_server")
    ) as server:
        yield server


def run(server: Server, *arguments: str, stdin: bytes | None = None) -> Any:
    return tocsin(server.data, *arguments, stdin=stdin, database=url_of(server))


def decided(days: range, turned: bool = False) -> bytes:
    """Four rules that are always attacks, and four that never are."""
    lines = [
        {
            "alert": {
                "title": f"rule {rule} day {day} {n}", "rule_id": f"L-{rule}", "severity": "medium",
                "host_name": f"h{n}", "source_ip": f"192.0.2.{rule}", "run": turned,
                "timestamp": f"2026-03-{day:02d}T{rule:02d}:{n:02d}:00Z",
            },
            "disposition": "true_positive" if (rule % 2 == 0) != turned else "false_positive",
            "decided_at": f"2026-03-{day:02d}T20:00:00Z",
        }
        for day in days for rule in range(8) for n in range(2)
    ]  # fmt: skip
    return b"\n".join(json.dumps(line).encode() for line in lines)


def live(client: httpx2.Client) -> str:
    return str(client.get(MODELS).json()["live"])


def state(server: Server) -> int:
    rows = sql(server, "SELECT version FROM model_state")
    return rows[0]["version"] if rows else 0


@pytest.mark.timeout(600)  # some fifteen processes, one after the other
def test_a_model_is_learned_goes_live_and_is_taken_back(running: Server) -> None:
    early = run(running, "learn", "--json")
    assert early.returncode == 0, early.stderr
    assert json.loads(early.stdout)["outcome"] == "not_enough"
    assert "0 decisions; 50 are needed" in json.loads(early.stdout)["why"]
    done = run(running, "decisions", "import", "-", stdin=decided(range(1, 16)))
    assert done.returncode == 0, done.stderr
    assert b"240 imported" in done.stdout

    dry = run(running, "learn", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    text = dry.stdout.decode()
    for words in ("dry_run: better than shipped", "baseline: signature", "Brier", "ROC-AUC"):
        assert words in text
    with running.client() as client:
        assert client.get(MODELS).json() == {"live": "shipped", "models": []}
    assert state(running) == 0

    waiting = json.loads(run(running, "learn", "--wait", "--json").stdout)
    assert waiting["outcome"] == "challenger"
    assert state(running) == 0
    outcome = json.loads(run(running, "learn", "--json").stdout)
    assert outcome["outcome"] == "live", outcome
    version = outcome["version"]
    assert version == waiting["version"], "the same decisions give the same model"
    assert state(running) == 1
    with running.client() as client:
        shown = client.get(MODELS).json()
        assert shown["live"] == version
        assert [model["status"] for model in shown["models"]] == ["champion"]
        whole = client.get(f"{MODELS}/{version}").json()
        assert whole["artifact"]["version"] == version
        assert whole["card"]["data"]["by_disposition"] == {
            "true_positive": 120, "false_positive": 120
        }  # fmt: skip
        assert whole["card"]["challenger"]["log_loss"] < whole["card"]["champion"]["log_loss"]
        picture = client.get(f"{MODELS}/{version}/reliability.svg")
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert ET.fromstring(picture.text).tag.endswith("svg")
        for path in ("nothing", "nothing/reliability.svg", "%7B%25s", "a%00b"):
            is_problem(client.get(f"{MODELS}/{path}"), 404, "not_found")
        is_problem(client.post(f"{MODELS}/shipped/use"), 403, "forbidden")

    again = json.loads(run(running, "learn", "--json").stdout)
    assert again["outcome"] == "not_enough"
    assert "has not learned from" in again["why"]
    turned = run(running, "decisions", "import", "-", stdin=decided(range(16, 26), turned=True))
    assert turned.returncode == 0, turned.stderr
    judged = json.loads(run(running, "learn", "--json").stdout)
    assert judged["outcome"] in ("rejected", "live"), "there is enough that is new to compare on"
    changed(running, version)


def changed(running: Server, version: str) -> None:
    """By the command line and by HTTP, with a key that may."""
    with running.client() as client:
        now = live(client)
    if now != version:
        assert run(running, "model", "use", version).returncode == 0
    listed = run(running, "model", "list").stdout.decode()
    assert f"live: {version}" in listed
    picture = running.data / "picture.svg"
    shown = run(running, "model", "show", version, "--diagram", str(picture))
    assert shown.returncode == 0, shown.stderr
    assert "weights" in shown.stdout.decode() or "weight" in shown.stdout.decode()
    assert ET.fromstring(picture.read_text()).tag.endswith("svg")
    before = state(running)
    back = run(running, "model", "shipped")
    assert back.returncode == 0, back.stderr
    assert f"back with: tocsin model use {version}" in back.stdout.decode()
    assert state(running) == before + 1
    made = run(running, "key", "create", "admin", "--scope", "admin")
    headers = {"Authorization": f"Bearer {made.stdout.decode().strip()}"}
    with httpx2.Client(base_url=running.url, headers=headers, timeout=60) as admin:
        is_problem(admin.post(f"{MODELS}/shipped/use"), 409, "conflict")
        is_problem(admin.post(f"{MODELS}/nothing/use"), 404, "not_found")
        used = admin.post(f"{MODELS}/{version}/use")
        assert used.json() == {"live": version, "before": "shipped"}
    assert state(running) == before + 2
    assert len(sql(running, "SELECT 1 FROM models WHERE status = 'champion'")) == 1
    trail = sql(running, "SELECT actor FROM audit_logs WHERE action = 'model.used'")
    assert {row["actor"].partition(":")[0] for row in trail} == {"cli", "key"}


def test_only_one_process_learns_at_once(running: Server) -> None:
    run(running, "learn", "--json")
    by_hand(running, "UPDATE leases SET owner = 'x', until = :t", t=time.time() + 60)
    busy = run(running, "learn", "--json")
    assert (busy.returncode, busy.stdout) == (4, b"")
    assert b"somebody else is learning" in busy.stderr
    by_hand(running, "UPDATE leases SET until = :t", t=time.time() - 1)
    assert run(running, "learn", "--json").returncode == 0, "a lease of the dead runs out"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_server_learns_on_its_schedule(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {"learn_interval": "0.001"}
    if kind == "postgresql":
        server_of = request.getfixturevalue("postgres_server")
        settings["database"] = server_of.create(f"t{uuid.uuid4().hex[:12]}")
    with serving(tmp_path, **settings) as server:
        wait_until(lambda: lines(server, "learn.done"))
        (first, *_) = lines(server, "learn.done")
        assert first["outcome"] == "not_enough"
        assert run(server, "decisions", "import", "-", stdin=decided(range(1, 16))).returncode == 0
        wait_until(lambda: any(line["outcome"] == "live" for line in lines(server, "learn.done")))
        with server.client() as client:
            assert live(client) != "shipped"
        assert server.stop() == 0
        assert not lines(server, "learn.failed")
        actors = sql(server, "SELECT actor FROM audit_logs WHERE action = 'model.stored'")
        assert {row["actor"] for row in actors} == {"schedule"}


def lines(server: Server, event: str) -> list[dict[str, Any]]:
    log = server.log.read_text().splitlines()
    return [json.loads(line) for line in log if f'"{event}"' in line]
