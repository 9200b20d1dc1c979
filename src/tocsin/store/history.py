"""How often this installation has seen a value, and how people decided it.

Sightings are written with the context of the alerts that they count, and read before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Prevalence
from tocsin.ports import RULE_HOST, EntityKey
from tocsin.store.bulk import PIPELINED, BulkInsert, as_texts, mark_of, texts_in, values
from tocsin.store.database import Database
from tocsin.store.fetch import fetch
from tocsin.store.tables import prevalence

WEEK_DAYS = 7
MONTH_DAYS = 30
SIZES = (10, 50, 100, 200, 300, 400, 500)  # few, so that the driver's statement cache holds them
NO_KEY = ("", "")
NOTHING = (0, 0, 0, 0, 0)  # day, week, month, attacks, harmless
Counted = tuple[str, str, str]  # kind, value, day
MOST_PAST = 20_000  # keys whose counts of days before today are remembered
DECIDED = "decided"  # a kind that no key has: the row that says that there are decisions

_add = BulkInsert(
    prevalence,
    ("kind", "value", "day", "count"),
    key=("kind", "value", "day"),
    update={"count": "prevalence.count + excluded.count"},
)


def record(connection: Connection, rows: Sequence[tuple[str, str, str, int]]) -> None:
    """Add to the counts, within the caller's transaction.

    Args:
        connection: of the transaction that stores the alerts counted.
        rows: kind, value, UTC day (ISO date) and how many more; each key once, sorted, so that
            two writers take the rows' locks in the same order.
    """
    _add(connection, rows)


def stale(connection: Connection, before: str, after: Counted | None, limit: int) -> list[Counted]:
    """Counts of days that nothing looks at any more, in the order of their keys.

    Args:
        connection: to read with.
        before: the first day (ISO date) that stays.
        after: the last key of the portion before.
        limit: the most.
    """
    p = prevalence.c
    key = (p.kind, p.value, p.day)
    query = sa.select(*key).where(p.day < before).order_by(*key).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*key) > sa.tuple_(*map(sa.literal, after)))
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def forget(connection: Connection, portion: Sequence[Counted], before: str) -> int:
    """Delete a portion of what `stale` gave, from its first to its last key; gives how many."""
    p = prevalence.c
    key = sa.tuple_(p.kind, p.value, p.day)
    first, last = (sa.tuple_(*map(sa.literal, portion[place])) for place in (0, -1))
    gone = sa.delete(prevalence).where(p.day < before, key >= first, key <= last)
    return connection.execute(gone).rowcount


def first_day(now: datetime) -> str:
    """The first UTC day (ISO date) that counts still; what is older is never asked for."""
    return (now.astimezone(UTC).date() - timedelta(days=MONTH_DAYS - 1)).isoformat()


class HistoryStore:
    """Answers `ports.History` from the tables `prevalence` and `decision_counts`.

    What was counted before today no longer changes, so a key's past is summed once a day and
    remembered; a count that a worker still adds to yesterday after midnight may be missed that day.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decided = False  # whether anybody has decided anything yet; once so, always
        self._today = ""
        self._past: dict[EntityKey, tuple[int, int]] = {}  # of the week and the month, today apart

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        """See `ports.History.prevalence`: today, the last 7 and the last 30 UTC days."""
        if not keys:
            return {}
        today = now.astimezone(UTC).date()
        days = (
            today.isoformat(),
            (today - timedelta(days=WEEK_DAYS - 1)).isoformat(),
            first_day(now),
        )
        if days[0] != self._today:
            self._today, self._past = days[0], {}
        remembered, asked = self._past, dict.fromkeys(keys)
        past = {key: remembered[key] for key in asked if key in remembered}
        new, known = [key for key in asked if key not in past], list(past)

        def counts(connection: Connection) -> Iterator[Sequence[Any]]:
            if new:
                yield from self._counts(connection, new, days)
            if known:
                yield from self._counts(connection, known, (days[0],) * 3)

        found = {
            EntityKey(kind, value): tuple(map(int, counted))
            for kind, value, *counted in await self._database.read(lambda c: list(counts(c)))
        }
        for key in new:
            day, week, month, *_ = found.get(key, NOTHING)
            past[key] = remembered[key] = (week - day, month - day)
        while len(remembered) > MOST_PAST:
            del remembered[next(iter(remembered))]
        return {key: _prevalence(key, found.get(key, NOTHING), past[key]) for key in asked}

    def _counts(
        self, connection: Connection, keys: Sequence[EntityKey], days: tuple[str, str, str]
    ) -> Sequence[Sequence[Any]]:
        """Kind, value and the counts of the keys that were seen in the month, or decided ever."""
        if self._decided:
            return _ask(connection, keys, days, decided=True)
        counted = [key for key in keys if key.kind != RULE_HOST]
        found = _ask(connection, counted, days, decided=False) if counted else ()
        if not any(row[0] == DECIDED for row in found) and counted:
            return found
        self._decided = True
        return _ask(connection, keys, days, decided=True)


def _prevalence(key: EntityKey, found: Sequence[int], past: tuple[int, int]) -> Prevalence:
    day, _, _, attacks, harmless = found
    week, month = past
    return Prevalence(
        subject=key.kind,
        value=key.value,
        day=day,
        week=day + week,
        month=day + month,
        attacks=attacks,
        harmless=harmless,
    )


def _ask(
    connection: Connection,
    keys: Sequence[tuple[str, str]],
    days: tuple[str, str, str],
    *,
    decided: bool,
) -> Sequence[Sequence[Any]]:
    today, week, month = days
    mark = mark_of(connection)
    found: list[Sequence[Any]] = []
    listed: tuple[Any, ...]
    for start in range(0, len(keys), SIZES[-1]):
        part = keys[start : start + SIZES[-1]]
        if mark == PIPELINED:
            wanted = _ARRAYS
            listed = (as_texts([key[0] for key in part]), as_texts([key[1] for key in part]))
        else:
            size = next(size for size in SIZES if size >= len(part))
            padded = chain(part, [NO_KEY] * (size - len(part)))
            wanted = f"VALUES {values(size, 2, mark)}"
            listed = tuple(chain.from_iterable(padded))
        found.extend(
            fetch(
                connection,
                ("kind", "value", "day", "week", "month", "attacks", "harmless"),
                _statement(wanted, mark, decided),
                (*listed, today, week, month, today),
            )
        )
    return found


_ARRAYS = f"SELECT * FROM ROWS FROM ({texts_in('%s')}, {texts_in('%s')}) AS both_"


@lru_cache(maxsize=4 * len(SIZES))
def _statement(wanted: str, mark: str, decided: bool) -> str:
    """One search of each table's primary key per wanted key.

    While nobody has decided anything, the other table is only asked whether it is still empty.
    """
    seen = (
        "SELECT p.kind, p.value, "
        f"SUM(CASE WHEN p.day = {mark} THEN p.count ELSE 0 END) AS day, "
        f"SUM(CASE WHEN p.day >= {mark} THEN p.count ELSE 0 END) AS week, "
        "SUM(p.count) AS month, 0 AS attacks, 0 AS harmless "
        "FROM wanted v JOIN prevalence p ON p.kind = v.kind AND p.value = v.value "
        f"WHERE p.day BETWEEN {mark} AND {mark} GROUP BY p.kind, p.value"
    )
    wanted = f"WITH wanted (kind, value) AS ({wanted}) "
    if not decided:
        marker = f"SELECT '{DECIDED}', '', 0, 0, 0, 0, 0"
        there = "WHERE EXISTS (SELECT 1 FROM decision_counts LIMIT 1)"
        return f"{wanted}{seen} UNION ALL {marker} {there}"
    known = (
        "SELECT d.kind, d.value, 0, 0, 0, d.attacks, d.harmless "
        "FROM wanted v JOIN decision_counts d ON d.kind = v.kind AND d.value = v.value"
    )
    return (
        f"{wanted}SELECT kind, value, SUM(day) AS day, SUM(week) AS week, SUM(month) AS month, "
        "SUM(attacks) AS attacks, SUM(harmless) AS harmless "
        f"FROM ({seen} UNION ALL {known}) AS both_ GROUP BY kind, value"
    )
