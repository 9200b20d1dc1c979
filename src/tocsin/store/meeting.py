"""Where alerts that matter meet: the entities that they have, entered and looked up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import EntityKind
from tocsin.ports import Met, Trail
from tocsin.store.bulk import PIPELINED, BulkInsert, as_texts, mark_of, texts_in
from tocsin.store.database import Database
from tocsin.store.fetch import fetch, fetch_as
from tocsin.store.quality import made_storable
from tocsin.store.tables import alert_entities
from tocsin.store.types import stamp_of

SIZES = (1, 5, 20, 50)  # keys of a statement: few, so that the driver's cache holds them
Key = tuple[str, str, Any, Any]  # kind, value, and the moments between which to look
COLUMNS = Met._fields

_decode = msgspec.json.Decoder(list[Met]).decode

_enter = BulkInsert(
    alert_entities,
    ("kind", "value", "at", "alert_id", "stage", "seen", "beside"),
    key=("kind", "value", "at", "alert_id"),
)


async def meet(
    database: Database,
    trails: Sequence[Trail],
    asked: Sequence[Trail],
    window: timedelta,
    most: int,
) -> list[Met]:
    """See `ports.Incidents.meet`."""
    stamp = stamp_of("sqlite" if database.sqlite else "postgresql")
    rows = sorted(
        (entity.kind.value, made_storable(entity.value), stamp(trail.at), trail.alert_id,
         trail.stage, entity.seen, made_storable(entity.beside))
        for trail in trails
        for entity in trail.entities
    )  # fmt: skip
    if rows:
        await database.write(lambda connection: _enter(connection, rows), durable=False)
    spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for trail in asked:
        for entity in trail.entities:
            key = (entity.kind.value, made_storable(entity.value))
            first, last = spans.get(key, (trail.at, trail.at))
            spans[key] = (min(first, trail.at), max(last, trail.at))
    keys = [
        (kind, value, stamp(first - window), stamp(last + window))
        for (kind, value), (first, last) in spans.items()
    ]
    if not keys:
        return []
    return await database.read(lambda connection: _look_up(connection, keys, most))


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete what these alerts entered."""
    connection.execute(sa.delete(alert_entities).where(alert_entities.c.alert_id.in_(ids)))


def _look_up(connection: Connection, keys: Sequence[Key], most: int) -> list[Met]:
    mark = mark_of(connection)
    if mark == PIPELINED:
        columns = [as_texts([str(part) for part in column]) for column in zip(*keys, strict=True)]
        found = fetch(connection, COLUMNS, _LATERAL, (*columns, most))
        return [Met(EntityKind(kind), *rest) for kind, *rest in found]
    met: list[Met] = []
    for start in range(0, len(keys), SIZES[-1]):
        part = keys[start : start + SIZES[-1]]
        size = next(size for size in SIZES if size >= len(part))
        none = ("", "", *part[0][2:])
        padded = chain.from_iterable((*key, most) for key in [*part, *[none] * (size - len(part))])
        met += fetch_as(_decode, connection, COLUMNS, _statement(size, mark), tuple(padded))
    return met


_LATEST = "ORDER BY at DESC, alert_id DESC LIMIT"
_LATERAL = (
    f"SELECT part.* FROM ROWS FROM ({', '.join([texts_in('%s')] * 4)}) "
    "AS wanted (kind, value, since, until) CROSS JOIN LATERAL ("
    f"SELECT {', '.join(COLUMNS)} FROM alert_entities e "
    "WHERE e.kind = wanted.kind AND e.value = wanted.value "
    "AND e.at BETWEEN CAST(wanted.since AS timestamptz) AND CAST(wanted.until AS timestamptz) "
    f"{_LATEST} %s) AS part"
)
"""PostgreSQL's: for each key a search of the primary key, from the latest backwards."""


@lru_cache(maxsize=len(SIZES))
def _statement(keys: int, mark: str) -> str:
    """The same for SQLite, which has no lateral joins."""
    one = (
        f"SELECT * FROM (SELECT {', '.join(COLUMNS)} FROM alert_entities WHERE kind = {mark} "
        f"AND value = {mark} AND at >= {mark} AND at <= {mark} {_LATEST} {mark}) AS part"
    )
    return " UNION ALL ".join([one] * keys)
