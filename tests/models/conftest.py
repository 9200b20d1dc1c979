"""Servers of models for each test; settings on SQLite, where the kind of database says nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.servers import ModelServer, claude, serving

from tocsin.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As in the common fixtures, but once only."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "none.toml"))
    return Settings(data=tmp_path)


@pytest.fixture
def first() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def second() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def anthropic() -> Iterator[ModelServer]:
    with serving(claude("pong")) as server:
        yield server
