"""The audit trail for those who check it, keep copies of it, or let its oldest part go."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.audit_chain import REGISTER, AuditRow, Head
from tocsin.store import audit
from tocsin.store.audit_check import Checker, Report
from tocsin.store.database import Database
from tocsin.store.tables import audit_heads, audit_logs
from tocsin.store.types import instant_text

FETCHED_ROWS = 2000
Progress = Callable[[int], None]


class AuditStore:
    """The trail for those who check it, and its retention.

    Args:
        database: where it stands.
        keys: the setting `audit_key`.
    """

    def __init__(self, database: Database, keys: str = "") -> None:
        self._database = database
        self._keys = keys

    async def verify(
        self, anchors: Sequence[Head] = (), progress: Progress = lambda _: None
    ) -> Report:
        """Check every row and head, in one snapshot and constant memory.

        Args:
            anchors: heads that an earlier export gave; the chains must still hold those rows.
            progress: told now and then how many rows were read.
        """

        def query(connection: Connection) -> Report:
            _fix_snapshot(connection)
            return examine(connection, self._keys, anchors, progress)

        return await self._database.read(query)

    async def export(self, write: Callable[[Head | AuditRow], None]) -> None:
        """Hand over all heads, then all rows, of one snapshot; on a reading thread."""

        def query(connection: Connection) -> None:
            _fix_snapshot(connection)
            for head in _heads(connection):
                write(head)
            for row in chain.from_iterable(_rows(connection)):
                write(row)

        await self._database.read(query)

    async def newest(self, limit: int, subject: str | None = None) -> list[AuditRow]:
        """The last rows, newest first."""
        columns = audit_logs.c
        query = sa.select(audit_logs).order_by(columns.logged_at.desc(), columns.sequence.desc())
        if subject is not None:
            query = query.where(columns.subject == subject)
        found = await self._database.read(lambda c: c.execute(query.limit(limit)).all())
        return [AuditRow(r[0], r[1], instant_text(r[2]), *r[3:]) for r in found]

    async def prune(self, before: datetime, actor: str) -> int:
        """Remove rows older than `before`, for retention; gives how many.

        Each chain's go in portions, each recorded; what is recorded of that stays. The heads keep,
        sealed, up to where each chain was removed, so that what is left can still be verified. The
        register, one short row for each chain, stays whole.
        """
        writers = sa.select(audit_heads.c.writer).where(audit_heads.c.writer != REGISTER)
        before = min(before, datetime.now(UTC))
        removed = 0
        for writer in await self._database.read(lambda c: list(c.execute(writers).scalars())):
            change = partial(audit.prune, writer=writer, before=before, actor=actor)
            while gone := await self._database.write(change):
                removed += gone
        return removed


def examine(
    connection: Connection,
    keys: str = "",
    anchors: Sequence[Head] = (),
    progress: Progress = lambda _: None,
) -> Report:
    """Check the trail as this transaction sees it."""
    checker = Checker(keys, anchors)
    present = sa.inspect(connection)
    for wanted in (audit_heads, audit_logs):
        if not present.has_table(wanted.name):
            checker.missing(wanted.name)
            return checker.report()
    for head in _heads(connection):
        checker.head(head)
    for rows in _rows(connection):
        for row in rows:
            checker.row(row)
        progress(checker.rows)
    return checker.report()


def _fix_snapshot(connection: Connection) -> None:
    """Let every statement of this transaction see the same moment."""
    if connection.dialect.name != "sqlite":  # there, a transaction does so anyway
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _heads(connection: Connection) -> Iterator[Head]:
    sqlite = connection.dialect.name == "sqlite"
    select = _select(Head._fields, ("sequence", "pruned"), sqlite)
    for row in connection.exec_driver_sql(f"{select} FROM audit_heads ORDER BY writer"):
        yield Head(*map(_text, row))


def _rows(connection: Connection) -> Iterator[list[AuditRow]]:
    """All rows in the order of their chains, in parts."""
    sqlite = connection.dialect.name == "sqlite"
    select = _select(AuditRow._fields, ("sequence",), sqlite)
    result = connection.exec_driver_sql(
        f"{select} FROM audit_logs ORDER BY audit_logs.writer, audit_logs.sequence",
        execution_options={"stream_results": True, "max_row_buffer": FETCHED_ROWS},
    )
    for part in result.partitions(FETCHED_ROWS):
        yield [AuditRow(*map(_text, row)) for row in part]


def _select(columns: Sequence[str], numbers: Sequence[str], sqlite: bool) -> str:
    """Columns as they are stored, whatever somebody has put there; what has another type is NULL.

    SQLite stores any type and any bytes in any column, so texts are fetched as bytes.
    """

    def expression(name: str) -> str:
        if sqlite:
            kind = "integer" if name in numbers else "text"
            value = name if name in numbers else f"CAST({name} AS BLOB)"
            return f"CASE typeof({name}) WHEN '{kind}' THEN {value} END"
        if name == "logged_at":
            return "to_char(logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        return f"{name}::text" if name == "detail" else name

    return f"SELECT {', '.join(expression(name) for name in columns)}"


def _text(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
