"""What went wrong in the system that this one replaces, shown to be absent: a test per defect."""

import asyncio
import json
import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from tocsin import logs
from tocsin.api import create_application
from tocsin.app import Store, System, open_store, running
from tocsin.app import resources as resources_of
from tocsin.bus.memory import MemoryBus
from tocsin.ingest import BodyKind, Gate, Limits, read_body
from tocsin.model import (
    AlertStatus,
    Disposition,
    Dossier,
    Indicator,
    KeyScope,
    ObservableType,
    RiskLevel,
    Severity,
    ThreatLevel,
)
from tocsin.pipeline import FIRST, STEPS, TO_VERDICT
from tocsin.ports import Resources, Step, Work
from tocsin.runner import Worker
from tocsin.settings import Settings
from tocsin.triage import triage

HOSTILE = 'bad {} {0} {"a": 1} {name!r} %s %(x)d \n\r\0 \udcff'
Client = httpx2.AsyncClient


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """One process on SQLite, which is what these defects concern."""
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "none.toml"))
    return Settings(data=tmp_path)


@pytest.fixture
async def system(settings: Settings) -> AsyncIterator[System]:
    """Everything that one process runs, on an empty database."""
    async with running(settings.model_copy(update={"retry_pause": 0.001})) as started:
        yield started


@pytest.fixture
async def client(system: System) -> AsyncIterator[Client]:
    async with opened(system) as found:
        yield found


@asynccontextmanager
async def opened(system: System) -> AsyncIterator[Client]:
    """A client with a key that may do everything, in this event loop."""
    _, secret = await system.store.accounts.create_key("test", [KeyScope.ADMIN])
    transport = httpx2.ASGITransport(app=create_application(system))  # type: ignore[arg-type]  # litestar's own ASGI types
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as found:
        yield found


@pytest.fixture
def json_logs() -> Iterator[None]:
    logs.configure("info", "json")
    yield
    structlog.reset_defaults()
    logging.root.handlers = [h for h in logging.root.handlers if h.get_name() != logs.HANDLER]


async def send(client: Client, *alerts: dict[str, Any]) -> list[str]:
    answer = await client.post("/api/v1/alerts", json=list(alerts))
    assert answer.status_code == 202, answer.text
    return [sent["alert_id"] for sent in answer.json()["alerts"]]


async def settled(client: Client, system: System, *alerts: dict[str, Any]) -> list[Dossier]:
    """Send, wait for the verdicts, and read the dossiers."""
    ids = await send(client, *alerts)
    while await system.store.dossiers.in_flight():
        await asyncio.sleep(0.005)
    return await system.store.dossiers.load(ids, ("alert", "context", "intel", "verdict"))


def query(settings: Settings, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.data / "tocsin.db")) as connection, connection:
        return connection.execute(sql, parameters).fetchall()


class Bench:
    """A worker that the test drives by hand over alerts that nobody else is told of."""

    def __init__(
        self, store: Store, settings: Settings, steps: Sequence[Step] = TO_VERDICT
    ) -> None:
        self._store, self._settings = store, settings
        resources = resources_of(settings, store)
        self._worker = Worker(steps, resources, store.dossiers, MemoryBus(), settings)

    async def accept(self, *titles: str) -> list[str]:
        async def silence(_: Sequence[str], __: object) -> None:
            return

        gate = Gate(self._store.dossiers, silence, self._settings)
        task = asyncio.create_task(gate.run())
        body = json.dumps([{"title": title, "source_ip": "192.0.2.1"} for title in titles])
        items = read_body(body.encode(), BodyKind.JSON, Limits(100_000, 64))
        answers = await gate.submit(items, None)  # type: ignore[arg-type]  # none is an error
        gate.close()
        await task
        return [answer.alert_id for answer in answers]

    async def work(self, ids: Sequence[str], times: int = 1) -> None:
        for _ in range(times):
            await self._worker.process(ids)
            await asyncio.sleep(0.02)


def breaking(step: Step, title: str, calls: list[int]) -> Step:
    """The real step, raising hostile text for an alert with this title."""

    def build(resources: Resources) -> Work:
        work = step.work(resources)

        async def breaks(batch: Sequence[Dossier]) -> list[Dossier]:
            if any(json.loads(dossier.payload)["title"] == title for dossier in batch):
                calls.append(len(batch))
                raise ValueError(HOSTILE)
            return await work(batch)

        return breaks

    return replace(step, work=build)


async def test_1_text_with_braces_in_an_error_breaks_no_log_and_no_processing(
    store: Store, settings: Settings, json_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error's text was formatted a second time, which raised, so that everything stopped."""
    once = settings.model_copy(update={"max_attempts": 1})
    bench = Bench(store, once, [breaking(FIRST, "poison", []), *TO_VERDICT[1:]])
    logs.configure("info", "json")
    await bench.work(await bench.accept("poison", "good"))
    counts = await store.balance.counts()
    assert (counts.triaged, counts.parked) == (1, 1)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    failed = [line for line in lines if line["event"] == "step.failed"]
    assert [("{0}" in line["error"], "%(x)d" in line["error"]) for line in failed] == [(True, True)]


async def test_2_an_alert_whose_bell_nobody_heard_is_triaged_after_a_restart(
    store: Store, settings: Settings
) -> None:
    """A process that died between commit and publish lost alerts that were answered `queued`."""
    await Bench(store, settings).accept("never rung for")
    async with running(settings) as restarted:
        while await restarted.store.dossiers.in_flight():
            await asyncio.sleep(0.005)
        assert (await restarted.store.balance.counts()).triaged == 1


async def test_3_a_poisoned_alert_is_tried_a_few_times_and_then_parked(
    store: Store, settings: Settings
) -> None:
    """The counter of attempts was never advanced, so that poison went round for ever."""
    quick = settings.model_copy(update={"retry_pause": 0.001, "max_attempts": 3})
    calls: list[int] = []
    bench = Bench(store, quick, [breaking(FIRST, "poison", calls), *TO_VERDICT[1:]])
    await bench.work(await bench.accept("poison"), times=10)
    assert len(calls) == 3
    assert (await store.balance.counts()).parked == 1


async def test_4_a_second_delivery_writes_no_second_row(store: Store, settings: Settings) -> None:
    """Every redelivery wrote its rows again."""
    bench = Bench(store, settings)
    await bench.work(await bench.accept("one", "two"), times=3)
    for table, rows in (("alerts", 2), ("alert_context", 6), ("triage_results", 2)):
        assert query(settings, f"SELECT count(*) FROM {table}") == [(rows,)], table
    assert query(settings, "SELECT detections FROM threat_intel") == [(2,)]


def test_5_each_queue_has_one_step_and_no_step_takes_what_it_gives() -> None:
    """Two stages took from one queue, and one published to the queue it took from."""
    assert len({step.takes for step in STEPS}) == len(STEPS)
    for before, after in pairwise(STEPS):
        assert before.gives == after.takes
    assert all(step.takes != step.gives for step in STEPS)
    assert STEPS[-1].gives not in {step.takes for step in STEPS}


async def test_6_a_row_that_cannot_be_written_is_an_alert_that_is_not_done(
    store: Store, settings: Settings
) -> None:
    """The error was swallowed, the message acknowledged and the row missing."""
    quick = settings.model_copy(update={"retry_pause": 0.001, "max_attempts": 2})
    bench = Bench(store, quick)
    bad, good = await bench.accept("bad", "good")
    query(
        settings,
        f"CREATE TRIGGER refuse BEFORE INSERT ON triage_results WHEN NEW.alert_id = '{bad}' "
        "BEGIN SELECT RAISE(ABORT, 'no room for {row} 100%'); END",
    )
    await bench.work([bad, good], times=3)
    assert query(settings, "SELECT alert_id FROM triage_results") == [(good,)]
    ((attempts, error),) = query(settings, "SELECT attempts, error FROM alert_work")
    assert attempts == 2
    assert "no room for {row} 100%" in error
    counts = await store.balance.counts()
    assert (counts.received, counts.triaged, counts.parked) == (2, 1, 1)


async def test_7_like_alerts_are_kept_and_repeats_are_told(client: Client, system: System) -> None:
    """Deduplication without a time window dropped later alerts without a trace."""
    alert = {"title": "again", "source_ip": "192.0.2.4", "timestamp": "2026-03-04T10:00:00Z"}
    later = {**alert, "timestamp": "2026-03-04T10:00:01Z"}
    answer = await client.post("/api/v1/alerts", json=[alert, later, alert])
    statuses = [sent["status"] for sent in answer.json()["alerts"]]
    assert statuses == ["accepted", "accepted", "duplicate"]
    counts = await system.store.balance.counts()
    assert counts.received == 2


async def test_8_time_target_asset_and_user_survive_normalisation(
    client: Client, system: System
) -> None:
    """A time zone made the event time "now"; the target address and most of CEF were lost."""
    generic, cef = await settled(
        client,
        system,
        {"title": "a", "severity": "low", "timestamp": "2026-03-04T15:30:00+02:00",
         "source_ip": "192.0.2.1", "destination_ip": "198.51.100.2"},
        {"message": "CEF:0|Example|Wall|1|100|Denied|5|src=192.0.2.3 dst=198.51.100.4 "
         "dhost=srv-1 duser=jdoe rt=1772631000000"},
    )  # fmt: skip
    assert generic.alert is not None
    assert generic.alert.event.time is not None
    assert generic.alert.event.time == datetime(2026, 3, 4, 13, 30, tzinfo=UTC)
    assert generic.alert.destination.ip == "198.51.100.2"
    assert cef.alert is not None
    assert cef.alert.destination.ip == "198.51.100.4"
    assert "srv-1" in (cef.alert.host.name, cef.alert.destination.domain)
    assert cef.alert.user.name == "jdoe"
    assert cef.alert.event.time is not None
    assert cef.alert.event.time.year == 2026


async def test_9_every_word_is_legal_everywhere_or_nowhere(
    client: Client, settings: Settings
) -> None:
    """API, database and screens had lists of their own: legal in one was an error in another."""
    words: dict[str, Any] = {
        "status": AlertStatus, "severity": Severity, "verdict": Disposition,
        "risk_level": RiskLevel,
    }  # fmt: skip
    await send(client, {"title": "a"})
    for name, enumeration in words.items():
        for word in enumeration:
            answer = await client.get("/api/v1/alerts", params={name: word.value})
            assert answer.status_code == 200, (name, word)
            if name in ("status", "severity"):
                query(settings, f"UPDATE alerts SET {name} = ?", word.value)
        assert (await client.get("/api/v1/alerts", params={name: "queued"})).status_code == 400
    for name in ("status", "severity"):
        with pytest.raises(sqlite3.IntegrityError):
            query(settings, f"UPDATE alerts SET {name} = 'queued'")


async def test_10_what_intelligence_knows_reaches_the_verdict(settings: Settings) -> None:
    """One part read names that another never wrote: every threat level was `low`."""
    known = "203.0.113.66"
    async with open_store(settings) as store:
        await store.indicators.upsert(
            [Indicator(type=ObservableType.IP, value=known, source="test", confidence=0.95,
                       threat_level=ThreatLevel.CRITICAL)]
        )  # fmt: skip
    async with running(settings) as system, opened(system) as client:
        alert = {"title": "c2", "severity": "medium", "source_ip": "10.0.0.5"}
        bad, unknown = await settled(
            client,
            system,
            {**alert, "destination_ip": known},
            {**alert, "destination_ip": "203.0.113.67"},
        )
    levels = dict(query(settings, "SELECT ioc, threat_level FROM threat_intel"))
    assert levels[known] == "critical"
    assert levels["203.0.113.67"] == "unknown"
    assert bad.verdict is not None
    assert unknown.verdict is not None
    assert bad.verdict.probability > unknown.verdict.probability + 0.1


async def test_11_confidence_is_between_0_and_1_in_every_table(
    client: Client, system: System, settings: Settings
) -> None:
    """Here it was 0 to 1, there 0 to 100."""
    (dossier,) = await settled(client, system, {"title": "a", "source_ip": "192.0.2.1"})
    assert dossier.verdict is not None
    assert 0 <= dossier.verdict.confidence <= 1
    for table in ("alert_context", "threat_intel", "triage_results"):
        for (confidence,) in query(settings, f"SELECT confidence_score FROM {table}"):
            assert 0 <= confidence <= 1
        with pytest.raises(sqlite3.IntegrityError):
            query(settings, f"UPDATE {table} SET confidence_score = 85")


async def test_12_a_triage_that_fails_is_no_verdict(store: Store, settings: Settings) -> None:
    """A model call that failed looked like a verdict of high risk."""
    once = settings.model_copy(update={"max_attempts": 1})
    bench = Bench(store, once, [*TO_VERDICT[:-1], breaking(TO_VERDICT[-1], "poison", [])])
    (alert_id,) = await bench.accept("poison")
    await bench.work([alert_id])
    assert query(settings, "SELECT count(*) FROM triage_results") == [(0,)]
    assert query(settings, "SELECT status FROM alerts") == [("parked",)]
    (dossier,) = await store.dossiers.load([alert_id], ("alert", "context", "intel", "verdict"))
    assert dossier.verdict is None


async def test_13_the_stored_risk_is_the_documented_formula(
    client: Client, system: System, settings: Settings
) -> None:
    """The formula of the documentation was never called by what ran."""
    (dossier,) = await settled(
        client, system, {"title": "a", "severity": "high", "source_ip": "192.0.2.1"}
    )
    ((probability, impact, risk, evidence),) = query(
        settings, "SELECT probability, impact, risk_score, evidence FROM triage_results"
    )
    assert risk == pytest.approx(100 * probability * impact, abs=0.06)
    total = sum(item["weight"] for item in json.loads(evidence))
    assert probability == pytest.approx(1 / (1 + math.exp(-total)), abs=0.002)
    assert dossier.verdict is not None
    assert dossier.verdict.risk_score == risk


async def test_14_health_is_down_when_the_database_is(client: Client, settings: Settings) -> None:
    """It looked at a variable, and not at what it depends on."""
    assert (await client.get("/health")).status_code == 200
    query(settings, "ALTER TABLE alerts RENAME TO gone")
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["status"] == "down"
    query(settings, "ALTER TABLE gone RENAME TO alerts")
    assert (await client.get("/health")).status_code == 200


async def test_15_without_a_key_nothing_that_is_kept_can_be_read(
    client: Client, settings: Settings
) -> None:
    """Stored keys could be read without logging in."""
    secret = client.headers.pop("Authorization").partition(" ")[2]
    document = (await client.get("/api/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method in methods:
            answer = await client.request(method.upper(), path.replace("{alert_id}", "x"))
            assert secret not in answer.text
            if path not in ("/health", "/live", "/ready", "/metrics"):
                assert answer.status_code == 401, (method, path)
    dump = "\n".join(map(repr, query(settings, "SELECT * FROM api_keys")))
    assert secret not in dump


async def test_16_numbers_come_from_the_evidence_and_never_from_chance(
    client: Client, system: System
) -> None:
    """Published numbers came from `sleep` and `random`."""
    (dossier,) = await settled(
        client, system, {"title": "a", "severity": "high", "source_ip": "192.0.2.1"}
    )
    assert triage(dossier) == triage(dossier) == dossier.verdict


async def test_18_private_addresses_have_a_network_context(client: Client, system: System) -> None:
    """Any address of 10.0.0.0/8 gave an error where its context should have been."""
    for dossier in await settled(
        client,
        system,
        *({"title": ip, "source_ip": ip, "destination_ip": "198.51.100.1"}
          for ip in ("10.0.0.0", "10.0.0.1", "10.20.30.40", "10.255.255.255")),
    ):  # fmt: skip
        (network,) = [fact for fact in dossier.context if fact.context_type.value == "network"]
        source = getattr(network.data, "source", None)
        assert source is not None
        assert source.internal is True
        assert not any(gap.reason.value == "error" for gap in dossier.gaps)


def test_17_is_a_matter_of_how_tests_are_written() -> None:
    """Tests asserted on what they had built themselves: no test here replaces parts of Tocsin."""
    for file in Path(__file__).parent.glob("test_*.py"):
        text = file.read_text()
        for word in ("unittest" + ".mock", "Magic" + "Mock"):
            assert word not in text, file.name
