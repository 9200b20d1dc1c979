"""Five services on a real PostgreSQL and RabbitMQ: the plan, replicas, poison, faults."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.postgres import Postgres
from tests.rabbitmq import RabbitMQ
from tests.servers import tocsin
from tests.services import CHAIN, SEPARATE, Fleet, fleet, post

IP = "45.33.32.156"
HASH = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
QUEUES = (
    "alert.raw",
    "alert.normalized",
    "alert.enriched",
    "alert.contextualized",
    "alert.result",
)

QUICK = {"sweep_interval": "1", "sweep_after": "3"}  # bells that got lost are rung again soon


def alert(number: int) -> dict[str, object]:
    return {
        "title": f"Connection {number} to a watched address",
        "severity": ("low", "medium", "high")[number % 3],
        "timestamp": 1_772_600_000 + number,
        "source_ip": f"10.20.{number // 250 % 250}.{number % 250 + 1}",
        "destination_ip": f"198.51.100.{number % 250 + 1}",
        "asset_id": f"PC-{number % 40}",
        "user_name": f"user{number % 30}",
        "rule_id": f"R-{number % 9}",
    }


@pytest.fixture(scope="module")
def database(postgres_server: Postgres) -> Iterator[str]:
    yield postgres_server.create("security_triage")
    postgres_server.drop("security_triage")


@pytest.fixture(scope="module")
def broker(rabbit_server: RabbitMQ) -> Iterator[str]:
    yield rabbit_server.create("services")
    rabbit_server.drop("services")


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, database: str, broker: str
) -> Iterator[Fleet]:
    """Five separate services, and a second replica of two of them."""
    groups = (*SEPARATE, ("normalizer",), ("triage",))
    with fleet(tmp_path_factory.mktemp("fleet"), database, broker, groups, **QUICK) as running:
        yield running


def test_the_acceptance_plan_passes_by_the_queries_that_were_asked_for(
    services: Fleet, postgres_server: Postgres
) -> None:
    (alert_id,) = post(
        services,
        [
            {
                "title": "Malware beacon", "severity": "high", "source_ip": IP,
                "file_hash": HASH, "asset_id": "SRV-001", "user_id": "u-1001",
            }
        ],
    )  # fmt: skip
    services.settle()

    def sql(query: str) -> list[str]:
        return postgres_server.sql(query, "security_triage").splitlines()

    (row,) = sql(
        "SELECT source_ip, file_hash, asset_id, user_id, status FROM alerts "
        f"WHERE alert_id = '{alert_id}'"
    )
    assert row == f"{IP}|{HASH}|SRV-001|u-1001|triaged"
    contexts = sql(
        "SELECT alert_id, context_type, source FROM alert_context "
        f"WHERE alert_id = '{alert_id}' ORDER BY context_type"
    )
    assert [line.split("|")[1] for line in contexts] == ["asset", "network", "user"]
    found = sql(
        f"SELECT ioc, ioc_type, threat_level FROM threat_intel WHERE ioc IN ('{IP}', '{HASH}') "
        "ORDER BY ioc"
    )
    assert found == [f"{IP}|ip|unknown", f"{HASH}|hash|unknown"]
    (result,) = sql(
        "SELECT risk_score, risk_level, length(analysis_result) FROM triage_results "
        f"WHERE alert_id = '{alert_id}'"
    )
    assert float(result.split("|")[0]) > 0
    assert int(result.split("|")[2]) > 100


def test_every_service_answers_for_its_dependencies_and_says_that_it_consumes(
    services: Fleet,
) -> None:
    for service in services.services:
        answer = httpx2.get(f"{service.url}/health", timeout=10)
        assert answer.status_code == 200, answer.text
        assert {c["status"] for c in answer.json()["checks"].values()} == {"up"}
        if service.roles != ("ingestor",):
            assert "Message consumer task started" in service.log.read_text()


def test_replicas_share_the_work_and_nothing_is_triaged_twice(
    services: Fleet, postgres_server: Postgres
) -> None:
    before = services.balance()["triaged"]
    ids: list[str] = []
    for start in range(0, 2000, 50):
        ids += post(services, [alert(n) for n in range(start, start + 50)])
    balance = services.settle()
    assert balance["triaged"] == before + 2000
    assert balance["received"] == balance["triaged"]
    count = postgres_server.sql(
        "SELECT count(*), count(DISTINCT alert_id) FROM triage_results", "security_triage"
    )
    assert count == f"{balance['triaged']}|{balance['triaged']}"
    for role in ("normalizer", "triage"):
        replicas = [s for s in services.services if s.roles == (role,)]
        done = [_done(service.url) for service in replicas]
        assert len(done) == 2
        assert all(done), f"one {role} did nothing: {done}"
        assert sum(done) >= 2000


def _done(url: str) -> int:
    text = httpx2.get(f"{url}/metrics", timeout=10).text
    found = re.findall(r'tocsin_step_alerts_total\{outcome="done",step="\w+"\} (\S+)', text)
    return int(sum(float(value) for value in found))


def test_the_queues_are_quorum_queues_without_limits_that_drop(
    services: Fleet, rabbit_server: RabbitMQ
) -> None:
    assert services
    listed = rabbit_server.control(
        "list_queues", "-q", "-p", "services", "name", "arguments", "--formatter", "json"
    )
    queues = {q["name"]: dict_of(q["arguments"]) for q in json.loads(listed.stdout)}
    for name in QUEUES:
        assert queues[name]["x-queue-type"] == "quorum"
        assert queues[name]["x-dead-letter-routing-key"] == "alert.dead"
        assert not set(queues[name]) & {"x-message-ttl", "x-max-length", "x-expires"}


def dict_of(arguments: object) -> dict[str, object]:
    """rabbitmqctl prints a table as an object or as triples."""
    if isinstance(arguments, dict):
        return arguments
    assert isinstance(arguments, list)
    return {item[0]: item[-1] for item in arguments}


def test_queues_can_be_listed_purged_and_replayed(
    services: Fleet, database: str, broker: str
) -> None:
    listed = tocsin(services.folder, "queue", "list", broker=broker, database=database)
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout.decode() for name in (*QUEUES, "alert.dead"))
    purged = tocsin(services.folder, "queue", "purge", "alert.raw", broker=broker)
    assert purged.returncode == 0, purged.stderr
    replayed = tocsin(services.folder, "queue", "replay", broker=broker, database=database)
    assert replayed.returncode == 0, replayed.stderr
    wrong = tocsin(services.folder, "queue", "purge", "nothing", broker=broker)
    assert wrong.returncode == 2


def test_deleted_queues_cost_a_delay_and_no_alert(services: Fleet, rabbit_server: RabbitMQ) -> None:
    before = services.balance()["triaged"]
    for name in QUEUES:
        rabbit_server.control("delete_queue", name, "-p", "services", check=False)
    ids = post(services, [alert(n) for n in range(10_000, 10_100)])
    assert len(set(ids)) == 100
    assert services.settle(120)["triaged"] == before + 100


def test_a_killed_role_loses_nothing(services: Fleet) -> None:
    before = services.balance()["triaged"]
    victim = next(s for s in services.services if s.roles == ("context",))
    for start in range(20_000, 21_000, 100):
        post(services, [alert(n) for n in range(start, start + 100)])
        if start == 20_300:
            victim.kill()
    victim.start()
    victim.wait()
    started = time.monotonic()
    balance = services.settle(180)
    print(f"caught up {time.monotonic() - started:.1f} s after the restart")
    assert balance["triaged"] == before + 1000
    assert balance["parked"] == 0


def test_a_stopped_broker_costs_a_delay_and_alerts_are_still_accepted(
    tmp_path: Path, postgres_url: str, rabbit_server: RabbitMQ
) -> None:
    url = rabbit_server.create("stopped")
    with fleet(tmp_path, postgres_url, url, (("ingestor",), CHAIN), **QUICK) as running:
        post(running, [alert(n) for n in range(50)])
        running.settle()
        rabbit_server.control("stop_app")
        try:
            assert len(post(running, [alert(n) for n in range(50, 150)])) == 100
            health = httpx2.get(f"{running.ingestor.url}/health", timeout=30)
            assert health.status_code == 503
            assert health.json()["checks"]["bus"]["status"] == "down"
            assert health.json()["checks"]["database"]["status"] == "up"
        finally:
            rabbit_server.control("start_app")
        assert running.settle(120)["triaged"] == 150


def test_a_stopped_database_costs_a_delay_and_nobody_spins_or_dies(
    tmp_path: Path, postgres_server: Postgres, broker_url: str
) -> None:
    url = postgres_server.create("stopped_database")
    with fleet(tmp_path, url, broker_url, (("ingestor",), CHAIN), **QUICK) as running:
        post(running, [alert(n) for n in range(200)])
        postgres_server.stop(immediately=True)
        try:
            with running.client() as client:
                refused = client.post("/api/v1/alerts", json=alert(999))
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            time.sleep(2)
            assert all(s.process and s.process.poll() is None for s in running.services)
        finally:
            postgres_server.start()
        post(running, [alert(n) for n in range(200, 300)])
        balance = running.settle(120)
        assert balance["triaged"] == balance["received"] == 300
    postgres_server.drop("stopped_database")


def test_sigterm_drains_a_role(tmp_path: Path, postgres_url: str, broker_url: str) -> None:
    with fleet(tmp_path, postgres_url, broker_url, (("ingestor",), CHAIN), **QUICK) as running:
        post(running, [alert(n) for n in range(300)])
        worker = running.services[1]
        assert worker.stop() == 0
        log = worker.log.read_text()
        assert "system.stopped" in log
        worker.start()
        worker.wait()
        assert running.settle(60)["triaged"] == 300
