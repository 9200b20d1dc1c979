"""Fixtures for all tests: stores on both databases, servers as processes, real data."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests import postgres as pg
from tests import rabbitmq as mq
from tests.servers import SHARED, Server, serving

from tocsin.app import Store, open_store
from tocsin.settings import Settings

# For this process, which has not loaded numpy yet, and for those that tests start. Threads of
# linear algebra wait for each other by spinning: on busy cores a fit of 4 s takes minutes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Where compiled code may not be kept, each of hundreds of commands would compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


SERVERLESS = ("rules", "sources", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start servers come first, so that no worker is left with a long one at the end."""
    items.sort(key=lambda item: item.path.parent.name in SERVERLESS)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[pg.Postgres]:
    """A real PostgreSQL; tests that need it skip, saying so, where none can be started.

    No test cuts the power, and what is written survives the server's crash without reaching the
    disk; dropping a database is a checkpoint, and took two seconds on a busy one.
    """
    if pg.binaries() is None:
        pytest.skip("PostgreSQL is not installed (as root, `make test` installs it)")
    with pg.postgres("-c", "fsync=off") as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[mq.RabbitMQ]:
    """A real RabbitMQ; tests that need it skip, saying so, where none can be started."""
    if not mq.installed():
        pytest.skip("RabbitMQ is not installed (as root, `make test` installs it)")
    with mq.rabbitmq() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: pg.Postgres) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield postgres_server.create(name)
    postgres_server.drop(name)


@pytest.fixture
def broker_url(rabbit_server: mq.RabbitMQ) -> Iterator[str]:
    """A virtual host of the test's own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield rabbit_server.create(name)
    rabbit_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings on a folder and a database of the test's own, once for each kind of database."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "none.toml"))
    if request.param == "sqlite":
        return Settings(data=tmp_path)
    return Settings(data=tmp_path, database=request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An empty, migrated store."""
    async with open_store(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for a module's tests."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data is not here: {SHARED}")
    return SHARED
