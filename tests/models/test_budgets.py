"""What may be spent, what was, and that processes share it; on both databases."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.models.routing import ask, at, routing
from tests.models.servers import ModelServer, fail, hang, raw, say, slow
from tests.servers import ROOT, environment

from tocsin.app import Store, open_store
from tocsin.errors import BudgetSpent, ModelUnavailable
from tocsin.llm.ledger import today
from tocsin.metrics import MODEL_ANSWERED
from tocsin.ports import Budget, ModelCall
from tocsin.settings import Settings
from tocsin.store.tables import audit_logs, model_budgets

PRICES = {"price_in": 1000.0, "price_out": 2000.0}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(data=tmp_path)
    return Settings(data=tmp_path, database=request.getfixturevalue("postgres_url"))


async def test_tokens_and_money_are_booked_as_the_provider_counted_them(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say("x", usage={"prompt_tokens": 20, "completion_tokens": 10})
    async with routing(settings, store, at(first.url, **PRICES)) as router:
        reply = await router.complete(ask(purpose="narrator"))
        await router.complete(ask("again", purpose="narrator"))
    assert (reply.prompt_tokens, reply.completion_tokens, reply.estimated) == (20, 10, False)
    assert reply.cost_usd == pytest.approx(0.04)
    (usage,) = await store.model_usage.usage(today())
    assert (usage.provider, usage.purpose, usage.calls, usage.failed) == ("local", "narrator", 2, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (40, 20)
    assert usage.cost_usd == pytest.approx(0.08)


@pytest.mark.parametrize(
    "claim",
    [
        None,
        {},
        "free",
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": -5},
        {"prompt_tokens": 10**12, "completion_tokens": 1},
        {"prompt_tokens": 30, "completion_tokens": 10**15},
        {"prompt_tokens": "30", "completion_tokens": True},
        {"prompt_tokens": 1e300, "completion_tokens": None},
    ],
    ids=repr,
)
async def test_usage_that_cannot_be_is_estimated_and_marked(
    claim: object, store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say("answer " * 100, usage=claim)
    async with routing(settings, store, at(first.url, **PRICES)) as router:
        reply = await router.complete(ask("question " * 100))
    assert reply.estimated
    assert 200 <= reply.prompt_tokens <= 600
    assert 150 <= reply.completion_tokens <= 400
    (usage,) = await store.model_usage.usage(today())
    assert (usage.estimated, usage.cost_usd) == (1, pytest.approx(reply.cost_usd))


async def test_a_run_that_has_spent_its_tokens_is_refused_and_others_are_not(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say("x", usage={"prompt_tokens": 30, "completion_tokens": 20})
    async with routing(settings, store, at(first.url), llm_run_tokens=250) as router:
        for number in range(3):
            await router.complete(ask(f"{number}", run="r-1"))
        with pytest.raises(BudgetSpent, match="run r-1 is spent: 150 tokens of 250") as raised:
            await router.complete(ask("one more", run="r-1"))
        assert raised.value.scope == "run"
        await router.complete(ask("another run", run="r-2"))
        await router.complete(ask("no run"))
    assert len(first.seen) == 5


async def test_the_days_money_is_not_overdrawn_by_requests_at_once(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = slow(0.05, say("x", usage={"prompt_tokens": 20, "completion_tokens": 64}))
    async with routing(settings, store, at(first.url, **PRICES), llm_day_usd=1.0) as router:
        asked = [router.complete(ask(f"{number}")) for number in range(30)]
        replies = await asyncio.gather(*asked, return_exceptions=True)
        left = await router.ledger.left()
    spent = sum(r.cost_usd for r in replies if not isinstance(r, BaseException))
    assert all(isinstance(r, BudgetSpent) for r in replies if isinstance(r, BaseException))
    assert 0.5 < spent <= 1.0
    assert left == {"usd": pytest.approx(1.0 - spent)}


async def test_a_cheaper_provider_answers_when_the_dear_one_is_not_affordable(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    dear = at(first.url, "dear", priority=1, price_in=10_000, price_out=10_000)
    free = at(second.url, "free", priority=2)
    async with routing(settings, store, dear, free, llm_day_usd=0.01) as router:
        assert (await router.complete(ask())).provider == "free"
    assert not first.seen


async def test_a_failure_gives_back_what_was_reserved_and_a_timeout_is_charged_its_prompt(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    limits = {"llm_day_tokens": 10_000}
    async with routing(settings, store, at(first.url, timeout=0.3), **limits) as router:
        first.behave = fail(500)
        with pytest.raises(ModelUnavailable):
            await router.complete(ask(deadline=0.2))
        assert await router.ledger.left() == {"tokens": 10_000}
        first.behave = hang()
        with pytest.raises(ModelUnavailable):
            await router.complete(ask("x" * 300, deadline=0.2))
        left = (await router.ledger.left())["tokens"]
    assert 9_800 < left < 9_950


async def test_a_request_that_is_cancelled_while_it_reserves_leaves_nothing_behind(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    async with routing(settings, store, at(first.url), llm_day_tokens=100_000) as router:
        for number in range(40):
            asking = asyncio.create_task(router.complete(ask(f"{number}", run="r")))
            await asyncio.sleep(number / 4000)  # in whatever it does by then
            asking.cancel()
            await asyncio.wait([asking])
        left = (await router.ledger.left())["tokens"]
    booked = await store.model_usage.usage(today())
    assert 100_000 - left == sum(row.prompt_tokens + row.completion_tokens for row in booked)
    assert all(member.places._value == 8 for member in router.members)


async def test_a_reply_of_no_use_is_charged_all_the_same(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = raw(b'{"choices": [')
    async with routing(settings, store, at(first.url), llm_day_tokens=10_000) as router:
        with pytest.raises(ModelUnavailable):
            await router.complete(ask("x" * 300, deadline=2.0))
        assert (await router.ledger.left())["tokens"] < 9_950
    (usage,) = await store.model_usage.usage(today())
    assert usage.failed == usage.calls >= 1


async def test_every_reservation_and_call_is_in_the_audit_trail_without_the_prompt(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    async with routing(settings, store, at(first.url), llm_day_tokens=10_000) as router:
        await router.complete(ask("the prompt {} %s", run="r-9"))
        await router.complete(ask("the prompt {} %s", run="r-9"))
    query = sa.select(audit_logs.c.action, audit_logs.c.detail).where(audit_logs.c.actor == "llm")
    rows = await store.database.read(lambda c: c.execute(query).all())
    actions = sorted(row.action for row in rows)
    assert actions == ["model.called", "model.called", "model.reserved", "reply.kept"]
    assert not any("the prompt" in row.detail for row in rows)


async def test_a_reservation_is_all_or_nothing(store: Store) -> None:
    day, run = Budget("day:2026-03-04", 1000, None), Budget("run:r", 100, None)
    with pytest.raises(BudgetSpent, match="run"):
        await store.model_usage.reserve([day, run], 500, 0.0)
    assert await store.model_usage.spent(day.scope) == (0, 0.0)
    await store.model_usage.reserve([day, run], 100, 0.0)
    with pytest.raises(BudgetSpent, match="day"):
        await store.model_usage.reserve([Budget(day.scope, 150, None)], 51, 0.0)


async def test_settling_gives_back_the_difference_and_old_runs_are_forgotten(store: Store) -> None:
    budget, run = Budget("day:2026-03-04", 1000, 1.0), Budget("run:old", 1000, None)
    call = ModelCall(
        "2026-03-04", "local", "test", "", MODEL_ANSWERED, 30, 10, 0.02, False, 500, 0.5
    )
    await store.model_usage.reserve([budget, run], 500, 0.5)
    await store.model_usage.settle(call, [budget])
    assert await store.model_usage.spent(budget.scope) == (40, pytest.approx(0.02))
    from datetime import UTC, datetime

    long_ago = sa.update(model_budgets).values(updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    await store.database.write(lambda c: c.execute(long_ago) and None)
    await store.model_usage.reserve([replace(budget, scope="day:2026-03-05")], 1, 0.0)
    assert await store.model_usage.spent("run:old") == (0, 0.0)
    assert (await store.model_usage.spent(budget.scope))[0] == 40


SPENDER = """
import asyncio, sys
from tocsin.app import open_models, open_store
from tocsin.errors import BudgetSpent
from tocsin.ports import ChatRequest
from tocsin.settings import load

async def main():
    settings = load()
    async with open_store(settings) as store:
        router = open_models(settings, store)
        async def one(number):
            message = {"role": "user", "content": f"{sys.argv[1]} {number}"}
            try:
                reply = await router.complete(ChatRequest((message,), max_tokens=64, run="shared"))
                return reply.prompt_tokens + reply.completion_tokens
            except BudgetSpent:
                return 0
        print(sum(await asyncio.gather(*(one(n) for n in range(40)))))
        await router.close()

asyncio.run(main())
"""


async def test_processes_share_one_budget(
    settings: Settings, first: ModelServer, tmp_path: Path
) -> None:
    first.behave = slow(0.02, say("x", usage={"prompt_tokens": 20, "completion_tokens": 64}))
    provider = f'[{{"name": "local", "url": "{first.url}/v1", "model": "m", "timeout": 20}}]'
    given = {"llm_providers": provider, "llm_run_tokens": "2000"}
    async with open_store(settings):
        pass  # migrated once
    database = settings.database_url
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", SPENDER, name,
            env=environment(tmp_path, database=database, **given), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    said = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0], said
    spent = [int(out.split()[-1]) for out, _ in said]
    async with open_store(settings) as store:
        assert (await store.model_usage.spent("run:shared"))[0] == sum(spent)
    assert 1500 < sum(spent) <= 2000
    assert len(first.seen) * 84 == sum(spent)
