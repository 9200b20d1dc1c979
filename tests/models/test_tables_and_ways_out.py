"""The router's tables come and go; the breaker, the proxy and the allow-list of the way out."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import Connection
from tests.models.routing import ask, at, routing
from tests.models.servers import ModelServer
from tests.servers import serving, tocsin

from tocsin.app import Store
from tocsin.errors import InputError, ModelUnavailable, SettingsError
from tocsin.http import Breaker, HttpClient, check_host
from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.database import Database

TABLES = {"model_usage", "model_budgets", "model_replies"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_tables_come_with_their_migration_and_go_with_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = kind == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path}/t.db"
    database = Database(url)

    def down(connection: Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")

    def tables(connection: Connection) -> set[str]:
        return set(sa.inspect(connection).get_table_names())

    try:
        await migrate.upgrade(database)
        assert await database.read(tables) >= TABLES
        await database.write(down)
        assert not await database.read(tables) & TABLES
        await migrate.upgrade(database)
        assert await database.read(tables) >= TABLES
    finally:
        await database.close()


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_go_at_a_time() -> None:
    now = 100.0
    breaker = Breaker(failures=3, pause=30.0, clock=lambda: now)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert (breaker.state, breaker.admit()) == ("closed", True)
    breaker.failed()
    assert (breaker.state, breaker.admit(), breaker.wait) == ("open", False, 30.0)
    now = 131.0
    assert (breaker.state, breaker.admit()) == ("half_open", True)
    assert not breaker.admit(), "one probe at a time"
    breaker.failed()
    assert (breaker.state, breaker.wait) == ("open", 30.0)
    now = 170.0
    assert breaker.admit()
    breaker.abandoned()
    assert breaker.admit(), "a probe that told nothing is followed by another"
    breaker.succeeded()
    assert (breaker.state, breaker.wait) == ("closed", 0.0)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.example.com/v1", True),
        ("https://API.example.com/v1", True),
        ("https://eu.models.example.org", True),
        ("https://models.example.org", False),
        ("https://evilmodels.example.org", False),
        ("https://api.example.com.attacker.example", False),
        ("https://api.example.com@attacker.example/", False),
        ("file:///etc/passwd", False),
        ("api.example.com", False),
        ("http://", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_listed_hosts_may_be_reached(url: str, allowed: bool, settings: Settings) -> None:
    hosts = ("api.example.com", "*.models.example.org")
    listed = settings.model_copy(update={"outbound_hosts": hosts})
    if allowed:
        check_host(url, listed)
        return
    with pytest.raises(InputError):
        check_host(url, listed)
    with pytest.raises(InputError):
        HttpClient(url, listed)


async def test_an_answer_that_cannot_be_unpacked_is_told(
    settings: Settings, first: ModelServer
) -> None:
    first.behave = lambda *_: (200, {"content-encoding": "gzip"}, b"no gzip")
    async with HttpClient(first.url, settings) as client:
        with pytest.raises(InputError, match="cannot be read"):
            await client.post("/v1/chat/completions", b"{}", {})


async def test_requests_to_models_go_through_the_proxy(
    store: Store, settings: Settings, first: ModelServer
) -> None:
    url = "http://models.example.com"
    async with routing(settings, store, at(url), proxy=first.url) as router:
        assert (await router.complete(ask())).text == "pong"
    assert first.seen[0].path == f"{url}/v1/chat/completions"
    with pytest.raises(SettingsError, match="TOCSIN_PROXY"):
        async with routing(settings, store, at(url), proxy="nonsense://x"):
            pass
    async with routing(settings, store, at(url), proxy="http://127.0.0.1:9") as router:
        with pytest.raises(ModelUnavailable, match="unreachable"):
            await router.complete(ask("not kept", deadline=0.5))


def test_one_process_with_everything_answers_for_models_too(
    tmp_path: Path, first: ModelServer
) -> None:
    providers = json.dumps([at(first.url)])
    gone = json.dumps([at("http://127.0.0.1:9")])
    with serving(tmp_path, llm_providers=providers) as server, server.client() as client:
        made = tocsin(tmp_path, "key", "create", "tool", "--scope", "model")
        client.headers["Authorization"] = f"Bearer {made.stdout.decode().strip()}"
        body = {"model": "tocsin", "messages": [{"role": "user", "content": "hi"}]}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.json()["choices"][0]["message"]["content"] == "pong"
        assert client.get("/api/v1/alerts").status_code == 403
        server.stop()
    with serving(tmp_path, llm_providers=gone) as server, server.client() as client:
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        sent = client.post("/api/v1/alerts", json={"title": "no model is needed"})
        assert sent.status_code == 202
        assert server.settle()["triaged"] == 1
        server.stop()
