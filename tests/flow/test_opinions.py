"""The queue of second opinions, on both databases: what is wanted, leased, recorded, raised."""

import asyncio
import contextlib
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from tests.audited import work

from tocsin.app import Store, open_store
from tocsin.model import (
    Change,
    CheckedClaim,
    Disposition,
    Dossier,
    Indicator,
    LedgerStep,
    LookupRequest,
    LookupTool,
    ObservableType,
    Opinion,
    OpinionStatus,
)
from tocsin.narrate import selection
from tocsin.narrate.looking import Looking
from tocsin.ports import OpinionRequest
from tocsin.redaction import Pseudonyms, Scope
from tocsin.settings import ModelProvider, Settings
from tocsin.store.opinions import Queue
from tocsin.store.tables import alerts, closures, dispositions, opinions, triage_results

PROVIDER = ModelProvider(name="m", url="http://127.0.0.1:1/v1", model="m")
ODD = "{} {0} %s %(x)s\n\0 \udcff '; DROP TABLE opinions -- \x1b[31m"


@pytest.fixture
def asking(settings: Settings) -> Settings:
    return settings.model_copy(update={"llm_providers": (PROVIDER,)})


def wants(count: int, value: float = 0.5) -> Queue:
    """A queue that wants opinions on everything, worth more from one alert to the next."""

    def select(batch: object) -> list[OpinionRequest]:
        assert isinstance(batch, list)
        return [
            OpinionRequest(d.alert_id, min(value + place / 100, 1), "asked: a test")
            for place, d in enumerate(batch)
        ]

    return Queue(select, count)


def opinion(alert_id: str, **parts: object) -> Opinion:
    made = Opinion(
        alert_id=alert_id,
        status=OpinionStatus.DONE,
        why="asked: a test",
        finished_at=datetime.now(UTC),
        assessment=Disposition.TRUE_POSITIVE,
        summary="It is one (E1).",
        claims=(CheckedClaim(text="It is one.", cites=("E1",)),),
        ledger=(LedgerStep(number=1, prompt_sha256="0" * 64),),
        change=Change(risk_before=1, risk_after=99, review_before=False, review_after=True),
        model="m",
        attempts=1,
    )
    return msgspec.structs.replace(made, **parts)


async def rows(store: Store, table: sa.Table, alert_id: str) -> dict[str, object]:
    query = sa.select(table).where(table.c.alert_id == alert_id)
    return dict(await store.database.read(lambda c: c.execute(query).mappings().one()))


async def test_nothing_is_written_where_nobody_is_asked(store: Store, settings: Settings) -> None:
    (alert_id,) = await work(store, settings, 1)
    assert await store.opinions.of(alert_id) is None
    assert await store.opinions.lease(10, 60) == []


async def test_what_is_wanted_is_written_with_the_verdict(asking: Settings) -> None:
    async with open_store(asking) as store:
        ids = await work(store, asking, 5)
        batch = await store.dossiers.load(ids, ("alert", "context", "intel", "verdict"))
        wanted = {one.alert_id: one for one in selection(asking)(batch)}
        assert wanted
        for alert_id in ids:
            found = await store.opinions.of(alert_id)
            assert (found is not None) == (alert_id in wanted)
            if found is not None:
                assert found.status is OpinionStatus.PENDING
                assert found.why == wanted[alert_id].why
                assert found.value == wanted[alert_id].value


async def test_the_day_has_a_budget_and_what_is_beyond_it_says_so(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(7)
    ids = await work(store, settings, 5) + await work(store, settings, 9)
    found = [await store.opinions.of(alert_id) for alert_id in dict.fromkeys(ids)]
    states = [one.status for one in found if one is not None]
    assert states.count(OpinionStatus.PENDING) == 7
    assert states.count(OpinionStatus.BUDGET) == len(states) - 7 > 0
    told = [one.why for one in found if one and one.status is OpinionStatus.BUDGET]
    assert all("7 opinions" in why for why in told)
    leased = await store.opinions.lease(50, 60)
    assert len(leased) == 7


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_replicas_do_not_each_grant_the_same_rest_of_the_day(
    store: Store, settings: Settings
) -> None:
    ids = await work(store, settings, 6)
    batch = await store.dossiers.load(ids, ("alert", "context", "intel", "verdict"))
    queue, both_are_in = wants(4), threading.Barrier(2)

    def change(connection: Connection, part: list[Dossier]) -> frozenset[str]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both_are_in.wait(5)
        granted = queue.request(connection, part)
        time.sleep(0.5)  # the rest of the transaction
        return granted

    parts = (batch[:3], batch[3:])
    granted = await asyncio.gather(
        *(store.database.write(partial(change, part=part)) for part in parts)
    )
    assert sorted(map(len, granted)) == [1, 3]
    assert len(await store.opinions.lease(50, 60)) == 4


async def test_the_most_valuable_is_leased_first_and_by_one_worker_only(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    ids = await work(store, settings, 6)
    taken = await asyncio.gather(*(store.opinions.lease(1, 60) for _ in range(6)))
    got = [one.dossier.alert_id for works in taken for one in works]
    assert len(got) == len(set(got))
    rest = [one.dossier.alert_id for one in await store.opinions.lease(10, 60)]
    assert sorted(got + rest) == sorted(ids)
    await store.opinions.release()
    again = [one.value for one in await store.opinions.lease(10, 60)]
    assert again == sorted(again, reverse=True)
    assert all(isinstance(one, float) for one in again)


async def test_a_lease_that_ran_out_is_somebody_elses(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    assert len(await store.opinions.lease(1, -1)) == 1
    async with open_store(settings) as other:
        assert len(await other.opinions.lease(1, 60)) == 1
        assert not await store.opinions.finish(opinion(alert_id), {})
        assert not await store.opinions.postpone(alert_id, 1, "late")
        assert (await rows(store, triage_results, alert_id))["risk_score"] != 99
        assert await other.opinions.finish(opinion(alert_id), {})


async def test_an_opinion_raises_the_risk_and_the_review_and_nothing_else(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    before = await rows(store, triage_results, alert_id)
    alert_before = await rows(store, alerts, alert_id)
    await store.opinions.lease(1, 60)
    assert await store.opinions.finish(opinion(alert_id), {"HOST_1": "a host"})
    after = await rows(store, triage_results, alert_id)
    assert after["risk_score"] == 99
    assert after["risk_level"] == "critical"
    assert after["requires_human_review"]
    same = set(before) - {"risk_score", "risk_level", "requires_human_review"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert await rows(store, alerts, alert_id) == {**alert_before, "risk_score": 99}
    stored = await store.opinions.of(alert_id)
    assert stored is not None
    assert stored.change is not None
    assert stored.change.risk_before == before["risk_score"]
    assert stored.change.risk_after == 99
    assert stored.claims == opinion(alert_id).claims
    assert "a host" in str((await rows(store, opinions, alert_id))["pseudonyms"])


async def test_an_opinion_that_would_lower_lowers_nothing(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    raised = sa.update(triage_results).values(
        risk_score=88.0, risk_level="high", requires_human_review=True
    )
    await store.database.write(lambda c: c.execute(raised).rowcount)
    await store.opinions.lease(1, 60)
    low = Change(risk_before=0, risk_after=3, review_before=False, review_after=False)
    assert await store.opinions.finish(opinion(alert_id, change=low), {})
    after = await rows(store, triage_results, alert_id)
    assert (after["risk_score"], after["risk_level"]) == (88.0, "high")
    assert after["requires_human_review"]


async def test_the_table_itself_refuses_a_risk_that_fell(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    change = (
        sa.update(opinions)
        .where(opinions.c.alert_id == alert_id)
        .values(risk_before=50.0, risk_after=10.0)
    )
    with pytest.raises(sa.exc.IntegrityError):
        await store.database.write(lambda c: c.execute(change).rowcount)


async def test_whatever_a_model_wrote_can_be_stored(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    await store.opinions.lease(1, 60)
    odd = opinion(
        alert_id,
        summary=ODD,
        claims=(CheckedClaim(text=ODD, cites=(ODD[:12],), dropped=ODD),),
        questions=(ODD,),
        notes=(ODD,),
        model=ODD,
        why=ODD,
        error=ODD,
    )
    assert await store.opinions.finish(odd, {"HOST_1": ODD})
    stored = await store.opinions.of(alert_id)
    assert stored is not None
    assert stored.summary.startswith("{} {0} %s %(x)s\n\ufffd ")


async def test_a_failed_try_waits_and_is_counted(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    await store.opinions.lease(1, 60)
    assert await store.opinions.postpone(alert_id, 0.2, "ModelUnavailable: away")
    assert await store.opinions.lease(1, 60) == []
    await asyncio.sleep(0.3)
    (leased,) = await store.opinions.lease(1, 60)
    assert leased.attempts == 1
    stored = await store.opinions.of(alert_id)
    assert stored is not None
    assert stored.error == "ModelUnavailable: away"


async def test_every_recorded_opinion_is_in_the_audit_trail(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    await store.opinions.lease(1, 60)
    await store.opinions.finish(opinion(alert_id), {})
    query = sa.text(
        "SELECT actor, detail FROM audit_logs WHERE action = 'opinion.recorded' AND subject = :id"
    )
    (entry,) = await store.database.read(lambda c: c.execute(query, {"id": alert_id}).all())
    assert entry.actor == "narrator"
    assert '"risk_after":99' in str(entry.detail).replace(" ", "").replace(".0", "")


async def test_an_opinion_goes_with_its_alert(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    ids = await work(store, settings, 2)
    await store.dossiers.forget(ids)
    assert [await store.opinions.of(alert_id) for alert_id in ids] == [None, None]


async def loaded(store: Store, alert_id: str) -> Dossier:
    (found,) = await store.dossiers.load([alert_id], ("alert", "context", "intel", "verdict"))
    return found


async def test_look_ups_find_alerts_indicators_and_decisions(
    store: Store, settings: Settings
) -> None:
    ids = await work(store, settings, 4)
    dossier = await loaded(store, ids[0])
    since = dossier.received_at - timedelta(hours=1)
    found = await store.lookups.of_entity(
        LookupTool.ADDRESS_ALERTS, "192.0.2.9", since, 10, but=ids[0]
    )
    assert len(found) == 3
    assert all(one.source_ip == "192.0.2.9" for one in found)
    limited = await store.lookups.of_entity(
        LookupTool.ADDRESS_ALERTS, "192.0.2.9", since, 2, but=ids[0]
    )
    assert len(limited) == 2
    for hostile in ("'; DROP TABLE alerts --", "%", "", "192.0.2.%"):
        for kind in (LookupTool.HOST_ALERTS, LookupTool.USER_ALERTS, LookupTool.ADDRESS_ALERTS):
            assert await store.lookups.of_entity(kind, hostile, since, 10, but="x") == []
    assert await store.lookups.similar(dossier, since, 10) == []  # it names no rule
    indicator = Indicator(type=ObservableType.IP, value="192.0.2.9", source="a feed")
    gone = msgspec.structs.replace(indicator, source="an old feed", expires_at=since)
    await store.indicators.upsert([indicator, gone], actor="a test")
    assert [one.source for one in await store.lookups.indicator("192.0.2.9", 5)] == ["a feed"]


@pytest.mark.parametrize("tool", list(LookupTool))
async def test_whatever_a_model_asks_for_is_answered_and_raises_nothing(
    store: Store, settings: Settings, tool: LookupTool
) -> None:
    (alert_id,) = await work(store, settings, 1)
    names = Pseudonyms(Scope.of(settings))
    looking = Looking(await loaded(store, alert_id), names, store.lookups, store.inventory)
    for value in ("a\0b", "\0", "'; DROP TABLE alerts --", "x" * 5_000, "{} %s \x1b[31m", "HOST_9"):
        asked = LookupRequest(tool=tool, value=value, hours=24)
        entry, result = await looking.answer(asked)
        assert entry.tool is tool
        assert ("error" in json.loads(result)) is (entry.error is not None)
        if "\0" in value:
            assert entry.error == "value: nothing is named with the character NUL"


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forward", "back"])
async def test_a_clock_that_jumps_takes_no_lease_away_and_makes_nobody_wait(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    store.dossiers.queue = wants(100)
    (first, second) = await work(store, settings, 2)
    (held,) = await store.opinions.lease(1, 60)
    wrong = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: wrong)
    async with open_store(settings) as new:  # on SQLite there is one process, and so one clock
        other = store.opinions if store.database.sqlite else new.opinions
        leased = [one.dossier.alert_id for one in await other.lease(5, 60)]
        assert leased == [first if held.dossier.alert_id == second else second]
        assert await other.postpone(leased[0], 0.05, "again")
        await asyncio.sleep(0.1)
        assert [one.dossier.alert_id for one in await other.lease(5, 60)] == leased


async def test_what_a_person_has_decided_is_leased_as_such(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    ids = await work(store, settings, 2)
    await decide(store, ids[0])
    leased = {one.dossier.alert_id: one.decided for one in await store.opinions.lease(5, 60)}
    assert leased == {ids[0]: True, ids[1]: False}


async def close(store: Store, alert_id: str) -> None:
    """As a policy does it: the alert is closed, and a row says by which policy."""

    def change(connection: Connection) -> int:
        connection.execute(
            sa.insert(closures).values({
                "alert_id": alert_id, "policy_version": 1, "class": "generic/other",
                "probability": 0.01, "threshold": 0.05, "action": "closed",
                "at": datetime.now(UTC), "closable": True, "model_version": "expert-1",
                "likeness": "none",
            })
        )  # fmt: skip
        closed = sa.update(alerts).where(alerts.c.alert_id == alert_id)
        return connection.execute(closed.values(status="closed")).rowcount

    assert await store.database.write(change) == 1


async def test_an_alert_that_a_policy_closed_is_given_back_by_a_raise(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    raised, calm = await work(store, settings, 2)
    for alert_id in (raised, calm):
        await close(store, alert_id)
    await store.opinions.lease(5, 60)
    await store.opinions.finish(opinion(raised), {})
    low = Change(risk_before=0, risk_after=0, review_before=False, review_after=False)
    await store.opinions.finish(opinion(calm, change=low), {})
    assert (await rows(store, alerts, raised))["status"] == "triaged"
    assert (await rows(store, alerts, calm))["status"] == "closed"


async def test_an_alert_that_a_person_closed_stays_closed(store: Store, settings: Settings) -> None:
    store.dossiers.queue = wants(100)
    (alert_id,) = await work(store, settings, 1)
    await store.opinions.lease(5, 60)
    await close(store, alert_id)
    await decide(store, alert_id)
    await store.opinions.finish(opinion(alert_id), {})
    assert (await rows(store, alerts, alert_id))["status"] == "closed"


async def decide(store: Store, alert_id: str) -> None:
    decided = sa.insert(dispositions).values(
        disposition_id="d-1",
        alert_id=alert_id,
        disposition=Disposition.TRUE_POSITIVE.value,
        reason="seen",
        actor="a test",
        decided_at=datetime.now(UTC),
    )
    await store.database.write(lambda c: c.execute(decided).rowcount)
