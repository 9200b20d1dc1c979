"""What goes over the wire to each kind of provider, and replies in the form of a schema."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.models.routing import SCHEMA, ask, at, configured, routing
from tests.models.servers import (
    Behaviour,
    ModelServer,
    claude,
    fail,
    raw,
    refuse_parameter,
    say,
)

from tocsin.app import Store
from tocsin.errors import (
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ReplyUnusable,
    SettingsError,
    Unavailable,
)
from tocsin.settings import Settings, load

RIGHT = '{"verdict": "keep"}'


async def test_what_openai_is_asked_is_deterministic_and_tells_nothing_about_this_machine(
    store: Store, settings: Settings, first: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/from-the-environment")
    keys = {"local": "sk-test"}
    async with routing(settings, store, at(first.url), llm_keys=keys) as router:
        await router.complete(ask("hello", seed=42))
    (seen,) = first.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.body == {
        "model": "local-model", "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 64, "temperature": 0.0, "seed": 42,
    }  # fmt: skip
    assert seen.headers["authorization"] == "Bearer sk-test"
    assert set(seen.headers) <= {
        "authorization", "content-type", "content-length", "accept", "accept-encoding", "host",
        "user-agent", "connection",
    }  # fmt: skip
    assert seen.headers["user-agent"].startswith("tocsin/")


async def test_azure_is_asked_for_its_deployment_with_its_version_and_key(
    store: Store, settings: Settings, first: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "from-the-environment")
    azure = {
        **at(first.url, "az"), "kind": "azure", "url": first.url, "deployment": "soc-gpt",
        "api_version": "2024-10-21",
    }  # fmt: skip
    async with routing(settings, store, azure, llm_keys={"az": "azure-key"}) as router:
        assert (await router.complete(ask())).text == "pong"
        assert await router.reach() == {"az": None}
    (seen,) = first.seen
    assert seen.path == "/openai/deployments/soc-gpt/chat/completions?api-version=2024-10-21"
    assert seen.headers["api-key"] == "azure-key"
    assert "from-the-environment" not in str(seen.headers)


async def test_anthropic_gets_its_system_prompt_apart_and_its_usage_is_counted_whole(
    store: Store, settings: Settings, anthropic: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "authorization: the-environment")
    anthropic.behave = claude(
        "pong",
        usage={
            "input_tokens": 5, "output_tokens": 7,
            "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20,
        },
    )  # fmt: skip
    claude_at = {**at(anthropic.url, "claude"), "kind": "anthropic"}  # with or without /v1
    request = replace(
        ask(seed=1),
        messages=(
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hello"},
        ),
    )
    async with routing(settings, store, claude_at, llm_keys={"claude": "sk-ant"}) as router:
        reply = await router.complete(request)
        assert await router.reach() == {"claude": None}
    assert (reply.text, reply.finish_reason) == ("pong", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (35, 7)
    (seen,) = anthropic.seen
    assert seen.path == "/v1/messages"
    assert seen.headers["authorization"] == "Bearer sk-ant"
    assert seen.body == {
        "model": "claude-model", "max_tokens": 64, "system": "be brief", "temperature": 0.0,
        "messages": [{"role": "user", "content": "hello"}],
    }  # fmt: skip
    assert "environment" not in str(seen.headers)


@pytest.mark.parametrize(
    ("behave", "error", "word"),
    [
        (fail(529), ModelUnavailable, "overloaded"),
        (fail(429), ModelUnavailable, "rate_limited"),
        (fail(401), ModelUnavailable, "unauthorized"),
        (fail(400), ModelRefused, "refused"),
        (claude("no", reason="refusal"), ModelRefused, "filtered"),
        (raw(b'{"content": 7}'), ModelUnavailable, "broken"),
        (raw(b"<html>"), ModelUnavailable, "broken"),
    ],
    ids=["529", "429", "401", "400", "refusal", "nonsense", "html"],
)
async def test_anthropics_failures_have_the_same_words(
    behave: Behaviour,
    error: type[Exception],
    word: str,
    store: Store,
    settings: Settings,
    anthropic: ModelServer,
) -> None:
    anthropic.behave = behave
    claude_at = {**at(anthropic.url, "claude"), "kind": "anthropic", "url": anthropic.url}
    async with routing(settings, store, claude_at) as router:
        with pytest.raises(error, match=word):
            await router.complete(ask(deadline=0.5))


@pytest.mark.parametrize("name", ["seed", "temperature"])
async def test_a_parameter_that_a_model_does_not_take_is_left_out_from_then_on(
    name: str, store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = refuse_parameter(name, say("pong"))
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask("one", seed=1))).text == "pong"
        assert (await router.complete(ask("two", seed=1))).text == "pong"
    assert [name in seen.body for seen in first.seen] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": 'json: unknown field "seed"'}),
        (400, {"object": "error", "message": "seed is not supported by this engine", "code": 400}),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}),
    ],
    ids=["text", "vLLM", "FastAPI"],
)
async def test_servers_that_complain_in_their_own_words_are_understood(
    status: int, body: dict[str, Any], store: Store, settings: Settings, first: ModelServer
) -> None:
    def picky(server: ModelServer, asked: dict[str, Any]) -> Any:
        refused = (status, {}, json.dumps(body).encode())
        return refused if "seed" in asked else say("pong")(server, asked)

    first.behave = picky
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask(seed=1))).text == "pong"


async def test_a_model_that_wants_max_completion_tokens_gets_them(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = refuse_parameter("max_tokens", say("pong"))
    async with routing(settings, store, at(first.url)) as router:
        await router.complete(ask("one"))
        await router.complete(ask("two"))
    assert first.seen[-1].body["max_completion_tokens"] == 64
    assert len(first.seen) == 3


async def test_a_refusal_that_only_quotes_the_prompt_drops_nothing(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    said = {"error": {"message": "bad request: seed temperature", "param": "messages.0.content"}}
    first.behave = raw(json.dumps(said).encode(), 400)
    async with routing(settings, store, at(first.url)) as router:
        with pytest.raises(ModelRefused):
            await router.complete(ask("seed temperature", seed=1))
        assert len(first.seen) == 1


# --- schemas -------------------------------------------------------------------------------------


async def test_a_schema_is_asked_for_by_parameter_where_that_is_offered(
    store: Store, settings: Settings, first: ModelServer, anthropic: ModelServer
) -> None:
    first.behave, anthropic.behave = say(RIGHT), claude(RIGHT)
    claude_at = {**at(anthropic.url, "claude"), "kind": "anthropic", "url": anthropic.url}
    async with routing(settings, store, at(first.url), claude_at) as router:
        for name in ("local", "claude"):
            assert (await router.complete(ask(schema=SCHEMA, model=name))).text == RIGHT
    asked = first.seen[0].body["response_format"]
    assert asked["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    assert anthropic.seen[0].body["output_config"]["format"]["schema"] == SCHEMA


async def test_a_server_without_schemas_is_asked_in_words_and_checked(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = refuse_parameter("response_format", say(f"Sure!\n```json\n{RIGHT}\n```\nBye"))
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask("one", schema=SCHEMA))).text == RIGHT
        assert (await router.complete(ask("two", schema=SCHEMA))).text == RIGHT
    assert len(first.seen) == 4, "schema and json refused once, then in words at once"
    last = first.seen[-1].body
    assert "response_format" not in last
    assert '"enum":["raise","keep"]' in last["messages"][0]["content"]
    assert last["messages"][-1]["content"] == "two"


async def test_a_server_that_ignores_the_schema_is_asked_again_in_words(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    def lazy(server: ModelServer, body: dict[str, Any]) -> Any:
        told = "JSON schema" in body["messages"][0]["content"]
        return say(RIGHT if told else "I think you should keep it.")(server, body)

    first.behave = lazy
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask(schema=SCHEMA))).text == RIGHT
    assert len(first.seen) == 2


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        f"  \n{RIGHT}\n",
        f"<think>maybe {{}} or not</think>\n\n{RIGHT}",
        f"Here you are:\n```json\n{RIGHT}\n```",
        f"The answer is {RIGHT}, I hope.",
    ],
)
async def test_the_json_is_found_in_what_a_model_says_around_it(
    text: str, store: Store, settings: Settings, first: ModelServer
) -> None:
    first.behave = say(text)
    async with routing(settings, store, at(first.url)) as router:
        assert (await router.complete(ask(schema=SCHEMA))).text == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        '{"verdict": "lower"}',
        '{"verdict": "keep", "close": true}',
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"verdict": "ke\0ep"}',
        "I cannot help with that.",
    ],
    ids=lambda text: text[:12].replace("\0", "0") or "empty",
)
async def test_a_reply_that_does_not_fit_the_schema_goes_to_nobody(
    text: str, store: Store, settings: Settings, first: ModelServer, second: ModelServer
) -> None:
    first.behave, second.behave = say(text), say(RIGHT)
    bad = at(first.url, "bad", priority=1)
    async with routing(settings, store, bad, at(second.url, "good", priority=2)) as router:
        reply = await router.complete(ask(schema=SCHEMA))
        assert (reply.provider, reply.text) == ("good", RIGHT)
    async with routing(settings, store, bad) as router:
        with pytest.raises(ReplyUnusable, match="bad: invalid_reply"):
            await router.complete(ask("alone", schema=SCHEMA))


# --- secrets -------------------------------------------------------------------------------------

HOSTILE_KEY = "sk-{0}%s{key!r}-SECRET"
PROMPT = "the PROMPT-SECRET {} %s\n\0 ✓"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_neither_key_nor_prompt_is_in_a_log_an_error_or_a_metric(
    status: int,
    store: Store,
    settings: Settings,
    first: ModelServer,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from tocsin import logs, metrics

    first.behave = fail(status, f"Incorrect key {HOSTILE_KEY} for «{PROMPT}»")
    logs.configure("debug", "json")
    try:
        async with routing(
            settings, store, at(first.url), llm_keys={"local": HOSTILE_KEY}
        ) as router:
            with pytest.raises((ModelError, Unavailable)) as raised:
                await router.complete(ask(PROMPT, deadline=1.5))
    finally:
        structlog.reset_defaults()
    assert first.seen[0].headers["authorization"] == f"Bearer {HOSTILE_KEY}"
    logged = "".join(capfd.readouterr())
    assert '"event": "llm.called"' in logged
    told = logged + str(raised.value) + repr(raised.value) + metrics.render().decode()
    assert "SECRET" not in told
    detail = getattr(raised.value, "detail", "")
    assert HOSTILE_KEY not in detail
    assert ("PROMPT-SECRET" in detail) == (status == 400), "whoever asked may see why"


def test_a_key_comes_from_a_secret_file_and_is_shown_nowhere(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tocsin_llm_keys").write_text(json.dumps({"local": HOSTILE_KEY}))
    monkeypatch.setenv("TOCSIN_SECRETS", str(tmp_path))
    monkeypatch.setenv("TOCSIN_LLM_PROVIDERS", json.dumps([at("http://127.0.0.1:1")]))
    found = load()
    assert found.llm_keys["local"].get_secret_value() == HOSTILE_KEY
    assert "SECRET" not in repr(found) + found.model_dump_json()


async def test_a_key_file_is_read_and_a_bad_one_is_named(
    tmp_path: Path, store: Store, settings: Settings, first: ModelServer
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-file\n")
    async with routing(settings, store, at(first.url, key_file=str(path))) as router:
        await router.complete(ask())
    assert first.seen[0].headers["authorization"] == "Bearer sk-file"
    for content in (b"a\nb", "ключ".encode(), b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match="local"):
            async with routing(settings, store, at(first.url, key_file=str(path))):
                pass
    with pytest.raises(SettingsError, match="cannot be read"):
        async with routing(settings, store, at(first.url, key_file=str(tmp_path / "no"))):
            pass


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"kind": "azure"}, "api_version"),
        ({"name": "Local Model"}, "name"),
        ({"prize_in": 3}, "prize_in"),
        ({"timeout": 0}, "timeout"),
        ({"kind": "oracle"}, "kind"),
    ],
)
def test_a_provider_that_cannot_work_is_refused_by_name(
    wrong: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    given = json.dumps([{**at("http://127.0.0.1:1"), **wrong}])
    monkeypatch.setenv("TOCSIN_LLM_PROVIDERS", given)
    with pytest.raises(SettingsError, match=word):
        load()


async def test_keys_of_nobody_and_doubled_names_are_refused(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="no provider named lokal"):
        async with routing(settings, store, at("http://127.0.0.1:1"), llm_keys={"lokal": "x"}):
            pass
    with pytest.raises(ValueError, match="two providers are named local"):
        configured(settings, at("http://127.0.0.1:1"), at("http://127.0.0.1:2"))


def test_a_process_without_models_does_not_load_the_vendors_libraries() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tocsin.cli.main, tocsin.app\n"
        "print([n for n in ('openai', 'anthropic', 'jsonschema') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
