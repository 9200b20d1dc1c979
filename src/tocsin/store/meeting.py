"""Where alerts that matter meet: the entities that they have, entered and looked up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import EntityKind
from tocsin.ports import Met, Trail
from tocsin.store.bulk import BulkInsert, mark_of
from tocsin.store.database import Database
from tocsin.store.fetch import fetch
from tocsin.store.tables import alert_entities
from tocsin.store.types import instant_text

SIZES = (1, 5, 20, 50)  # keys of a statement: few, so that the driver's cache holds them
COLUMNS = ("kind", "value", "alert_id", "at", "stage", "seen", "beside")

_enter = BulkInsert(
    alert_entities,
    ("kind", "value", "at", "alert_id", "stage", "seen", "beside"),
    key=("kind", "value", "at", "alert_id"),
)


async def meet(
    database: Database, trails: Sequence[Trail], window: timedelta, most: int
) -> list[Met]:
    """See `ports.Incidents.meet`."""
    stamp = instant_text if database.sqlite else _as_is
    rows = sorted(
        (entity.kind.value, clean(entity.value), stamp(trail.at), trail.alert_id, trail.stage,
         entity.seen, clean(entity.beside))
        for trail in trails
        for entity in trail.entities
    )  # fmt: skip
    if not rows:
        return []
    await database.write(lambda connection: _enter(connection, rows), durable=False)
    spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for trail in trails:
        for entity in trail.entities:
            key = (entity.kind.value, clean(entity.value))
            first, last = spans.get(key, (trail.at, trail.at))
            spans[key] = (min(first, trail.at), max(last, trail.at))
    keys = [
        (kind, value, stamp(first - window), stamp(last + window), most)
        for (kind, value), (first, last) in spans.items()
    ]
    return await database.read(lambda connection: _look_up(connection, keys))


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete what these alerts entered."""
    connection.execute(sa.delete(alert_entities).where(alert_entities.c.alert_id.in_(ids)))


def clean(value: str) -> str:
    """Text that every database can store."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _look_up(connection: Connection, keys: Sequence[tuple[Any, ...]]) -> list[Met]:
    found: list[Met] = []
    mark = mark_of(connection)
    for start in range(0, len(keys), SIZES[-1]):
        part = keys[start : start + SIZES[-1]]
        size = next(size for size in SIZES if size >= len(part))
        none = ("", "", *part[0][2:])
        padded = chain.from_iterable([*part, *[none] * (size - len(part))])
        rows = fetch(connection, COLUMNS, _statement(size, mark), tuple(padded))
        found.extend(
            Met(
                EntityKind(kind),
                value,
                alert_id,
                at if isinstance(at, datetime) else datetime.fromisoformat(at),
                stage,
                seen,
                beside,
            )
            for kind, value, alert_id, at, stage, seen, beside in rows
        )
    return found


@lru_cache(maxsize=2 * len(SIZES))
def _statement(keys: int, mark: str) -> str:
    """For each key a search of the primary key, from the latest backwards."""
    one = (
        f"SELECT * FROM (SELECT {', '.join(COLUMNS)} FROM alert_entities WHERE kind = {mark} "
        f"AND value = {mark} AND at >= {mark} AND at <= {mark} "
        f"ORDER BY at DESC, alert_id DESC LIMIT {mark}) AS part"
    )
    return " UNION ALL ".join([one] * keys)


def _as_is(value: datetime) -> datetime:
    return value
