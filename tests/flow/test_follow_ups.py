"""What follows a verdict is counted apart, fails apart, and survives everything."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.flow.test_runner import broken, dump
from tests.following import AFTER, attack_alert, day, drive, follow, judge, know_the_scanner

from tocsin import metrics
from tocsin.app import Store, open_store, resources
from tocsin.bus.memory import MemoryBus
from tocsin.model import AlertStatus, AssetRecord, Indicator, ObservableType
from tocsin.pipeline import STEPS, TO_VERDICT, chains
from tocsin.runner import Worker
from tocsin.settings import Settings
from tocsin.store.incident_pages import IncidentFilter
from tocsin.store.queries import AlertFilter
from tocsin.store.tables import alert_entities, alert_work, incident_alerts


def two(minute: int = 0) -> list[dict[str, object]]:
    """Two alerts that belong together, and one that nothing follows."""
    return [
        attack_alert(minute, "Malware beacon", host_name="ws-1", user_name="dora"),
        attack_alert(minute + 5, "Ransomware note found", host_name="ws-1", user_name="dora"),
        {"title": "A user logged in", "severity": "info", "host_name": "ws-1"},
    ]


async def incidents(store: Store) -> list[list[str]]:
    """The alerts of every incident, sorted."""
    page = await store.incident_pages.page(IncidentFilter(), limit=500)
    details = [await store.incident_pages.detail(each.incident_id) for each in page.incidents]
    for detail in details:
        assert detail.incident.alerts == len(detail.alerts)
    return sorted(sorted(a.alert_id for a in d.alerts) for d in details if d.alerts)


async def worker(store: Store, settings: Settings) -> Worker:
    return Worker([AFTER], resources(settings, store), store.dossiers, MemoryBus(), settings)


def verdicts_counted() -> float:
    (family,) = metrics.VERDICTS.collect()
    return sum(s.value for s in family.samples if s.name.endswith("_total"))


def test_what_follows_a_verdict_is_a_chain_of_its_own() -> None:
    assert [[step.name for step in chain] for chain in chains(STEPS)] == [
        ["normalize", "context", "intel", "triage"], ["after"],
    ]  # fmt: skip
    assert chains(STEPS)[0] == TO_VERDICT
    assert chains(STEPS[2:]) == (STEPS[2:4], STEPS[4:])


async def test_an_alert_is_triaged_before_anything_follows(
    store: Store, settings: Settings
) -> None:
    ids = await judge(store, settings, two())
    counts = await store.balance.counts()
    assert (counts.received, counts.triaged, counts.in_flight) == (3, 3, 0)
    assert await store.dossiers.in_flight() == 0
    following = await store.balance.follow_ups()
    assert (following.waiting, following.parked, following.done) == (2, 0, 0)
    counted = verdicts_counted()
    await follow(store, settings, ids)
    assert verdicts_counted() == counted, "a verdict is counted once"
    following = await store.balance.follow_ups()
    assert (following.waiting, following.parked, following.done) == (0, 0, 2)
    assert await store.balance.counts() == counts
    assert await incidents(store) == [sorted(ids[:2])]
    loaded = await store.dossiers.load(ids, ("alert", "context", "intel", "verdict", "links"))
    assert loaded[0].incident_id == loaded[1].incident_id is not None
    assert loaded[1].links[0].alert_id == ids[0]
    assert {reason.value for reason in loaded[1].links[0].reasons} == {"ws-1", "dora"}
    assert loaded[2].incident_id is None


async def test_a_follow_up_that_fails_is_parked_and_its_alert_stays_triaged(
    store: Store, settings: Settings
) -> None:
    once = settings.model_copy(update={"max_attempts": 1})
    ids = await judge(store, once, two())
    broken_step = broken(replace(AFTER), {ids[0]})
    poisoned = Worker([broken_step], resources(once, store), store.dossiers, MemoryBus(), once)
    await poisoned.process(ids)
    counts = await store.balance.counts()
    assert (counts.received, counts.triaged, counts.parked, counts.in_flight) == (3, 3, 0, 0)
    following = await store.balance.follow_ups()
    assert (following.waiting, following.parked, following.done) == (0, 1, 1)
    page = await store.queries.page(AlertFilter(status=AlertStatus.TRIAGED))
    errors = {alert.alert_id: alert.error for alert in page.alerts}
    assert "poison {} {0}" in (errors[ids[0]] or "")
    assert await store.dossiers.unpark(ids[0]) is AlertStatus.TRIAGED
    assert await store.dossiers.unpark(ids[0]) is None
    await follow(store, once, ids)
    assert await store.balance.counts() == counts
    assert (await store.balance.follow_ups()).parked == 0
    assert await incidents(store) == [sorted(ids[:2])]


async def test_a_second_delivery_changes_nothing(store: Store, settings: Settings) -> None:
    ids = await drive(store, settings, two())
    before = await dump(store)
    for _ in range(3):
        await follow(store, settings, [*reversed(ids), ids[0]])
    assert await dump(store) == before


async def test_two_replicas_put_no_alert_into_two_incidents(
    store: Store, settings: Settings
) -> None:
    await know_the_scanner(store)
    told = [each for each in day() if each.story]
    ids = await judge(store, settings, [each.alert for each in told])
    bus = MemoryBus()
    for number in range(0, len(ids), 2):
        await bus.ring(AFTER.takes, ids[number : number + 2])
        await bus.ring(AFTER.takes, ids[number + 1 : number + 3])
    async with open_store(settings) as other:
        small = settings.model_copy(update={"batch": 2})
        tasks = [
            asyncio.create_task(
                Worker([AFTER], resources(small, each), each.dossiers, bus, small).run()
            )
            for each in (store, other, store, other)
        ]
        while (await store.balance.follow_ups()).waiting:
            await asyncio.sleep(0.01)
        await bus.close()
        await asyncio.gather(*tasks)
    assert (await store.balance.follow_ups()).done == len(ids)
    found = await incidents(store)
    stories = {i: each.story for i, each in zip(ids, told, strict=True)}
    assert sorted(sorted({str(stories[i]) for i in each}) for each in found) == [
        ["first"], ["second"],
    ]  # fmt: skip
    assert sorted(len(each) for each in found) == [12, 12]


async def test_what_everybody_has_links_nothing(store: Store, settings: Settings) -> None:
    tagged = AssetRecord(asset_id="fw", ip="10.0.0.1", tags=("NAT gateway", "default gateway"))
    await store.inventory.upsert_assets([tagged])
    alerts = [
        attack_alert(n, "Malware beacon", host_name=f"ws-{n}", user_name="root", **more)
        for n in range(6)
        for more in ({"source_ip": "10.0.0.1", "destination_ip": "8.8.8.8"},)
    ]
    await drive(store, settings, alerts)
    assert all(len(each) == 1 for each in await incidents(store))


async def test_what_turns_up_beside_ever_new_things_links_nothing(
    store: Store, settings: Settings
) -> None:
    crowd = [
        attack_alert(n, "Malware beacon", host_name=f"ws-{n}", destination_ip="203.0.113.8")
        for n in range(60)
    ]
    ids = await drive(store, settings, crowd)
    largest = max((len(each) for each in await incidents(store)), default=0)
    assert largest <= 41, "later alerts of a crossroads go in no more"
    late = await drive(
        store, settings,
        [attack_alert(61, "Malware beacon", host_name="ws-new", destination_ip="203.0.113.8")],
    )  # fmt: skip
    (dossier,) = await store.dossiers.load(late, ("alert", "verdict", "links"))
    assert dossier.links == ()
    assert len(ids) == 60


async def test_what_thousands_of_alerts_have_links_nothing(
    store: Store, settings: Settings
) -> None:
    many = [{"title": f"Login {n}", "severity": "info", "host_name": "srv-1"} for n in range(2000)]
    for start in range(0, 2000, 500):
        await judge(store, settings, many[start : start + 500])
    alerts = [attack_alert(n, f"Trojan number {n} found", host_name="srv-1") for n in range(3)]
    await drive(store, settings, alerts)
    assert all(len(each) == 1 for each in await incidents(store))


async def test_values_on_warning_lists_link_nothing(store: Store, settings: Settings) -> None:
    bad = Indicator(type=ObservableType.DOMAIN, value="c2.example.net", source="own")
    await store.indicators.upsert([bad])
    good = [
        attack_alert(n, "Malware beacon", host_name=f"ws-{n}", dns_query="www.google.com")
        for n in range(2)
    ]
    evil = [
        attack_alert(n, "Malware beacon", host_name=f"pc-{n}", dns_query="c2.example.net")
        for n in range(2)
    ]
    ids = await drive(store, settings, [*good, *evil])
    found = await incidents(store)
    assert sorted(ids[2:]) in found
    assert not any(set(ids[:2]) <= set(each) for each in found)


HOSTILE = (
    "{} {0} %s %(x)s\n'; DROP TABLE incidents; -- \x1b[31m\\u0000 ../../ <script>" + "x" * 3_000
)


async def test_hostile_texts_are_values_and_nothing_else(store: Store, settings: Settings) -> None:
    alerts = [
        attack_alert(n, "Malware beacon " + HOSTILE, host_name=HOSTILE, user_name=HOSTILE)
        for n in range(2)
    ]
    ids = await drive(store, settings, alerts)
    assert (await store.balance.follow_ups()).parked == 0
    assert await incidents(store) == [sorted(ids)]
    page = await store.incident_pages.page(IncidentFilter())
    (incident,) = page.incidents
    assert incident.title.isprintable()
    assert (incident.summary or "").isprintable()
    assert len(incident.title) <= 240


async def test_forgetting_alerts_forgets_what_ties_them(store: Store, settings: Settings) -> None:
    ids = await drive(store, settings, two())
    waiting = await judge(store, settings, two(minute=60))
    assert await store.dossiers.forget([*ids, *waiting]) == 5, "one came twice"

    def left(connection: sa.Connection) -> list[int]:
        return [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (alert_entities, incident_alerts, alert_work)
        ]

    assert await store.database.read(left) == [0, 0, 0]
    page = await store.incident_pages.page(IncidentFilter())
    assert [each.title for each in page.incidents] != [""], "what was told of them stays"
    (incident,) = page.incidents
    detail = await store.incident_pages.detail(incident.incident_id)
    assert detail.alerts == ()


@pytest.mark.parametrize("name", ["alert_entities", "incident_alerts", "incident_changes"])
async def test_the_tables_are_there_after_going_back_and_forth(
    store: Store, settings: Settings, name: str
) -> None:
    from alembic import command

    from tocsin.store import migrate

    def back(connection: sa.Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")

    await drive(store, settings, two())
    await store.database.write(back)
    await migrate.upgrade(store.database)
    rows = sa.select(sa.func.count()).select_from(sa.table(name))
    assert await store.database.read(lambda c: c.execute(rows).scalar_one()) == 0
