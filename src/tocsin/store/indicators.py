"""The local indicator store: written by imports, read in bulk into the memory of the intel step."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tocsin.model import Indicator, ObservableType, ThreatLevel, Tlp
from tocsin.store import audit
from tocsin.store.bulk import BulkInsert
from tocsin.store.change_count import ChangeCount
from tocsin.store.database import Database
from tocsin.store.tables import indicator_state, indicators
from tocsin.store.types import instant_text

PAGE = 2000
"""Rows of one chunk of a scan: some 20 ms of work for a reading thread."""

_KEY = ("type", "value", "source")
_CHANGED = ("threat_level", "confidence", "tlp", "tags", "description", "expires_at", "updated_at")
_write = BulkInsert(
    indicators,
    (*_KEY, *_CHANGED, "first_seen"),
    key=_KEY,
    update={name: f"excluded.{name}" for name in _CHANGED}
    | {"first_seen": "coalesce(indicators.first_seen, excluded.first_seen)"},
)
Stamp = Callable[[datetime], Any]
_tags = msgspec.json.Decoder(tuple[str, ...])
_changes = ChangeCount(indicator_state)


class IndicatorStore:
    """The tables `indicators` and `indicator_state`; implements `ports.IndicatorSource`."""

    def __init__(
        self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def version(self) -> int:
        """A number that grows with every change of the stored indicators; 0 before the first."""
        return await self._database.read(_changes.read)

    async def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        """All indicators that have not expired at `now`, in chunks of 2,000 in order of their key.

        Each chunk is a transaction of its own, so a long scan holds nothing up. What changes behind
        the scan's back changes the version, and is found by the next one.
        """
        after: tuple[str, str, str] | None = None
        while True:
            chunk = await self._database.read(_page(now, after))
            if chunk:
                yield chunk
            if len(chunk) < PAGE:
                return
            after = (chunk[-1].type.value, chunk[-1].value, chunk[-1].source)

    async def upsert(self, changes: Sequence[Indicator], *, actor: str = "cli") -> int:
        """Store indicators; those whose type, value and source are stored are updated.

        Of two with the same key the later one counts; a stored `first_seen` stays. All or nothing,
        in one transaction; returns how many different indicators that were.
        """
        now = self._clock()
        latest = {(item.type, item.value, item.source): item for item in changes}
        if not latest:
            return 0
        ids = [" ".join(key) for key in latest]
        sources = Counter(source for _, _, source in latest)

        def change(connection: Connection) -> int:
            stamp = instant_text if connection.dialect.name == "sqlite" else _unchanged
            # In the order of the key, so that two imports at once cannot lock each other out.
            _write(connection, [_row(latest[key], now, stamp) for key in sorted(latest)])
            _changes.count(connection)
            audit.imported(connection, actor, "indicators", ids, sources=sources)
            return len(latest)

        return await self._database.write(change)

    async def remove_source(self, source: str, *, actor: str = "cli") -> int:
        """Delete everything that came from one source; returns how many indicators that were."""

        def change(connection: Connection) -> int:
            deleted = connection.execute(
                sa.delete(indicators).where(indicators.c.source == source)
            ).rowcount
            if deleted:
                _changes.count(connection)
                gone = {"source": source, "count": deleted}
                audit.record(connection, audit.Entry(actor, "source.removed", "indicators", gone))
            return deleted

        return await self._database.write(change)

    async def count(self) -> dict[str, int]:
        """How many indicators each source has stored, expired ones included."""

        def query(connection: Connection) -> dict[str, int]:
            found = connection.execute(
                sa.select(indicators.c.source, sa.func.count())
                .group_by(indicators.c.source)
                .order_by(indicators.c.source)
            )
            return {row[0]: row[1] for row in found}

        return await self._database.read(query)


def _page(
    now: datetime, after: tuple[str, str, str] | None
) -> Callable[[Connection], list[Indicator]]:
    columns = indicators.c
    query = (
        sa.select(indicators)
        .where(sa.or_(columns.expires_at.is_(None), columns.expires_at > now))
        .order_by(columns.type, columns.value, columns.source)
        .limit(PAGE)
    )
    if after is not None:
        key = sa.tuple_(columns.type, columns.value, columns.source)
        query = query.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    return lambda connection: [indicator_of(row) for row in connection.execute(query)]


def _row(item: Indicator, now: datetime, stamp: Stamp) -> tuple[Any, ...]:
    """The values of `_write`'s columns."""
    return (
        item.type.value,
        item.value,
        item.source,
        item.threat_level.value,
        item.confidence,
        item.tlp.value,
        msgspec.json.encode(item.tags).decode(),
        item.description,
        None if item.expires_at is None else stamp(item.expires_at),
        stamp(now),
        None if item.first_seen is None else stamp(item.first_seen),
    )


def _unchanged(value: datetime) -> datetime:
    return value


def indicator_of(row: Row[Any]) -> Indicator:
    """An indicator from a row of `indicators`."""
    return Indicator(
        type=ObservableType(row.type),
        value=row.value,
        source=row.source,
        threat_level=ThreatLevel(row.threat_level),
        confidence=row.confidence,
        tlp=Tlp(row.tlp),
        tags=_tags.decode(row.tags),
        description=row.description,
        first_seen=row.first_seen,
        expires_at=row.expires_at,
    )
