"""Fixtures for all tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.servers import SHARED, Server, serving

from tocsin.app import Store, open_store
from tocsin.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on a folder of the test's own, whatever the environment says."""
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "none.toml"))
    return Settings(data=tmp_path)


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
