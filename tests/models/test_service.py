"""`tocsin serve llm`: a real process, asked by the official client and by hand."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from tests.models.servers import ModelServer, fail, hang, raw, say, serving, slow
from tests.postgres import free_port
from tests.servers import environment, tocsin
from tests.services import Service

SECRET = "sk-service-SECRET"
BREAKING = {
    "bad-500": (fail(500), 503, "model_unavailable"),
    "bad-hanging": (hang(), 503, "model_unavailable"),
    "bad-broken": (raw(b"{"), 503, "model_unavailable"),
    "bad-refused": (fail(400, "too long {} %s"), 400, "model_refused"),
}
HELLO = [{"role": "user", "content": "hello"}]


@dataclass
class Running:
    """The service, its two providers, and a key."""

    service: Service
    key: str
    reader: str
    data: Path
    settings: dict[str, str]
    near: ModelServer
    far: ModelServer

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.service.url}/v1", api_key=self.key, max_retries=0, **options
        )

    def post(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        url = f"{self.service.url}/v1/chat/completions"
        return httpx2.post(url, content=content, headers={**named, **headers}, timeout=60)


@contextmanager
def routing(
    data: Path, providers: list[dict[str, Any]], **servers: ModelServer
) -> Iterator[Running]:
    """The service with these providers, in a process of its own."""
    settings = {
        "llm_providers": json.dumps(providers),
        "llm_keys": json.dumps({providers[0]["name"]: SECRET}),
        "llm_run_tokens": "2000",
        "llm_day_usd": "1000",
        "llm_deadline": "20",
        "log_level": "debug",
        "log_format": "json",
    }
    made = tocsin(data, "key", "create", "tool", "--scope", "model", **settings)
    assert made.returncode == 0, made.stderr.decode()
    reader = tocsin(data, "key", "create", "reader", "--scope", "read", **settings)
    service = Service(("llm",), free_port(), environment(data, **settings), data / "llm.log")
    service.start()
    try:
        service.wait()
        key, other = made.stdout.decode().strip(), reader.stdout.decode().strip()
        yield Running(service, key, other, data, settings, **servers)
    finally:
        service.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving() as near, serving(say("from afar")) as far:
        providers = [
            {"name": "near", "url": f"{near.url}/v1", "model": "small", "priority": 1,
             "timeout": 3, "price_in": 10, "price_out": 20},
            {"name": "far", "url": f"{far.url}/v1", "model": "large", "priority": 2, "timeout": 3},
        ]  # fmt: skip
        data = tmp_path_factory.mktemp("llm")
        with routing(data, providers, near=near, far=far) as made:
            yield made


@pytest.fixture(scope="module")
def breaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Another, whose providers fail each in its way; no other test gets to them."""
    with serving() as bad:
        providers = [
            {"name": name, "url": f"{bad.url}/v1", "model": "bad", "timeout": 2}
            for name in BREAKING
        ]
        with routing(tmp_path_factory.mktemp("bad"), providers, near=bad, far=bad) as made:
            yield made


@pytest.fixture(autouse=True)
def well(running: Running) -> None:
    """Both servers as they should be, whatever the test before did to them."""
    for server, text in ((running.near, "pong"), (running.far, "from afar")):
        server.behave = say(text)
        server.script.clear()
        server.seen.clear()


def test_the_official_client_gets_a_completion_with_usage_and_cost(running: Running) -> None:
    with running.client() as client:
        raw_reply = client.chat.completions.with_raw_response.create(
            model="tocsin", messages=[{"role": "user", "content": "official"}], seed=1,
            max_tokens=64,
        )  # fmt: skip
    reply = raw_reply.parse()
    assert reply.choices[0].message.content == "pong"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "tiny"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert raw_reply.headers["x-tocsin-provider"] == "near"
    assert raw_reply.headers["x-tocsin-cached"] == "false"
    assert float(raw_reply.headers["x-tocsin-cost-usd"]) > 0
    assert running.near.seen[0].headers["authorization"] == f"Bearer {SECRET}"


def test_the_official_asynchronous_client_streams(running: Running) -> None:
    running.near.behave = say("streamed ✓ {} \n\n data: [DONE] \n text")

    async def ask() -> tuple[str, Any]:
        async with openai.AsyncOpenAI(
            base_url=f"{running.service.url}/v1", api_key=running.key, max_retries=0
        ) as client:
            stream = await client.chat.completions.create(
                model="near",
                messages=[{"role": "user", "content": "stream"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            text, usage = "", None
            async for chunk in stream:
                usage = chunk.usage or usage
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
            return text, usage

    text, usage = asyncio.run(ask())
    assert text == "streamed ✓ {} \n\n data: [DONE] \n text"
    assert usage.total_tokens > 0


def test_a_stream_is_server_sent_events_that_end_as_clients_expect(running: Running) -> None:
    answer = running.post({"model": "", "messages": HELLO, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in chunk for chunk in chunks)


def test_the_official_client_parses_structured_output(running: Running) -> None:
    import pydantic

    class Opinion(pydantic.BaseModel):
        verdict: str
        cites: list[int]

    running.near.behave = say('```json\n{"verdict": "raise", "cites": [1, 2]}\n```')
    with running.client() as client:
        reply = client.chat.completions.parse(
            model="tocsin", messages=[{"role": "user", "content": "structured"}],
            response_format=Opinion,
        )  # fmt: skip
    assert reply.choices[0].message.parsed == Opinion(verdict="raise", cites=[1, 2])


def test_the_models_are_listed_and_may_be_asked_by_name(running: Running) -> None:
    with running.client() as client:
        assert [model.id for model in client.models.list()] == ["tocsin", "near", "far"]
        reply = client.chat.completions.create(model="far", messages=HELLO)
        assert reply.choices[0].message.content == "from afar"
        with pytest.raises(openai.BadRequestError, match="there is no such model"):
            client.chat.completions.create(model="gpt-17", messages=HELLO)


def test_the_second_provider_answers_when_the_first_is_down(running: Running) -> None:
    running.near.behave = fail(500)
    with running.client() as client:
        reply = client.chat.completions.create(
            model="tocsin", messages=[{"role": "user", "content": "fall back"}]
        )
    assert reply.choices[0].message.content == "from afar"


def test_only_a_key_with_the_scope_model_opens_it(running: Running) -> None:
    for key, error in (
        ("wrong", openai.AuthenticationError),
        (running.reader, openai.PermissionDeniedError),
    ):
        with (
            openai.OpenAI(
                base_url=f"{running.service.url}/v1", api_key=key, max_retries=0
            ) as client,
            pytest.raises(error) as raised,
        ):
            client.chat.completions.create(model="tocsin", messages=HELLO)
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["code"] in ("invalid_api_key", "missing_scope")
    assert not running.near.seen


def test_a_spent_run_is_a_429_that_clients_do_not_try_again(running: Running) -> None:
    body = {"messages": HELLO, "max_tokens": 1900, "temperature": 0.5}
    assert running.post(body, **{"X-Tocsin-Run": "r-1"}).status_code == 200
    big = {**body, "messages": [{"role": "user", "content": "x" * 3000}]}
    refused = running.post(big, **{"X-Tocsin-Run": "r-1"})
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert running.post(big).status_code == 200, "without a run there is the day's budget only"


BAD: dict[str, Any] = {
    "no JSON": b"{",
    "no object": b"[]",
    "bad UTF-8": b'{"messages": [{"role": "user", "content": "\xff"}]}',
    "no messages": {"messages": []},
    "messages of nonsense": {"messages": "hello"},
    "a tool's turn": {"messages": [{"role": "tool", "content": "x"}]},
    "tools": {"messages": HELLO, "tools": [{"type": "function"}]},
    "n": {"messages": HELLO, "n": 2},
    "a picture": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    "too many tokens": {"messages": HELLO, "max_tokens": 10**9},
    "negative tokens": {"messages": HELLO, "max_tokens": -1},
    "too hot": {"messages": HELLO, "temperature": 9},
    "bad schema": {"messages": HELLO, "response_format": {"type": "json_schema",
                   "json_schema": {"name": "x", "schema": {"type": "nothing"}}}},
    "schema elsewhere": {"messages": HELLO, "response_format": {"type": "json_schema",
                         "json_schema": {"name": "x", "schema": {"$ref": "file:///etc/passwd"}}}},
    "unknown format": {"messages": HELLO, "response_format": {"type": "xml"}},
    "deep": b'{"messages":' + b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_a_bad_request_is_a_400_in_openais_shape(how: str, running: Running) -> None:
    answer = running.post(BAD[how])
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert not running.near.seen


def test_what_is_too_large_or_elsewhere_is_said_in_the_same_shape(running: Running) -> None:
    huge = running.post({"messages": [{"role": "user", "content": "x" * 5_000_000}]})
    assert (huge.status_code, set(huge.json())) == (413, {"error"})
    bad = running.post({"messages": HELLO}, **{"X-Tocsin-Run": "a b"})
    assert bad.status_code == 400
    assert running.post({"messages": HELLO}, **{"X-Tocsin-Purpose": "Über"[1:]}).status_code == 200


@pytest.mark.parametrize("name", BREAKING)
def test_when_no_provider_helps_the_error_says_why(name: str, breaking: Running) -> None:
    breaking.near.behave, status, code = BREAKING[name]
    answer = breaking.post({"messages": HELLO, "model": name})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert ("retry-after" in answer.headers) == (status == 503)
    if status == 400:
        assert "too long {} %s" in answer.json()["error"]["message"]


TOLD = "WS-042.corp.local (10.1.2.3): CORP\\jdoe ran net use /user:jdoe --password Hunter2!Secret"


def test_what_other_tools_say_goes_out_under_pseudonyms_and_comes_back(running: Running) -> None:
    def echo(server: ModelServer, body: dict[str, Any]) -> Any:
        return say(f"I saw: {body['messages'][-1]['content']}")(server, body)

    def echo_json(server: ModelServer, body: dict[str, Any]) -> Any:
        return say(json.dumps({"saw": body["messages"][-1]["content"]}))(server, body)

    for behave, more in ((echo, {}), (echo_json, {"response_format": {"type": "json_object"}})):
        running.near.behave = behave
        answer = running.post({"messages": [{"role": "user", "content": TOLD}], **more})
        text = answer.json()["choices"][0]["message"]["content"]
        sent = running.near.seen[-1].body["messages"][-1]["content"]
        for name in ("WS-042", "corp.local", "10.1.2.3", "jdoe", "Hunter2"):
            assert name not in json.dumps(running.near.seen[-1].body), sent
        restored = json.loads(text)["saw"] if more else text
        assert "WS-042.corp.local (10.1.2.3): CORP\\jdoe ran" in restored
        assert "Hunter2" not in text, "a secret comes back from nowhere"


@pytest.mark.parametrize("text", ["word " * 40_000, "\ufdfa" * 2_000 + " end", "x\0y {} %s \u2028"])
def test_a_prompt_arrives_whole(text: str, running: Running) -> None:
    import unicodedata

    running.post({"messages": [{"role": "user", "content": text}]})
    sent = running.near.seen[-1].body["messages"][-1]["content"]
    assert sent == unicodedata.normalize("NFKC", text)


def test_a_prompt_too_long_to_be_looked_through_is_refused(running: Running) -> None:
    answer = running.post({"messages": [{"role": "user", "content": "x" * 300_000}]})
    assert answer.status_code == 400
    assert "TOCSIN_LLM_PSEUDONYMS" in answer.json()["error"]["message"]


def test_many_at_once_are_all_answered(running: Running) -> None:
    running.near.behave = slow(0.05, say("pong"))

    def one(number: int) -> int:
        message = {"role": "user", "content": f"at once {number}"}
        return running.post({"messages": [message]}).status_code

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(60))) == [200] * 60


def test_health_and_metrics_say_which_provider_is_down(running: Running) -> None:
    health = httpx2.get(f"{running.service.url}/health", timeout=10)
    assert (health.status_code, health.json()["status"]) == (200, "up")
    assert set(health.json()["models"]) == {"near", "far"}
    assert health.json()["models"]["near"] == {"status": "up"}
    running.post({"messages": [{"role": "user", "content": "for the metrics"}]})
    metrics = httpx2.get(f"{running.service.url}/metrics", timeout=10).text
    found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
             for line in metrics.splitlines() if line.startswith("tocsin_model")}  # fmt: skip
    assert found['tocsin_model_requests_total{outcome="answered",provider="near"}'] >= 1
    assert found['tocsin_model_tokens_total{kind="prompt",provider="near"}'] > 0
    assert found['tocsin_model_cost_usd_total{provider="near"}'] > 0
    assert found['tocsin_model_budget_left{unit="usd"}'] < 1000
    assert 'tocsin_model_budget_left{unit="tokens"}' not in found


def test_what_was_spent_is_shown_by_the_command_line(running: Running) -> None:
    running.post(
        {"messages": [{"role": "user", "content": "for the accounts"}]},
        **{"X-Tocsin-Purpose": "accounting"},
    )
    shown = tocsin(running.data, "llm", "usage", "--by", "purpose", **running.settings)
    assert shown.returncode == 0, shown.stderr.decode()
    (row,) = [line for line in shown.stdout.decode().splitlines() if "accounting" in line]
    assert row.split()[:3] == ["accounting", "1", "0"]
    assert b"left today" in shown.stdout
    lines = tocsin(running.data, "llm", "usage", "--json", **running.settings).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert any(row["purpose"] == "accounting" and row["cost_usd"] > 0 for row in rows)


def check(running: Running) -> "subprocess.CompletedProcess[bytes]":
    names = ("--provider", "near", "--provider", "far")
    return tocsin(running.data, "llm", "check", *names, **running.settings)


def test_check_asks_each_provider_and_says_which_fails(running: Running) -> None:
    for _ in range(2):
        done = check(running)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert len(running.near.seen) == len(running.far.seen) == 2, "not from the cache"
    running.far.behave = fail(401, f"wrong key {SECRET}")
    done = check(running)
    assert done.returncode == 1
    assert "far: unauthorized (401)" in done.stdout.decode()
    done = tocsin(running.data, "llm", "check", "--provider", "nobody", **running.settings)
    assert done.returncode == 2
    assert b"there is no provider nobody" in done.stderr


def test_without_a_provider_the_commands_say_that_none_is_needed(tmp_path: Path) -> None:
    done = tocsin(tmp_path, "llm", "check")
    assert done.returncode == 0
    assert b"none is needed" in done.stdout


def test_neither_a_key_nor_a_prompt_is_in_the_log(running: Running) -> None:
    text = "PROMPT-SECRET {} %s"
    running.near.behave = fail(400, f"{SECRET} {text}")
    running.post({"messages": [{"role": "user", "content": text}]})
    log = running.service.log.read_text()
    assert "llm.called" in log
    assert "SECRET" not in log
    assert running.key not in log
    assert "hello" not in log


def test_it_drains_and_ends_well(tmp_path: Path) -> None:
    with serving() as server:
        provider = [{"name": "local", "url": f"{server.url}/v1", "model": "m"}]
        given = environment(tmp_path, llm_providers=json.dumps(provider))
        service = Service(("llm",), free_port(), given, tmp_path / "log")
        service.start()
        service.wait()
        assert service.stop() == 0
    assert "server.stopped" in (tmp_path / "log").read_text()


def test_with_all_providers_down_the_router_is_down_and_names_them(tmp_path: Path) -> None:
    provider = [{"name": "gone", "url": "http://127.0.0.1:9/v1", "model": "m"}]
    given = environment(tmp_path, llm_providers=json.dumps(provider))
    service = Service(("llm",), free_port(), given, tmp_path / "log")
    service.start()
    try:
        service.wait()  # ready: it takes requests, and says why it cannot answer them
        health = httpx2.get(f"{service.url}/health", timeout=10)
        assert health.status_code == 503
        assert health.json()["models"]["gone"]["error"] == "gone: unreachable"
        assert httpx2.get(f"{service.url}/live", timeout=10).status_code == 200
    finally:
        service.kill()
