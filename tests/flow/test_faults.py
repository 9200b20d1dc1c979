"""Faults of servers and clocks under five services: a delay, never an alert."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.faults import (
    DEADLOCK,
    EVERY_TRANSACTION,
    FULL,
    PARKED_FOLLOW_UPS,
    SERIALIZATION,
    Spoilt,
    deliver,
    is_whole,
    poisoned,
    poisoned_follow_up,
)
from tests.flow.test_services import alert
from tests.postgres import Postgres
from tests.rabbitmq import RabbitMQ
from tests.services import SEPARATE, Fleet, fleet, post

QUICK = {"sweep_interval": "1", "sweep_after": "2", "retry_pause": "0.2"}
HOUR = 3600.0


@pytest.fixture(scope="module")
def spoilt(postgres_server: Postgres) -> Iterator[Spoilt]:
    postgres_server.create("faults")
    yield Spoilt(postgres_server, "faults")
    postgres_server.drop("faults")


@pytest.fixture(scope="module")
def broker(rabbit_server: RabbitMQ) -> Iterator[str]:
    yield rabbit_server.create("faults")
    rabbit_server.drop("faults")


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, spoilt: Spoilt, broker: str
) -> Iterator[Fleet]:
    url = f"postgresql://triage_user@127.0.0.1:{spoilt.server.port}/{spoilt.name}"
    with fleet(
        tmp_path_factory.mktemp("faults"), url, broker, SEPARATE, spoilable=True, **QUICK
    ) as running:
        yield running


@pytest.fixture
def new(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """Alerts that no other test has sent."""
    return ({**alert(n), "title": f"{request.node.name} {n}"} for n in range(1_000_000))


def send(services: Fleet, new: Iterator[dict[str, object]], count: int) -> list[str]:
    ids: list[str] = []
    for _ in range(0, count, 50):
        ids += post(services, [next(new) for _ in range(50)])
    return ids


def insist(services: Fleet, new: Iterator[dict[str, object]], count: int) -> list[str]:
    """Send as senders do: what got 503 was not taken, and is sent again."""
    ids: list[str] = []
    for _ in range(0, count, 50):
        alerts = [next(new) for _ in range(50)]
        for _ in range(10):
            with services.client() as client:
                answer = client.post("/api/v1/alerts", json=alerts)
            if answer.status_code != 503:
                break
        assert answer.status_code == 202, answer.text
        ids += [sent["alert_id"] for sent in answer.json()["alerts"]]
    return ids


def settled(services: Fleet, seconds: float = 60) -> dict[str, int]:
    """The balance once nothing is in flight; says how long that took."""
    started = time.monotonic()
    balance = services.settle(seconds)
    print(f"caught up in {time.monotonic() - started:.1f} s")
    return balance


def test_a_full_disk_is_said_to_senders_and_waited_for_by_workers(
    services: Fleet, spoilt: Spoilt, new: Iterator[dict[str, object]]
) -> None:
    before = services.balance()
    ids = send(services, new, 50)
    with spoilt.refusing("alerts", FULL), services.client() as client:
        refused = client.post("/api/v1/alerts", json=next(new))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "10"
    assert "no room" in refused.json()["detail"]
    with spoilt.refusing("triage_results", FULL):
        ids += send(services, new, 200)
        time.sleep(3)
        assert services.balance()["in_flight"] >= 200
        assert all(s.process and s.process.poll() is None for s in services.services)
    balance = settled(services)
    assert balance["triaged"] == before["triaged"] + 250
    assert balance["parked"] == before["parked"]
    assert services.sum_of('tocsin_database_failures_total{reason="full"') > 1
    is_whole(spoilt, ids, parked=balance["parked"])


@pytest.mark.parametrize("fault", [SERIALIZATION, DEADLOCK], ids=["40001", "40P01"])
def test_a_conflict_is_tried_again_and_not_counted_against_an_alert(
    services: Fleet, spoilt: Spoilt, new: Iterator[dict[str, object]], fault: tuple[str, str]
) -> None:
    before = services.balance()
    conflicts = services.sum_of('tocsin_database_failures_total{reason="conflict"')
    failures = services.sum_of("tocsin_step_failures_total")
    with spoilt.refusing(EVERY_TRANSACTION, fault, share=0.4):
        ids = insist(services, new, 500)
        balance = settled(services)
    assert len(set(ids)) == 500
    assert balance["triaged"] == before["triaged"] + 500
    assert services.sum_of('tocsin_database_failures_total{reason="conflict"') > conflicts
    assert services.sum_of("tocsin_step_failures_total") == failures
    is_whole(spoilt, ids, parked=balance["parked"])


def test_cut_connections_cost_a_delay(
    services: Fleet, spoilt: Spoilt, new: Iterator[dict[str, object]]
) -> None:
    before = services.balance()["triaged"]
    ids: list[str] = []
    while len(ids) < 500:
        with contextlib.suppress(AssertionError):  # the session under way ends: 503, send again
            ids += send(services, new, 50)
        assert spoilt.cut_connections() > 0
    balance = settled(services)
    assert balance["triaged"] >= before + 500
    is_whole(spoilt, ids, parked=balance["parked"])


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_jumps_makes_nobody_wait_and_nothing_twice(
    services: Fleet, spoilt: Spoilt, new: Iterator[dict[str, object]], jump: float
) -> None:
    before = services.balance()
    ids = send(services, new, 500)
    for service in services.services[1:4]:  # some workers, not all: they must agree
        service.set_clock(jump)
    with spoilt.poisonous():
        ids += post(services, poisoned(f"in a jump of {jump:g} s"))
        ids += send(services, new, 500)
        time.sleep(3)  # longer than a bell may stay unheard
        settled(services)
    for service in services.services[1:4]:
        service.set_clock(0)
    ids += send(services, new, 500)
    balance = settled(services, 30)
    assert balance["triaged"] == before["triaged"] + 1500
    assert balance["parked"] == before["parked"] + 4
    is_whole(spoilt, ids, parked=balance["parked"])


def test_deliveries_that_come_twice_backwards_or_from_strangers_change_nothing(
    services: Fleet, spoilt: Spoilt, broker: str, new: Iterator[dict[str, object]]
) -> None:
    before = services.balance()["triaged"]
    ids: list[str] = []
    for _ in range(5):
        ids += send(services, new, 100)
        asyncio.run(deliver(broker, ids))
    balance = settled(services)
    assert balance["triaged"] == before + 500
    assert all(s.process and s.process.poll() is None for s in services.services)
    is_whole(spoilt, ids, parked=balance["parked"])


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.1)


def test_a_poisoned_alert_in_every_stage_is_parked_there_and_its_neighbours_go_on(
    services: Fleet, spoilt: Spoilt, new: Iterator[dict[str, object]]
) -> None:
    before = services.balance()
    with spoilt.poisonous():
        good = send(services, new, 100)
        bad = post(services, poisoned("once"))
        good += send(services, new, 100)
        balance = settled(services)
    assert balance["triaged"] == before["triaged"] + 200
    with httpx2.Client(
        base_url=services.ingestor.url, headers={"Authorization": f"Bearer {services.key}"}
    ) as client:
        page = client.get("/api/v1/alerts", params={"status": "parked"}).json()
    errors = {a["alert_id"]: a["error"] for a in page["alerts"]}
    assert set(errors) >= set(bad)
    assert all("poison {} %s" in errors[alert_id] for alert_id in bad)
    is_whole(spoilt, [*good, *bad], parked=balance["parked"])


def test_a_poisoned_follow_up_is_parked_as_one_and_its_alert_stays_triaged(
    services: Fleet, spoilt: Spoilt
) -> None:
    def placed() -> set[str]:
        return set(spoilt.ids("SELECT alert_id FROM incident_alerts WHERE removed_at IS NULL"))

    def parked() -> list[str]:
        return spoilt.ids(PARKED_FOLLOW_UPS)

    def entered() -> set[str]:
        return set(spoilt.ids("SELECT alert_id FROM alert_entities"))

    before = services.balance()
    attack = {"title": "Malware beacon", "severity": "high", "host_name": "beside-the-poison"}
    alerts = [{**attack, "rule_id": f"R-{number}"} for number in range(20)]
    with spoilt.poisonous():
        ids = post(services, [*alerts[:10], poisoned_follow_up("once"), *alerts[10:]])
        bad = ids.pop(10)
        balance = settled(services)
        eventually(lambda: parked() == [bad] and set(ids) <= placed())
    assert balance["triaged"] == before["triaged"] + 21
    assert balance["parked"] == before["parked"]
    is_whole(spoilt, [*ids, bad], parked=balance["parked"])
    with services.client() as client:
        alert = client.get("/api/v1/alerts", params={"host_name": "poison-for-after"}).json()
        assert alert["alerts"][0]["status"] == "triaged"
        assert "poison {} %s" in alert["alerts"][0]["error"]
        followups = 'tocsin_followups{state="parked"} 1.0'
        assert followups in client.get("/metrics").text
        assert bad not in entered()
        assert client.post(f"/api/v1/alerts/{bad}/retry").status_code == 200
    eventually(lambda: not parked() and bad in entered())
    assert services.balance() == balance


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_how_long_the_oldest_waits_is_told_by_the_clock_it_was_written_by(
    tmp_path: Path, postgres_url: str, broker_url: str, jump: float
) -> None:
    alone = (("ingestor",),)  # nobody works, so that alerts wait
    with fleet(tmp_path, postgres_url, broker_url, alone, spoilable=True) as running:
        post(running, [{"title": "waits", "source_ip": "192.0.2.1"}])
        time.sleep(1)
        running.ingestor.set_clock(jump)
        time.sleep(1)
        text = httpx2.get(f"{running.ingestor.url}/metrics", timeout=30).text
        found = re.search(r'tocsin_step_oldest_seconds\{step="normalize"\} (\S+)', text)
        assert found is not None
        assert 1 < float(found[1]) < 60
