"""Replies that are kept, and how fast a provider is asked."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.models.routing import SCHEMA, ask, at, routing
from tests.models.servers import ModelServer, say, slow

from tocsin.app import Store
from tocsin.errors import ModelUnavailable
from tocsin.llm.ledger import today
from tocsin.llm.pace import Pace
from tocsin.ports import ChatReply
from tocsin.settings import Settings
from tocsin.store.tables import model_replies


async def test_the_same_request_is_answered_once_and_costs_once(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say("kept \0 {} %s \u2028 'x'")
    async with routing(settings, store, at(first.url, price_in=9, price_out=9)) as router:
        fresh = await router.complete(ask(seed=7, purpose="one"))
        kept = await router.complete(ask(seed=7, purpose="two", run="r"))
    assert (fresh.cached, kept.cached) == (False, True)
    assert kept.text == fresh.text == "kept \0 {} %s \u2028 'x'"
    assert (fresh.cost_usd > 0, kept.cost_usd) == (True, 0)
    assert len(first.seen) == 1
    usage = {row.purpose: row for row in await store.model_usage.usage(today())}
    assert (usage["one"].calls, usage["one"].cached) == (1, 0)
    assert (usage["two"].calls, usage["two"].cached, usage["two"].cost_usd) == (0, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "hello "},)},
        {"messages": ({"role": "system", "content": "hello"},)},
        {"max_tokens": 65},
        {"seed": 8},
        {"schema": {"type": "object"}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_shapes_the_reply_makes_another_request(
    change: dict[str, object], store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say("{}")
    async with routing(settings, store, at(first.url)) as router:
        await router.complete(ask(seed=7))
        await router.complete(replace(ask(seed=7), **change))
    assert len(first.seen) == 2


async def test_nothing_is_kept_that_was_cut_off_or_asked_for_at_random_or_unwanted(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    async with routing(settings, store, at(first.url)) as router:
        for _ in range(2):
            await router.complete(ask(temperature=0.7))
        first.behave = say("cut", reason="length")
        for _ in range(2):
            assert (await router.complete(ask("long"))).finish_reason == "length"
    async with routing(settings, store, at(first.url), llm_cache_hours=0) as router:
        for _ in range(2):
            await router.complete(ask("never"))
    assert len(first.seen) == 6


async def test_kept_replies_expire_and_the_oldest_make_room(store: Store) -> None:
    reply = ChatReply("text", "m", "p", 1, 1, 0.0, False, "stop", 0.1)
    now = datetime.now(UTC)
    await store.model_replies.keep(b"\0" * 32, reply, now - timedelta(seconds=1), 3)
    assert await store.model_replies.find([b"\0" * 32], now) is None
    for number in range(5):
        expires = now + timedelta(hours=1 + number)
        await store.model_replies.keep(bytes([number]) * 32, reply, expires, 3)
    count = sa.select(sa.func.count()).select_from(model_replies)
    assert await store.database.read(lambda c: c.execute(count).scalar_one()) == 3
    assert await store.model_replies.find([b"\1" * 32, b"\4" * 32], now) == reply
    assert await store.model_replies.find([b"\1" * 32], now) is None


async def test_a_reply_of_one_provider_is_not_given_for_another(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    second.behave = say("of the second")
    providers = (at(first.url, "a", priority=1), at(second.url, "b", priority=2))
    async with routing(settings, store, *providers) as router:
        assert (await router.complete(ask())).text == "pong"
        assert (await router.complete(ask(model="b"))).text == "of the second"
        kept = await router.complete(ask())
    assert (kept.cached, kept.text) == (True, "pong")


async def test_the_schema_of_a_kept_reply_is_the_same_whatever_the_order_of_its_keys(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say('{"verdict": "keep"}')
    turned = dict(reversed(SCHEMA.items()))
    async with routing(settings, store, at(first.url)) as router:
        await router.complete(ask(schema=SCHEMA))
        assert (await router.complete(ask(schema=turned))).cached


# --- pace ----------------------------------------------------------------------------------------


def test_a_bucket_holds_a_minute_and_refills_evenly() -> None:
    now = 0.0
    pace = Pace(60, 0, clock=lambda: now)
    assert [pace.take(10) for _ in range(60)] == [0.0] * 60
    assert pace.take(10) == pytest.approx(1.0)
    now = 1.0
    assert pace.take(10) == 0.0
    assert pace.take(10) == pytest.approx(1.0)
    now = 1000.0
    assert [pace.take(10) for _ in range(61)].count(0.0) == 60


def test_tokens_that_were_not_used_are_put_back_and_a_giant_goes_when_the_bucket_is_full() -> None:
    now = 0.0
    pace = Pace(0, 600, clock=lambda: now)
    assert pace.take(500) == 0.0
    assert pace.take(200) == pytest.approx(10.0)
    pace.settle(500, 50)
    assert pace.take(200) == 0.0
    now = 60.0
    assert pace.take(5000) == 0.0
    assert pace.take(1) > 60


async def test_beyond_its_pace_a_provider_is_passed_over(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    paced = at(first.url, "a", priority=1, requests_per_minute=2)
    async with routing(settings, store, paced, at(second.url, "b", priority=2)) as router:
        replies = [await router.complete(ask(f"{number}")) for number in range(5)]
    assert [reply.provider for reply in replies] == ["a", "a", "b", "b", "b"]


async def test_without_another_the_pace_is_waited_for_within_the_deadline(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    async with routing(settings, store, at(first.url, requests_per_minute=60)) as router:
        (member,) = router.members
        for _ in range(60):
            member.pace.take(1)
        started = time.monotonic()
        assert (await router.complete(ask())).text == "pong"
        assert 0.8 < time.monotonic() - started < 4
    async with routing(settings, store, at(first.url, requests_per_minute=1)) as router:
        await router.complete(ask("first"))
        with pytest.raises(ModelUnavailable, match="paced") as raised:
            await router.complete(ask("second", deadline=2.0))
    assert raised.value.retry_after > 30


async def test_a_provider_never_has_more_requests_in_hand_than_it_may(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = slow(0.05, say("pong"))
    async with routing(settings, store, at(first.url, max_concurrent=3)) as router:
        replies = await asyncio.gather(*(router.complete(ask(f"{n}")) for n in range(20)))
    assert [reply.text for reply in replies] == ["pong"] * 20
    assert first.most_at_once == 3
