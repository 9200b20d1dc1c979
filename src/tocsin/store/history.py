"""How often this installation has seen a value: written with the context, read before it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain

from sqlalchemy.engine import Connection

from tocsin.model import Prevalence
from tocsin.ports import EntityKey
from tocsin.store.bulk import PIPELINED, BulkInsert, as_texts, mark_of, texts_in, values
from tocsin.store.database import Database
from tocsin.store.fetch import fetch
from tocsin.store.tables import prevalence

WEEK_DAYS = 7
MONTH_DAYS = 30
SIZES = (10, 50, 100, 200, 300, 400, 500)  # few, so that the driver's statement cache holds them
NO_KEY = ("", "")

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


class HistoryStore:
    """Answers `ports.History` from the table `prevalence`."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            (today - timedelta(days=MONTH_DAYS - 1)).isoformat(),
        )
        answers = {key: Prevalence(subject=key.kind, value=key.value) for key in keys}
        for kind, value, day, week, month in await self._database.read(
            lambda connection: _counts(connection, list(answers), days)
        ):
            answers[EntityKey(kind, value)] = Prevalence(
                subject=kind, value=value, day=day, week=week, month=month
            )
        return answers


def _counts(
    connection: Connection, keys: Sequence[tuple[str, str]], days: tuple[str, str, str]
) -> list[tuple[str, str, int, int, int]]:
    """Kind, value and the three counts of the keys that were seen in the month."""
    today, week, month = days
    mark = mark_of(connection)
    found: list[tuple[str, str, int, int, int]] = []
    listed: tuple[str, ...]
    for start in range(0, len(keys), SIZES[-1]):
        part = keys[start : start + SIZES[-1]]
        if mark == PIPELINED:
            statement = _statement(_ARRAYS, mark)
            listed = (as_texts([key[0] for key in part]), as_texts([key[1] for key in part]))
        else:
            size = next(size for size in SIZES if size >= len(part))
            padded = chain(part, [NO_KEY] * (size - len(part)))
            statement = _statement(f"(VALUES {values(size, 2, mark)}) AS v", mark)
            listed = tuple(chain.from_iterable(padded))
        rows = fetch(
            connection,
            ("kind", "value", "day", "week", "month"),
            statement,
            (today, week, *listed, month, today),
        )
        found.extend([(kind, value, int(d), int(w), int(m)) for kind, value, d, w, m in rows])
    return found


_ARRAYS = f"ROWS FROM ({texts_in('%s')}, {texts_in('%s')}) AS v (column1, column2)"


@lru_cache(maxsize=2 * len(SIZES))
def _statement(wanted: str, mark: str) -> str:
    """One search of the primary key per wanted key; both databases name VALUES' columns alike."""
    return (
        "SELECT p.kind, p.value, "
        f"SUM(CASE WHEN p.day = {mark} THEN p.count ELSE 0 END) AS day, "
        f"SUM(CASE WHEN p.day >= {mark} THEN p.count ELSE 0 END) AS week, "
        f"SUM(p.count) AS month FROM {wanted} "
        "JOIN prevalence p ON p.kind = v.column1 AND p.value = v.column2 "
        f"WHERE p.day BETWEEN {mark} AND {mark} GROUP BY p.kind, p.value"
    )
