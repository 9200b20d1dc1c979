"""What is kept of an incident to tell it from stays true, whatever else happens meanwhile."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from tests.flow.test_casework import alerts_of, case, made, refused
from tests.flow.test_opinions import opinion, wants
from tests.following import drive, follow, judge

from tocsin.after import Rules
from tocsin.app import Store, open_store
from tocsin.errors import ConflictError, InputError, NotFoundError
from tocsin.model import Change, Gist, Incident, Member
from tocsin.settings import Settings
from tocsin.store import incident_reading
from tocsin.store.incident_pages import IncidentFilter
from tocsin.store.tables import incident_alerts, incidents


async def told(store: Store, incident: str) -> Incident:
    """The incident, whose words are those of its alerts."""
    stored = (await store.incident_pages.detail(incident)).incident
    found = await store.database.read(lambda c: incident_reading.members(c, [incident]))
    said = Rules().account(Rules().gist(found[incident]))
    assert (stored.title, stored.summary, stored.severity) == (
        said.title, said.summary, said.severity,
    )  # fmt: skip
    assert stored.alerts == len(found[incident])
    return stored


async def test_a_risk_that_a_model_raised_is_told_by_the_incident(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = wants(100)
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    await store.opinions.lease(100, 60)
    change = Change(risk_before=1, risk_after=100, review_before=False, review_after=True)
    assert await store.opinions.finish(opinion(ids[-1], change=change), {})
    await drive(store, settings, case("ws-1", start=60)[:1])
    assert "with 100.0 (critical)" in str((await told(store, incident)).summary)


class Meanwhile(Rules):
    """The rules, with something else that begins while an incident is told."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self.begun: list[Any] = []

    def gist(self, members: Sequence[Member], before: Gist | None = None) -> Gist:
        """See `ports.Grouping.gist`."""
        if not self.begun:
            self.begun.append(self._begin())
        return super().gist(members, before)


async def test_an_alert_that_goes_while_its_incident_is_told_is_counted_no_more(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    await store.incidents.remove(incident, ids[:1], actor="cli", reason="")
    loop = asyncio.get_running_loop()
    async with open_store(settings) as other:

        def forget() -> Any:
            gone = asyncio.run_coroutine_threadsafe(other.dossiers.forget(ids[1:2]), loop)
            with suppress(TimeoutError):  # it waits for its turn, or has had it: both will do
                gone.result(1)
            return gone

        rules = Meanwhile(forget)
        store.incidents._grouping = rules
        later = await drive(store, settings, case("ws-1", start=60)[:1])
        await store.incidents.remove(incident, later, actor="cli", reason="")
        assert await asyncio.wrap_future(rules.begun[0]) == 1
    await drive(store, settings, case("ws-1", start=120)[:1])
    assert (await told(store, incident)).alerts == 2


async def test_alerts_that_an_older_version_added_are_counted(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    query = sa.select(incidents.c.gist).where(incidents.c.incident_id == incident)
    before = await store.database.read(lambda c: c.execute(query).scalar_one())
    ids += await drive(store, settings, case("ws-1", start=60)[:1])
    old = sa.update(incidents).where(incidents.c.incident_id == incident).values(gist=before)
    await store.database.write(lambda c: c.execute(old).rowcount)  # it knows no gist
    ids += await drive(store, settings, case("ws-1", start=120)[:1])
    assert await alerts_of(store, incident) == sorted(ids)
    await told(store, incident)


async def test_an_incident_without_a_gist_is_told_from_all_its_alerts(
    store: Store, settings: Settings
) -> None:
    incident, _ = (await made(store, settings, "ws-1"))["ws-1"]
    await store.database.write(lambda c: c.execute(sa.update(incidents).values(gist=None)).rowcount)
    await drive(store, settings, case("ws-1", start=60)[:1])
    await told(store, incident)


async def test_two_replicas_at_once_tell_the_same(store: Store, settings: Settings) -> None:
    incident, _ = (await made(store, settings, "ws-1"))["ws-1"]
    ids = [await judge(store, settings, case("ws-1", start=60 + 20 * n)) for n in range(6)]
    async with open_store(settings) as other:
        await asyncio.gather(
            *(follow((store, other)[n % 2], settings, part) for n, part in enumerate(ids)),
            *(follow((other, store)[n % 2], settings, part) for n, part in enumerate(ids)),
        )
    assert (await told(store, incident)).alerts == 21


async def test_an_alert_that_is_gone_does_not_come_back_by_an_undo(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    await store.incidents.remove(incident, ids[:1], actor="cli", reason="")
    assert await store.dossiers.forget(ids[:1]) == 1
    said = await refused(ConflictError, store.incidents.undo(incident, actor="cli", reason=""))
    assert ids[0] in said
    held = sa.select(incident_alerts.c.alert_id).where(incident_alerts.c.alert_id == ids[0])
    assert await store.database.read(lambda c: c.execute(held).all()) == []


async def test_a_split_that_names_an_alert_twice_moves_it_once(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    for start in range(60, 360, 60):
        ids += await drive(store, settings, case("ws-1", start=start))
    new = await store.incidents.split(incident, [*ids[:16], ids[0]], actor="cli", reason="")
    assert await alerts_of(store, new) == sorted(ids[:16])


@pytest.mark.parametrize("alert", ["\0", "a\0b", "\udcff"])
async def test_alerts_whose_ids_no_database_takes_are_not_there(
    store: Store, settings: Settings, alert: str
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    named = [*ids, alert]
    added = store.incidents.add(incident, named, actor="cli", reason="")
    assert "there is no alert" in await refused(NotFoundError, added)


async def true_gists(store: Store) -> int:
    """How many gists are kept; each is that of the incident's alerts."""

    def ask(connection: Connection) -> tuple[dict[str, Gist], dict[str, list[Member]]]:
        named = list(connection.execute(sa.select(incidents.c.incident_id)).scalars())
        kept = incident_reading.gists(connection, named)
        return kept, incident_reading.members(connection, list(kept))

    kept, found = await store.database.read(ask)
    assert kept == {name: Rules().gist(held) for name, held in found.items()}
    return len(kept)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_at_once_gists_stay_true(
    store: Store, settings: Settings, seed: int
) -> None:
    chance = random.Random(seed)
    hosts = ("ws-1", "ws-2", "ws-3")
    judged = [
        await judge(store, settings, case(host, start=25 * n)[: chance.randint(1, 3)])
        for n in range(4)
        for host in hosts
    ]
    ids = [alert for part in judged for alert in part]
    async with open_store(settings) as other:

        async def pipeline(one: Store) -> None:
            for part in chance.sample(judged, len(judged)):
                await follow(one, settings, part)

        async def person(one: Store) -> None:
            for _ in range(12):
                page = await one.incident_pages.page(IncidentFilter())
                named = [each.incident_id for each in page.incidents]
                if len(named) < 2:
                    await asyncio.sleep(0.02)
                    continue
                first, second = chance.sample(named, 2)
                held = await alerts_of(one, first)
                some = chance.sample(held, min(len(held), 1))
                why: dict[str, str] = {"actor": "cli", "reason": "x"}
                with suppress(ConflictError, InputError, NotFoundError):
                    await chance.choice(
                        (
                            partial(one.incidents.split, first, some, **why),
                            partial(one.incidents.merge, first, second, **why),
                            partial(one.incidents.remove, first, some, **why),
                            partial(one.incidents.add, first, chance.sample(ids, 2), **why),
                            partial(one.incidents.undo, first, **why),
                            partial(one.dossiers.forget, chance.sample(ids, 1)),
                        )
                    )()

        await asyncio.gather(pipeline(store), pipeline(other), person(store), person(other))
    await true_gists(store)
    for host in hosts:
        await drive(store, settings, case(host, start=110)[:1])
    await drive(store, settings, case("ws-4"))
    assert await true_gists(store)
