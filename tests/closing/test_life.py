"""The life of a policy on both databases: shadow, on, off by people and by itself."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from tests.closing.world import (
    CLASS,
    FALSE,
    QUICK,
    TRUE,
    actions,
    enabled,
    judge,
    suricata,
    triaged,
    waiting,
)
from tests.flow.test_runner import accept
from tests.rules.reference import migrated_checks

from tocsin.app import Store, open_store, resources, running
from tocsin.bus.memory import MemoryBus
from tocsin.closing import Autoclose
from tocsin.closing.life import Clock
from tocsin.errors import ConflictError, InputError
from tocsin.ingest import BodyKind, Limits, read_body
from tocsin.model import AlertStatus, ClosingAction, ClosingMode, ClosingRules, Disposition, Dossier
from tocsin.pipeline import TO_VERDICT
from tocsin.ports import OpinionRequest
from tocsin.runner import Worker
from tocsin.settings import Settings
from tocsin.store.audit_trail import AuditStore
from tocsin.store.closures import hold
from tocsin.store.database import Database
from tocsin.store.opinions import Queue
from tocsin.store.queries import AlertFilter
from tocsin.store.tables import (
    audit_logs,
    closing_policies,
    closing_scores,
    closing_state,
    closures,
    dispositions,
)


class Later(Clock):
    def __init__(self, days: float) -> None:
        self._days = days

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self._days)


async def statuses(store: Store, ids: list[str]) -> dict[str, AlertStatus]:
    page = await store.queries.page(AlertFilter(), limit=500)
    return {a.alert_id: a.status for a in page.alerts if a.alert_id in set(ids)}


async def accepted(store: Store, settings: Settings, numbers: range) -> list[str]:
    return [a.alert_id for a in await accept(store, settings, [suricata(n) for n in numbers])]


async def change(store: Store, statement: sa.Executable) -> None:
    def run(connection: Connection) -> None:
        connection.execute(statement)

    await store.database.write(run)


async def test_without_a_policy_nothing_is_written(store: Store, settings: Settings) -> None:
    ids = await triaged(store, settings, [suricata(n) for n in range(5)])
    assert await actions(store, ids) == {}
    report = await Autoclose(store.closing).report()
    assert (report.mode, report.version) == (ClosingMode.OFF, 0)
    with pytest.raises(InputError, match="there is no policy yet"):
        await Autoclose(store.closing).preview(actor="a test")


async def test_shadow_mode_draws_samples_and_closes_nothing(
    store: Store, settings: Settings
) -> None:
    autoclose = Autoclose(store.closing)
    await autoclose.begin(QUICK, actor="a test")
    ids = await triaged(store, settings, [suricata(n) for n in range(120)])
    done = await actions(store, ids)
    assert set(done.values()) == {"sampled"}
    assert 15 < len(done) < 60
    assert set((await statuses(store, ids)).values()) == {AlertStatus.TRIAGED}
    report = await autoclose.report()
    assert report.classes[0].outstanding == len(done)
    assert report.classes[0].arrived == 120 - len(done)
    preview = await autoclose.preview(actor="a test")
    assert not preview.ready
    assert preview.drawn == len(done)
    with pytest.raises(InputError, match="no class that it could close"):
        await autoclose.enable(preview.digest, actor="a test")
    await judge(store, list(done))
    preview = await autoclose.preview(actor="a test")
    assert preview.ready
    assert preview.would_close == 120 - len(done)
    more = await triaged(store, settings, [suricata(n) for n in range(500, 560)])
    assert set((await actions(store, more)).values()) == {"sampled", "would_close"}
    assert set((await statuses(store, more)).values()) == {AlertStatus.TRIAGED}


async def test_on_it_closes_leaves_the_draw_and_counts_and_tells_who_closed(
    store: Store, settings: Settings
) -> None:
    autoclose = await enabled(store, settings)
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1100)])
    other = await triaged(store, settings, [suricata(n, signature="ET SCAN x") for n in range(9)])
    done = await actions(store, ids)
    closed = [alert_id for alert_id, action in done.items() if action == "closed"]
    assert len(done) == 100
    assert 40 < len(closed) < 90
    assert await actions(store, other) == {}, "classes that are not named are left alone"
    found = await statuses(store, ids)
    assert {i for i, s in found.items() if s is AlertStatus.CLOSED} == set(closed)
    for who in ("autoclose", "autoclose:1"):
        page = await store.queries.page(AlertFilter(closed_by=who), limit=500)
        assert {alert.alert_id for alert in page.alerts} == set(closed)
        assert {alert.closed_by for alert in page.alerts} == {"autoclose:1"}
    assert (await store.queries.page(AlertFilter(closed_by="autoclose:2"))).alerts == ()
    counts = await store.balance.counts()
    assert counts.received == counts.triaged
    report = await autoclose.report()
    assert (report.mode, report.closed) == (ClosingMode.ON, len(closed))
    closing = await store.closing.closing_of(closed[0])
    assert closing is not None
    assert (closing.class_name, closing.policy_version) == (CLASS, 1)
    assert "seed" not in msgspec.json.encode(report).decode()


async def test_triage_in_a_process_of_its_own_closes_too(store: Store, settings: Settings) -> None:
    await enabled(store, settings)
    ids = await accepted(store, settings, range(1000, 1040))
    given = resources(settings, store)
    for steps in (TO_VERDICT[:-1], TO_VERDICT[-1:]):
        await Worker(steps, given, store.dossiers, MemoryBus(), settings).process(ids)
    done = await actions(store, ids)
    closed = {i for i, action in done.items() if action == "closed"}
    assert closed
    found = await statuses(store, ids)
    assert {i for i, status in found.items() if status is AlertStatus.CLOSED} == closed
    assert {found[i] for i in found.keys() - closed} == {AlertStatus.TRIAGED}


async def test_an_alert_on_which_an_opinion_is_awaited_stays_open(
    store: Store, settings: Settings
) -> None:
    await enabled(store, settings)
    ids = await accepted(store, settings, range(1000, 1040))
    asked = set(ids[::2])

    def wanted(batch: Sequence[Dossier]) -> list[OpinionRequest]:
        some = [d.alert_id for d in batch if d.alert_id in asked]
        return [OpinionRequest(alert_id, 0.5, "a test asks") for alert_id in some]

    store.dossiers.queue = Queue(wanted, 1000)
    given = resources(settings, store)
    await Worker(TO_VERDICT, given, store.dossiers, MemoryBus(), settings).process(ids)
    done = await actions(store, ids)
    closed = {i for i, action in done.items() if action == "closed"}
    assert closed
    assert not closed & asked
    left = [i for i in asked if i in done]
    assert all(done[i] == "sampled" for i in left)
    queue = await store.closing.queue(1, limit=1000)
    assert not asked & {line.sample.alert_id for line in queue}, "nor would they have been closed"


async def test_a_closed_alert_is_reopened_once_and_remembered(
    store: Store, settings: Settings
) -> None:
    autoclose = await enabled(store, settings)
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    closed = [i for i, action in (await actions(store, ids)).items() if action == "closed"]
    assert await store.dossiers.reopen(closed[0], actor="a person {}")
    assert not await store.dossiers.reopen(closed[0], actor="a person {}")
    assert not await store.dossiers.reopen("nothing", actor="a person {}")
    assert (await statuses(store, closed[:1]))[closed[0]] is AlertStatus.TRIAGED
    await judge(store, closed[:2], TRUE)
    assert not await store.dossiers.reopen(closed[1], actor="x"), "undoing a decision is another"
    report = await autoclose.report()
    assert (report.reopened, report.missed) == (1, 2)
    closing = await store.closing.closing_of(closed[0])
    assert closing is not None
    assert closing.reopened_by == "a person {}"
    page = await store.queries.page(AlertFilter(closed_by="autoclose"), limit=500)
    assert closed[0] not in {alert.alert_id for alert in page.alerts}


async def test_enabling_takes_the_digest_of_what_would_be_closed_now(
    store: Store, settings: Settings
) -> None:
    autoclose = Autoclose(store.closing)
    await autoclose.begin(QUICK, actor="a test")
    ids = await triaged(store, settings, [suricata(n) for n in range(120)])
    samples = await waiting(store)
    await judge(store, samples)
    before = await autoclose.preview(actor="a test")
    attack = next(i for i in ids if i not in samples)
    await judge(store, [attack], TRUE)
    for digest in ("", "0" * 16, before.digest):
        with pytest.raises(ConflictError):
            await autoclose.enable(digest, actor="a test")
    after = await autoclose.preview(actor="a test")
    assert [known.alert_id for known in after.attacks] == [attack]
    await autoclose.enable(after.digest, actor="a test")
    with pytest.raises(InputError, match="on already"):
        await autoclose.enable(after.digest, actor="a test")


async def test_decisions_that_people_chose_to_make_prove_nothing(
    store: Store, settings: Settings
) -> None:
    autoclose = Autoclose(store.closing)
    await autoclose.begin(QUICK, actor="a test")
    ids = await triaged(store, settings, [suricata(n) for n in range(200)])
    samples = set(await waiting(store))
    await judge(store, [i for i in ids if i not in samples])
    preview = await autoclose.preview(actor="a test")
    assert not preview.ready
    assert f"{preview.bounds[0].undecided} samples are not judged" in preview.bounds[0].why


async def test_an_undone_decision_counts_no_more(store: Store, settings: Settings) -> None:
    autoclose = Autoclose(store.closing)
    await autoclose.begin(QUICK, actor="a test")
    await triaged(store, settings, [suricata(n) for n in range(120)])
    samples = await waiting(store)
    await judge(store, samples, TRUE)
    await judge(store, samples, FALSE)
    assert (await autoclose.preview(actor="a test")).ready, "the latest counts"
    undo = sa.update(dispositions).where(dispositions.c.disposition == FALSE.value)
    await change(store, undo.values(undone_at=datetime.now(UTC)))
    assert not (await autoclose.preview(actor="a test")).ready


async def test_the_kill_switch_is_obeyed_by_a_worker_that_has_not_heard_of_it(
    store: Store, settings: Settings
) -> None:
    slow = settings.model_copy(update={"autoclose_refresh": 3600.0})
    autoclose = await enabled(store, settings)
    given = resources(slow, store)
    worker = Worker(TO_VERDICT, given, store.dossiers, MemoryBus(), slow)
    first = await accepted(store, slow, range(900, 940))
    await worker.process(first)
    assert "closed" in (await actions(store, first)).values()
    assert await autoclose.disable("enough {} %s\0", actor="a test")
    assert not await autoclose.disable("again", actor="a test")
    second = [
        a.alert_id for a in await accept(store, slow, [suricata(n) for n in range(2000, 2040)])
    ]
    await worker.process(second)
    assert await actions(store, second) == {}
    assert set((await statuses(store, second)).values()) == {AlertStatus.TRIAGED}
    report = await autoclose.report()
    assert (report.mode, report.reason) == (ClosingMode.OFF, "enough {} %s\\0")


async def test_no_alert_is_closed_after_the_switch_has_returned_under_load(
    settings: Settings,
) -> None:
    busy = settings.model_copy(update={"batch": 20, "autoclose_refresh": 0.05, "workers": 4})
    async with running(busy) as system:
        store = system.store
        autoclose = await enabled(store, busy)

        async def load() -> None:
            for number in range(12):
                alerts = [suricata(5000 + number * 100 + n) for n in range(100)]
                items = read_body(msgspec.json.encode(alerts), BodyKind.JSON, Limits(2**20, 64))
                await system.door.submit(items, None)  # type: ignore[arg-type]  # none is an error

        async def closed() -> int:
            query = sa.select(sa.func.count()).where(closures.c.action == "closed")
            return int(await store.database.read(lambda c: c.execute(query).scalar_one()))

        sending = asyncio.create_task(load())
        while await closed() < 50:
            await asyncio.sleep(0.005)
        assert await autoclose.disable("stop", actor="a test")
        at_switch = await closed()
        await sending
        while await store.dossiers.in_flight():
            await asyncio.sleep(0.05)
        assert await closed() == at_switch
        counts = await store.balance.counts()
        assert (counts.triaged, counts.parked) == (counts.received, 0)
        assert at_switch < 700, "there was load left when it was switched"


async def test_workers_that_close_all_the_time_do_not_keep_the_switch_waiting(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, database=postgres_url)
    async with open_store(settings) as store:
        await Autoclose(store.closing).begin(QUICK, actor="a test")
        workers = [Database(postgres_url, readers=1, writers=1) for _ in range(4)]
        stop = asyncio.Event()

        def save(connection: Connection) -> None:
            hold(connection, shared=True)
            time.sleep(0.05)

        async def work(database: Database, after: float) -> None:
            await asyncio.sleep(after)
            while not stop.is_set():
                await database.write(save)

        working = [asyncio.create_task(work(d, n * 0.012)) for n, d in enumerate(workers)]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert await Autoclose(store.closing).disable("stop", actor="a test")
        waited = time.monotonic() - began
        stop.set()
        await asyncio.gather(*working)
        for database in workers:
            await database.close()
        assert waited < 2.0


async def test_missed_attacks_switch_it_off_with_the_reason(
    store: Store, settings: Settings
) -> None:
    autoclose = await enabled(store, settings)
    await triaged(store, settings, [suricata(n) for n in range(1000, 1120)])
    samples = await waiting(store)
    await judge(store, samples, TRUE)
    state, found = await autoclose.check()
    assert state is not None
    assert (state.policy.mode, state.tripped) == (ClosingMode.OFF, True)
    assert f"{len(samples)} attacks among {len(samples)} judged samples" in state.reason
    assert any(finding.test == "attacks" and finding.trips for finding in found)
    preview = await autoclose.preview(actor="a test")
    with pytest.raises(InputError, match="switched itself off"):
        await autoclose.enable(preview.digest, actor="a test")
    await autoclose.begin(QUICK, actor="a test")
    report = await autoclose.report()
    assert (report.mode, report.tripped, report.version) == (ClosingMode.SHADOW, False, 2)


async def test_a_shift_of_the_scores_switches_it_off(store: Store, settings: Settings) -> None:
    many = ClosingRules(classes=(CLASS,), alpha=0.1, delta=0.2, sample_rate=0.15)
    autoclose = Autoclose(store.closing)
    await autoclose.begin(many, actor="a test")
    await triaged(store, settings, [suricata(n) for n in range(490)])
    await judge(store, await waiting(store))
    preview = await autoclose.preview(actor="a test")
    await autoclose.enable(preview.digest, actor="a test")
    assert (await autoclose.check())[1][-1].test == "backlog", "too few for the scores yet"
    tomorrow = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H")
    row = {"policy_version": 1, "class": CLASS, "hour": tomorrow, "bin": 20, "count": 400}
    await change(store, sa.insert(closing_scores).values(row))
    state, _ = await autoclose.check()
    assert state is not None
    assert state.tripped
    assert "scores of 400 alerts have moved" in state.reason


async def test_samples_that_nobody_judges_switch_it_off(store: Store, settings: Settings) -> None:
    rules = msgspec.structs.replace(QUICK, backlog=5, review_days=7)
    await enabled(store, settings, rules)
    await triaged(store, settings, [suricata(n) for n in range(1000, 1100)])
    state, _ = await Autoclose(store.closing, clock=Later(6.9)).check()
    assert state is not None
    assert state.policy.mode is ClosingMode.ON
    state, _ = await Autoclose(store.closing, clock=Later(7.1)).check()
    assert state is not None
    assert state.tripped
    assert "samples wait for people" in state.reason


@pytest.mark.parametrize(
    "broken",
    [{"rules": "[]"}, {"rules": '{"classes": 7}'}, {"seed": "zz"}, {"bounds": '[{"class": 1}]'}],
    ids=str,
)
async def test_a_policy_that_cannot_be_read_closes_nothing_and_says_so(
    store: Store, settings: Settings, broken: dict[str, str]
) -> None:
    autoclose = await enabled(store, settings)
    await change(store, sa.update(closing_policies).values(**broken))
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    assert await actions(store, ids) == {}
    report = await autoclose.report()
    assert report.mode is ClosingMode.OFF
    assert "cannot be read" in report.reason
    assert await autoclose.disable("broken", actor="a test"), "the switch works all the same"
    await autoclose.begin(QUICK, actor="a test")
    assert (await autoclose.report()).mode is ClosingMode.SHADOW


async def test_new_rules_begin_anew_and_close_nothing(store: Store, settings: Settings) -> None:
    autoclose = await enabled(store, settings)
    before = await store.closing.policy()
    await autoclose.begin(QUICK, actor="a test")
    after = await store.closing.policy()
    assert before is not None
    assert after is not None
    assert (after.version, after.thresholds, after.mode) == (2, {}, ClosingMode.SHADOW)
    assert after.seed != before.seed
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    assert "closed" not in (await actions(store, ids)).values()


async def test_everything_is_in_the_audit_trail(store: Store, settings: Settings) -> None:
    autoclose = await enabled(store, settings)
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    closed = [i for i, action in (await actions(store, ids)).items() if action == "closed"]
    await store.dossiers.reopen(closed[0], actor="a person")
    await autoclose.disable("stop", actor="a person")
    query = sa.select(audit_logs.c.action, audit_logs.c.detail)
    rows = await store.database.read(lambda c: c.execute(query).all())
    found = {row.action for row in rows}
    assert found >= {
        "closing.begun", "closing.calibrated", "closing.enabled", "closing.disabled",
        "alerts.closed", "alerts.sampled", "alert.reopened",
    }  # fmt: skip
    policy = await store.closing.policy()
    assert policy is not None
    assert not any(policy.seed in row.detail for row in rows), "the seed stays secret"
    assert (await AuditStore(store.database).verify()).intact


async def test_retention_keeps_samples_that_bounds_rest_on(
    store: Store, settings: Settings
) -> None:
    await enabled(store, settings)
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    done = await actions(store, ids)
    await store.dossiers.forget(ids)
    assert set((await actions(store, ids)).values()) == {"sampled"}
    assert len(await actions(store, ids)) == sum(a == "sampled" for a in done.values())
    assert set(await waiting(store)) >= {i for i, a in done.items() if a == "sampled"}


async def test_undetermined_samples_count_as_attacks(store: Store, settings: Settings) -> None:
    autoclose = Autoclose(store.closing)
    await autoclose.begin(QUICK, actor="a test")
    await triaged(store, settings, [suricata(n) for n in range(120)])
    await judge(store, await waiting(store), Disposition.UNDETERMINED)
    assert not (await autoclose.preview(actor="a test")).ready


async def test_a_new_version_of_the_model_closes_nothing_until_it_is_calibrated(
    store: Store, settings: Settings
) -> None:
    autoclose = await enabled(store, settings)
    await change(store, sa.update(closing_policies).values(model_version="of before"))
    await change(store, sa.update(closing_state).values(revision=closing_state.c.revision + 1))
    ids = await triaged(store, settings, [suricata(n) for n in range(1000, 1040)])
    assert set((await actions(store, ids)).values()) == {"sampled"}
    report = await autoclose.report()
    assert report.mode is ClosingMode.ON
    assert "what is proven holds for of before" in report.reason


def test_the_tables_hold_the_words_of_the_model() -> None:
    checks = migrated_checks()
    assert set(checks["closing_policies", "mode"]) == set(ClosingMode)
    assert set(checks["closures", "action"]) == set(ClosingAction)
