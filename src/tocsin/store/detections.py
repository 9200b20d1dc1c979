"""Catalogues of detections: written by imports, read in bulk into the memory of the triage step."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tocsin.model import Detection, DetectionKind, DetectionStatus, Severity
from tocsin.store import audit
from tocsin.store.bulk import BulkInsert
from tocsin.store.change_count import ChangeCount
from tocsin.store.database import Database
from tocsin.store.tables import detection_state, detections
from tocsin.store.types import instant_text

PAGE = 2000
_KEY = ("catalogue", "detection_id")
_CHANGED = (
    *("name", "level", "risk_score", "kind", "status", "techniques", "false_positives"),
    "updated_at",
)
_texts = msgspec.json.Decoder(tuple[str, ...])
_write = BulkInsert(
    detections,
    (*_KEY, *_CHANGED),
    key=_KEY,
    update={name: f"excluded.{name}" for name in _CHANGED},
)
_changes = ChangeCount(detection_state)


class DetectionStore:
    """The tables `detections` and `detection_state`; implements `ports.DetectionSource`."""

    def __init__(
        self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def version(self) -> int:
        """A number that grows with every change of the stored detections; 0 before the first."""
        return await self._database.read(_changes.read)

    async def scan(self) -> AsyncIterator[Sequence[Detection]]:
        """All detections, in chunks of 2,000 in order of their key."""
        after: tuple[str, str] | None = None
        while True:
            chunk = await self._database.read(_page(after))
            if chunk:
                yield chunk
            if len(chunk) < PAGE:
                return
            after = (chunk[-1].catalogue, chunk[-1].detection_id)

    async def upsert(self, changes: Sequence[Detection], *, actor: str = "cli") -> tuple[int, int]:
        """Store detections; those whose catalogue and id are stored are replaced.

        Of two with the same key the later one counts. All or nothing, in one transaction; returns
        how many were new and how many were there before.
        """
        now = self._clock()
        latest = {(item.catalogue, item.detection_id): item for item in changes}
        if not latest:
            return 0, 0
        counted = Counter(catalogue for catalogue, _ in latest)

        def change(connection: Connection) -> tuple[int, int]:
            before = _count(connection)
            sqlite = connection.dialect.name == "sqlite"
            stamp: Any = instant_text(now) if sqlite else now
            # In the order of the key, so that two imports at once cannot lock each other out.
            _write(connection, [_row(latest[key], stamp) for key in sorted(latest)])
            _changes.count(connection)
            ids = [" ".join(key) for key in latest]
            audit.imported(connection, actor, "detections", ids, catalogues=dict(counted))
            inserted = _count(connection) - before
            return inserted, len(latest) - inserted

        return await self._database.write(change)

    async def remove_catalogue(self, catalogue: str, *, actor: str = "cli") -> int:
        """Delete a whole catalogue; returns how many detections that were."""

        def change(connection: Connection) -> int:
            deleted = connection.execute(
                sa.delete(detections).where(detections.c.catalogue == catalogue)
            ).rowcount
            if deleted:
                _changes.count(connection)
                gone = {"catalogue": catalogue, "count": deleted}
                entry = audit.Entry(actor, "catalogue.removed", "detections", gone)
                audit.record(connection, entry)
            return deleted

        return await self._database.write(change)

    async def find(self, text: str) -> list[Detection]:
        """The detections of this id, or else of this name in any case."""

        def query(connection: Connection) -> list[Detection]:
            columns = detections.c
            for condition in (
                columns.detection_id == text,
                sa.func.lower(columns.name) == text.lower(),
            ):
                chosen = sa.select(detections).where(condition).order_by(columns.catalogue)
                found = [_detection(row) for row in connection.execute(chosen.limit(PAGE))]
                if found:
                    return found
            return []

        return await self._database.read(query)

    async def first(self, limit: int, catalogue: str | None = None) -> list[Detection]:
        """The first detections in order of their key, of one catalogue or of all."""
        return await self._database.read(_page(None, limit, catalogue))

    async def count(self) -> dict[str, int]:
        """How many detections each catalogue has."""

        def query(connection: Connection) -> dict[str, int]:
            column = detections.c.catalogue
            chosen = sa.select(column, sa.func.count()).group_by(column).order_by(column)
            return {row[0]: row[1] for row in connection.execute(chosen)}

        return await self._database.read(query)


def _count(connection: Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(detections)).scalar() or 0)


def _page(
    after: tuple[str, str] | None, limit: int | None = None, catalogue: str | None = None
) -> Callable[[Connection], list[Detection]]:
    columns = detections.c
    query = (
        sa.select(detections).order_by(columns.catalogue, columns.detection_id).limit(limit or PAGE)
    )
    if after is not None:
        key = sa.tuple_(columns.catalogue, columns.detection_id)
        query = query.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    if catalogue is not None:
        query = query.where(columns.catalogue == catalogue)
    return lambda connection: [_detection(row) for row in connection.execute(query)]


def _row(item: Detection, stamp: Any) -> tuple[Any, ...]:
    """The values of `_write`'s columns."""
    return (
        item.catalogue,
        item.detection_id,
        item.name,
        None if item.level is None else item.level.value,
        item.risk_score,
        item.kind.value,
        None if item.status is None else item.status.value,
        msgspec.json.encode(item.techniques).decode(),
        msgspec.json.encode(item.false_positives).decode(),
        stamp,
    )


def _detection(row: Row[Any]) -> Detection:
    return Detection(
        catalogue=row.catalogue,
        detection_id=row.detection_id,
        name=row.name,
        level=None if row.level is None else Severity(row.level),
        risk_score=row.risk_score,
        kind=DetectionKind(row.kind),
        status=None if row.status is None else DetectionStatus(row.status),
        techniques=_texts.decode(row.techniques),
        false_positives=_texts.decode(row.false_positives),
    )
