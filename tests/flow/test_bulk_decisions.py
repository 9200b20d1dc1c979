"""Many decisions at once while somebody else takes them back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from tests.audited import work

from tocsin.app import Store, open_store
from tocsin.errors import ConflictError
from tocsin.model import AlertStatus, Disposition
from tocsin.settings import Settings
from tocsin.store import bulk_decisions
from tocsin.store.queries import AlertFilter
from tocsin.store.tables import dispositions

FALSE = Disposition.FALSE_POSITIVE


async def begun(store: Store, settings: Settings, alerts: int) -> tuple[str, list[str]]:
    await work(store, settings, alerts)
    found = await store.bulk_decisions.match(AlertFilter())
    wanted = AlertFilter()
    return await store.bulk_decisions.begin(wanted, found.token, FALSE, "noise", actor="cli")


async def standing(store: Store) -> int:
    query = sa.select(sa.func.count()).where(dispositions.c.undone_at.is_(None))
    return await store.database.read(lambda c: c.execute(query).scalar_one())


async def summed(portions: AsyncIterator[int]) -> int:
    return sum([count async for count in portions])


async def test_a_bulk_that_is_undone_while_it_is_decided_ends_there(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_decisions, "PORTION", 2)
    bulk_id, ids = await begun(store, settings, 6)
    portions = store.bulk_decisions.portions(bulk_id, ids, FALSE, "noise", actor="cli")
    assert await anext(portions) == 2
    assert await summed(store.bulk_decisions.undo(bulk_id, actor="key:1")) == 2
    assert await summed(portions) == 0
    assert await standing(store) == 0
    page = await store.queries.page(AlertFilter(status=AlertStatus.TRIAGED))
    assert len(page.alerts) == 6
    with pytest.raises(ConflictError):
        await summed(store.bulk_decisions.undo(bulk_id, actor="key:1"))


async def test_nothing_of_a_bulk_stands_that_two_undo_while_it_is_decided(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_decisions, "PORTION", 1)
    bulk_id, ids = await begun(store, settings, 20)

    async def undo(actor: str) -> int:
        try:
            return await summed(other.bulk_decisions.undo(bulk_id, actor=actor))
        except ConflictError:  # the other one was through with it already
            return 0

    async with open_store(settings) as other:
        decided, *undone = await asyncio.gather(
            summed(store.bulk_decisions.portions(bulk_id, ids, FALSE, "noise", actor="cli")),
            undo("key:1"),
            undo("key:2"),
        )
    assert decided == sum(undone)
    assert await standing(store) == 0
