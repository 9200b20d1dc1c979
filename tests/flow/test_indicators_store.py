"""Indicators in a real database: imported, updated, scanned, removed, and found by the step."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.intel import build
from tocsin.model import (
    Alert,
    Dossier,
    Indicator,
    Observable,
    ObservableRole,
    ObservableType,
    ThreatLevel,
    Tlp,
)
from tocsin.ports import IndicatorSource, Resources
from tocsin.settings import load
from tocsin.store import indicators as module
from tocsin.store.database import Database
from tocsin.store.indicators import IndicatorStore
from tocsin.store.tables import metadata

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
IP = ObservableType.IP


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'tocsin.db'}")
    await database.write(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> IndicatorStore:
    return IndicatorStore(database, clock=lambda: NOW)


async def everything(store: IndicatorStore, now: datetime = NOW) -> list[Indicator]:
    return [item async for chunk in store.scan(now) for item in chunk]


def full(value: str = "192.0.2.1", source: str = "feed") -> Indicator:
    return Indicator(
        type=IP,
        value=value,
        source=source,
        threat_level=ThreatLevel.CRITICAL,
        confidence=0.85,
        tlp=Tlp.AMBER_STRICT,
        tags=("c2", "{}", "50%"),
        description="it's a\ntest — {0}",
        first_seen=NOW - timedelta(days=9, microseconds=1),
        expires_at=NOW + timedelta(days=9),
    )


async def test_what_is_stored_comes_back_unchanged(store: IndicatorStore) -> None:
    bare = Indicator(type=ObservableType.DOMAIN, value="example.com", source="feed")
    assert await store.upsert([full(), bare]) == 2
    assert {item.value: item for item in await everything(store)} == {
        "192.0.2.1": full(),
        "example.com": bare,
    }


async def test_a_second_import_updates_and_keeps_the_first_seen(store: IndicatorStore) -> None:
    await store.upsert([full()])
    later = Indicator(type=IP, value="192.0.2.1", source="feed", confidence=0.1, first_seen=NOW)
    await store.upsert([later])
    (item,) = await everything(store)
    assert (item.confidence, item.threat_level, item.tags) == (0.1, ThreatLevel.HIGH, ())
    assert item.first_seen == full().first_seen
    assert item.expires_at is None


async def test_the_same_value_of_two_sources_is_two_rows(store: IndicatorStore) -> None:
    await store.upsert([full(source="one"), full(source="two"), full(source="two")])
    assert await store.count() == {"one": 1, "two": 1}


async def test_every_change_changes_the_version_and_reading_does_not(
    store: IndicatorStore,
) -> None:
    versions = [await store.version()]
    await store.upsert([full()])
    versions.append(await store.version())
    await store.upsert([full()])
    versions.append(await store.version())
    await everything(store)
    await store.upsert([])
    assert await store.remove_source("nobody") == 0
    assert await store.version() == versions[-1]
    assert await store.remove_source("feed") == 1
    versions.append(await store.version())
    assert versions == sorted(set(versions))
    assert versions[0] == 0


async def test_expired_indicators_are_not_scanned(store: IndicatorStore) -> None:
    await store.upsert([full()])
    expiry = NOW + timedelta(days=9)
    assert len(await everything(store, expiry - timedelta(seconds=1))) == 1
    assert await everything(store, expiry) == []


async def test_a_scan_in_chunks_meets_every_row_once(
    store: IndicatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 7)
    values = [f"198.51.100.{number}" for number in range(30)]
    await store.upsert([full(value, source) for value in values for source in ("a", "b")])
    found = [(item.value, item.source) for item in await everything(store)]
    assert len(found) == len(set(found)) == 60


async def test_a_chunk_that_fails_leaves_nothing_behind(store: IndicatorStore) -> None:
    broken = Indicator(type=IP, value="192.0.2.2", source="feed", confidence=7.0)
    with pytest.raises(Exception, match="confidence"):
        await store.upsert([full(), broken])
    assert await store.count() == {}
    assert await store.version() == 0


async def test_imports_at_the_same_time_all_count(store: IndicatorStore) -> None:
    await asyncio.gather(*(store.upsert([full(source=str(number))]) for number in range(8)))
    assert await store.version() == 8
    assert len(await store.count()) == 8


async def test_the_step_finds_what_was_imported(store: IndicatorStore) -> None:
    source: IndicatorSource = store
    work = build(
        Resources(
            settings=load(indicator_refresh=0.01),
            inventory=None,  # type: ignore[arg-type] # the step asks indicators only
            history=None,  # type: ignore[arg-type]
            indicators=source,
            incidents=None,  # type: ignore[arg-type]
        )
    )
    observable = Observable(type=IP, value="192.0.2.1", role=ObservableRole.DESTINATION)
    alert = Alert(title="beacon", observables=(observable,))
    batch = [Dossier(alert_id="a", received_at=NOW, payload="{}", alert=alert)]
    (before,) = await work(batch)
    assert before.intel[0].threat_level is ThreatLevel.UNKNOWN
    lasting = Indicator(type=IP, value="192.0.2.1", source="feed")
    await store.upsert([lasting])
    await asyncio.sleep(0.05)
    (after,) = await work(batch)
    assert after.intel[0].threat_level is ThreatLevel.HIGH
    assert after.intel[0].sources == ("feed",)
    await store.remove_source("feed")
    await asyncio.sleep(0.05)
    (gone,) = await work(batch)
    assert gone.intel[0].threat_level is ThreatLevel.UNKNOWN
