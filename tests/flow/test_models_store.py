"""The registry of models and leases, on both databases."""

import asyncio
import time

import msgspec
import pytest
import sqlalchemy as sa
from tests.small_learner import learned_of

from tocsin.app import Store
from tocsin.errors import ConflictError, NotFoundError
from tocsin.model import Learned, ModelStatus, Record
from tocsin.store.tables import audit_logs, models

CHAMPION, REJECTED = ModelStatus.CHAMPION, ModelStatus.REJECTED
HOSTILE = "why {} %s '; DROP TABLE models -- \x1b[31m"


class Said(Record, frozen=True, kw_only=True):
    """A card of tests."""

    text: str = HOSTILE


def learned(name: str) -> Learned:
    return learned_of(name, {"a": 0.25, HOSTILE: -1.0})


async def statuses(store: Store) -> dict[str, str]:
    return {entry.version: entry.status.value for entry in await store.models.list_models()}


async def test_a_new_champion_retires_the_one_before(store: Store) -> None:
    assert (await store.models.version(), await store.models.champion()) == (0, None)
    await store.models.add(learned("one"), Said(), CHAMPION, HOSTILE, actor="t")
    assert await store.models.champion() == learned("one")
    await store.models.add(learned("bad"), Said(), REJECTED, HOSTILE, actor="t")
    assert await store.models.version() == 1, "a rejected model changes nothing that is live"
    await store.models.add(learned("two"), Said(), CHAMPION, HOSTILE, actor="t")
    assert await store.models.version() == 2
    assert await statuses(store) == {"one": "retired", "two": "champion", "bad": "rejected"}
    entry, artifact, card = await store.models.find("bad")
    assert entry.why == HOSTILE
    assert msgspec.json.decode(card, type=Said) == Said()
    assert b'"version":"bad"' in bytes(artifact)


async def test_the_live_model_learned_again_and_rejected_stays_live(store: Store) -> None:
    await store.models.add(learned("one"), Said(), CHAMPION, "better", actor="t")
    await store.models.add(learned("one"), Said(), REJECTED, "no better than itself", actor="t")
    assert await statuses(store) == {"one": "champion"}
    assert await store.models.version() == 1


async def test_any_model_can_be_used_and_left_again(store: Store) -> None:
    await store.models.add(learned("one"), Said(), CHAMPION, "w", actor="t")
    await store.models.add(learned("bad"), Said(), REJECTED, "w", actor="t")
    assert await store.models.use("bad", actor="t") == "one"
    assert await store.models.use("shipped", actor="t") == "bad"
    assert await store.models.champion() is None
    with pytest.raises(ConflictError):
        await store.models.use("shipped", actor="t")
    with pytest.raises(NotFoundError):
        await store.models.use("{}%s", actor="t")
    assert await store.models.use("one", actor="t") == "shipped"
    assert await statuses(store) == {"one": "champion", "bad": "retired"}
    used = sa.select(audit_logs.c.subject).where(audit_logs.c.action == "model.used")
    found = await store.database.read(lambda c: list(c.execute(used).scalars()))
    assert sorted(found) == ["bad", "one", "shipped"]


async def test_people_who_change_the_champion_at_once_leave_one(store: Store) -> None:
    names = [f"m{number}" for number in range(6)]
    for name in names:
        await store.models.add(learned(name), Said(), REJECTED, "w", actor="t")

    async def use(name: str) -> None:
        for _ in range(5):
            try:
                await store.models.use(name, actor="t")
            except ConflictError:
                continue

    await asyncio.gather(*(use(name) for name in names))
    live = sa.select(models.c.version).where(models.c.status == CHAMPION.value)
    assert len(await store.database.read(lambda c: c.execute(live).all())) == 1


async def test_a_lease_is_held_by_one_and_runs_out(store: Store) -> None:
    assert await store.leases.since_done("job") == 0.0
    takers = await asyncio.gather(*(store.leases.take("job", f"o{n}", 60) for n in range(8)))
    assert takers.count(True) == 1
    owner = f"o{takers.index(True)}"
    await store.leases.give_back("job", "somebody else")
    assert not await store.leases.take("job", "late", 60)
    await store.leases.give_back("job", owner)
    assert 0 <= await store.leases.since_done("job") < 5
    assert await store.leases.take("job", "late", 0.05)
    await asyncio.sleep(0.1)
    assert await store.leases.take("job", "later", 60)


async def test_a_lease_runs_out_though_somebody_sets_the_clock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.leases.since_done("job")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 86_400)
    assert await store.leases.take("job", "early", 0.05)
    monkeypatch.undo()
    await asyncio.sleep(0.1)
    assert await store.leases.take("job", "next", 60)
    monkeypatch.setattr(time, "time", lambda: right() + 86_400)
    assert not await store.leases.take("job", "thief", 60)
    assert await store.leases.since_done("job") < 5
