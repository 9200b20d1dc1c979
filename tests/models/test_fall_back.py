"""Which provider answers, what happens when one does not, and how long that may take."""

import asyncio
import time

import pytest
from tests.models.routing import ask, at, routing
from tests.models.servers import ModelServer, drip, fail, hang, raw, say, slow

from tocsin.app import Store
from tocsin.errors import InputError, ModelRefused, ModelUnavailable, SettingsError
from tocsin.settings import Settings

BROKEN = {
    "500": fail(500),
    "429": fail(429, retry_after="60"),
    "401": fail(401),
    "broken JSON": raw(b'{"choices": ['),
    "not JSON": raw(b"<html>hello</html>", content_type="text/html"),
    "not a completion": raw(b'{"hello": "world"}'),
    "no choices": raw(b'{"choices": []}'),
    "choices of nonsense": raw(b'{"choices": [{"message": 7}]}'),
    "a list": raw(b"[1, 2]"),
    "bad UTF-8": raw(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "half a character": raw(b'{"choices": [{"message": {"content": "\\ud800"}}]}'),
    "too large": raw(b'{"choices": [{"message": {"content": "' + b"x" * 5_000_000 + b'"}}]}'),
    "packed": raw(b"\x1f\x8b\x08", content_encoding="gzip"),
    "redirect": raw(b"", 307, location="http://127.0.0.1:9/"),
    "hanging": hang(),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_the_next_provider_answers_when_the_first_does_not(
    how: str, store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = BROKEN[how]
    second.behave = say("from the second")
    providers = (
        at(first.url, "first", priority=1, timeout=0.5),
        at(second.url, "second", priority=2),
    )
    async with routing(settings, store, *providers) as router:
        reply = await router.complete(ask())
    assert (reply.provider, reply.text) == ("second", "from the second")
    assert len(first.seen) == 1


async def test_the_lowest_priority_number_is_asked_first_whatever_the_order_of_the_settings(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    providers = (at(first.url, "cloud", priority=20), at(second.url, "near", priority=5))
    async with routing(settings, store, *providers) as router:
        assert (await router.complete(ask())).provider == "near"
        assert (await router.complete(ask(model="cloud"))).provider == "cloud"
        assert (await router.complete(ask("by model", model="cloud-model"))).provider == "cloud"
        with pytest.raises(ModelRefused, match="there are: tocsin"):
            await router.complete(ask(model="gpt-17"))


async def test_a_server_that_is_not_there_is_passed_over_and_said(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    gone = at("http://127.0.0.1:9", "gone", priority=1)
    async with routing(settings, store, gone, at(first.url, "there")) as router:
        assert (await router.complete(ask())).provider == "there"
    async with routing(settings, store, gone) as router:
        with pytest.raises(ModelUnavailable, match="gone: unreachable"):
            await router.complete(ask(deadline=2.0))


async def test_without_a_provider_the_answer_says_so_at_once(
    store: Store, settings: Settings
) -> None:
    async with routing(settings, store) as router:
        with pytest.raises(ModelUnavailable, match="no language model is configured"):
            await router.complete(ask())


async def test_a_passing_failure_is_tried_again_and_retry_after_is_honoured(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.script = [fail(503), fail(429, retry_after="1")]
    started = time.monotonic()
    async with routing(settings, store, at(first.url)) as router:
        reply = await router.complete(ask())
    assert reply.text == "pong"
    assert len(first.seen) == 3
    assert time.monotonic() - started >= 1.0


async def test_a_retry_after_beyond_the_deadline_is_not_waited_for(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = fail(429, retry_after="3600")
    started = time.monotonic()
    async with routing(settings, store, at(first.url)) as router:
        with pytest.raises(ModelUnavailable, match="rate_limited") as raised:
            await router.complete(ask())
        assert raised.value.retry_after == 3600
        with pytest.raises(ModelUnavailable, match="paced"):
            await router.complete(ask("again"))
    assert time.monotonic() - started < 9, "the deadline was not used up"
    assert len(first.seen) == 1, "it asked for quiet, and got it"


async def test_the_deadline_holds_for_all_providers_together(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = second.behave = hang()
    started = time.monotonic()
    async with routing(settings, store, at(first.url, "a"), at(second.url, "b")) as router:
        with pytest.raises(ModelUnavailable):
            await router.complete(ask(deadline=1.0))
    assert 0.5 < time.monotonic() - started < 15  # a hanging server takes 30
    assert len(second.seen) == 1, "the first left it some of the time"


async def test_a_server_that_drips_does_not_outlive_the_timeout(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = drip(0.2)
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask())).text == "late"
    first.behave = drip(20)
    started = time.monotonic()
    async with routing(settings, store, at(first.url, timeout=0.3)) as router:
        with pytest.raises(ModelUnavailable, match="timeout"):
            await router.complete(ask("again"))
    assert time.monotonic() - started < 15  # the answer takes 20


async def test_a_request_that_everybody_refuses_is_refused_and_harms_nobodys_health(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = fail(400, "context too long")
    second.behave = say("", reason="content_filter")
    async with routing(settings, store, at(first.url, "a"), at(second.url, "b")) as router:
        for number in range(8):
            with pytest.raises(ModelRefused) as raised:
                await router.complete(ask(f"too long {number}"))
        assert "context too long" in raised.value.detail
        assert "context too long" not in str(raised.value), "logs would hold it"
        assert [member.breaker.state for member in router.members] == ["closed", "closed"]


async def test_a_provider_that_keeps_failing_is_left_alone_until_a_probe_succeeds(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = fail(500)
    providers = (at(first.url, "a", priority=1), at(second.url, "b", priority=2))
    async with routing(settings, store, *providers) as router:
        for number in range(8):
            assert (await router.complete(ask(f"{number}"))).provider == "b"
        assert len(first.seen) == 5
        breaker = router.members[0].breaker
        assert breaker.state == "open"
        first.behave = say("well again")
        breaker._probe_at = 0.0  # the pause is over
        assert breaker.state == "half_open"
        assert (await router.complete(ask("probe"))).provider == "a"
        assert breaker.state == "closed"


async def test_one_probe_goes_while_the_others_go_elsewhere(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = fail(500)
    providers = (at(first.url, "a", priority=1), at(second.url, "b", priority=2))
    async with routing(settings, store, *providers) as router:
        for number in range(5):
            await router.complete(ask(f"{number}"))
        first.behave = slow(0.5, say("well again"))
        first.seen.clear()
        router.members[0].breaker._probe_at = 0.0
        asked = [router.complete(ask(f"probe {number}")) for number in range(10)]
        replies = await asyncio.gather(*asked)
    assert len(first.seen) == 1
    assert sorted(reply.provider for reply in replies) == ["a"] + ["b"] * 9


async def test_a_cancelled_request_lets_go_of_its_place(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.script = [hang(), hang()]
    async with routing(settings, store, at(first.url, max_concurrent=1)) as router:
        for number in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await router.complete(ask(f"{number}"))
        assert (await router.complete(ask("third"))).text == "pong"


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": ()},
        {"messages": ({"role": "tool", "content": "x"},)},
        {"messages": ({"role": "user", "content": "x" * 3_000_000},)},
        {"max_tokens": 0},
        {"temperature": 7.0},
        {"schema": {"$ref": "http://127.0.0.1:1/schema.json"}},
        {"schema": {"type": "no such type"}},
        {"schema": {"description": "x" * 100_000}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_request_without_sense_is_refused_before_anybody_is_asked(
    wrong: dict[str, object], store: Store, settings: Settings, first: ModelServer
) -> None:
    from dataclasses import replace

    async with routing(settings, store, at(first.url)) as router:
        with pytest.raises(InputError):
            await router.complete(replace(ask(), **wrong))
    assert not first.seen


async def test_a_provider_outside_the_allow_list_is_refused_at_the_start(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    with pytest.raises(SettingsError, match="OUTBOUND_HOSTS"):
        async with routing(settings, store, at(first.url), outbound_hosts=["api.example.com"]):
            pass
    async with routing(settings, store, at(first.url), outbound_hosts=["127.0.0.1"]) as router:
        assert (await router.complete(ask())).text == "pong"


async def test_a_redirect_is_not_followed_to_another_host(
    store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave = raw(b"", 307, location=f"{second.url}/v1/chat/completions")
    async with routing(settings, store, at(first.url)) as router:
        with pytest.raises(ModelRefused):
            await router.complete(ask())
    assert not second.seen
