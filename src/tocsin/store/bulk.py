"""Set-based hot writes: one statement per table and chunk of a batch, compiled once.

SQLAlchemy's execution layer costs half of the bulk rate on SQLite, so the pipeline's statements are
built once from the Core tables (names, keys and types come from there) and handed to the driver as
text with many rows of parameters. Chunk sizes are few, so the driver's statement cache holds them.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from tocsin.store.copying import WORTH_IT, Row, copied, merged

CHUNKS = (250, 100, 50, 25, 10, 5, 2, 1)
IN_LIMIT = 500
PIPELINED = "%s"  # the mark of the driver that pipelines
WRITTEN = "written"
"""In `Connection.info`: rows written in this transaction, by table."""


class BulkInsert:
    """`INSERT INTO table (columns) VALUES …` with what to do on a conflict.

    Args:
        table: the Core table.
        columns: the columns of each row, in order.
        key: the natural key; a row whose key exists is left alone, or updated:
        update: SQL expressions by column name, where `excluded.NAME` is the new value and
            `TABLE.NAME` the stored one.
        fresh: whether the rows' keys are new as a rule; many at once are then copied straight in.
        returning: a column whose value is given back for each row that was written.
    """

    def __init__(
        self,
        table: sa.Table,
        columns: Sequence[str],
        *,
        key: Sequence[str],
        update: dict[str, str] | None = None,
        returning: str | None = None,
        fresh: bool = False,
    ) -> None:
        named = ", ".join(table.c[name].name for name in columns)
        self._head = f"INSERT INTO {table.name} ({named}) VALUES "
        target = f" ON CONFLICT ({', '.join(key)}) DO "
        changes = ", ".join(f"{name} = {value}" for name, value in (update or {}).items())
        self._tail = target + (f"UPDATE SET {changes}" if changes else "NOTHING")
        self._returning = returning is not None
        if returning:
            self._tail += f" RETURNING {returning}"
        self._table = table.name
        self._named = named
        self._fresh = fresh
        order = ", ".join(_ordered(table, name) for name in key)
        self._merge = (
            f"INSERT INTO {table.name} ({named}) SELECT {named} FROM staged ORDER BY {order}"
        )
        self._width = len(columns)
        self._statement = lru_cache(maxsize=16)(self._build)

    def _build(self, rows: int, mark: str) -> str:
        return self._head + values(rows, self._width, mark) + self._tail

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> list[Any]:
        """Write the rows, at most 250 a statement; gives what `returning` names."""
        mark = mark_of(connection)
        returned: list[Any] = []
        if mark == PIPELINED and len(rows) >= WORTH_IT:
            returned = self._at_once(connection, rows)
            _tally(connection, self._table, len(returned) if self._returning else len(rows))
            return returned
        if mark == PIPELINED and not self._returning:
            _each(connection, self._statement(1, mark), rows)
            _tally(connection, self._table, len(rows))
            return []
        for part in chunks(rows):
            result = connection.exec_driver_sql(
                self._statement(len(part), mark), tuple(chain.from_iterable(part))
            )
            if result.returns_rows:
                returned.extend(row[0] for row in result)
        _tally(connection, self._table, len(returned) if self._returning else len(rows))
        return returned

    def _at_once(self, connection: Connection, rows: Sequence[Row]) -> list[Any]:
        if self._fresh and copied(connection, self._table, self._named, rows):
            return []
        merge = self._merge + self._tail
        return [row[0] for row in merged(connection, self._table, self._named, rows, merge)]


class BulkUpdate:
    """`UPDATE table SET … FROM (VALUES …) WHERE key = …`; each row begins with its key.

    Args:
        table: the Core table.
        key: the column by which rows are found.
        columns: the columns that follow the key in each row, in order.
        update: SQL expressions for those that do not simply take the new value, where
            `{new}` is that value and `TABLE.NAME` the stored one.
    """

    def __init__(
        self,
        table: sa.Table,
        key: str,
        columns: Sequence[str],
        update: dict[str, str] | None = None,
    ) -> None:
        self._table = table
        self._key = key
        self._columns = columns
        self._update = update or {}
        self._statement = lru_cache(maxsize=16)(self._build)
        changes = self._changes({name: f"staged.{name}" for name in columns})
        self._merge = (
            f"UPDATE {table.name} SET {changes} FROM staged WHERE {table.name}.{key} = staged.{key}"
        )

    def _changes(self, new: dict[str, str]) -> str:
        """What follows SET, with the new value of each column."""
        return ", ".join(
            f"{name} = {self._update.get(name, '{new}').replace('{new}', new[name])}"
            for name in self._columns
        )

    def _build(self, rows: int, mark: str) -> str:
        if mark == "?":
            named = {name: f"column{i}" for i, name in enumerate((self._key, *self._columns), 1)}
            alias, cast = "v", {name: f"v.{named[name]}" for name in named}
        else:
            dialect = make_url("postgresql+psycopg://").get_dialect()()
            names = (self._key, *self._columns)
            alias = f"v ({', '.join(names)})"
            cast = {
                name: f"CAST(v.{name} AS {self._table.c[name].type.compile(dialect)})"
                for name in names
            }
        return (
            f"UPDATE {self._table.name} SET {self._changes(cast)} "
            f"FROM (VALUES {values(rows, len(self._columns) + 1, mark)}) AS {alias} "
            f"WHERE {self._table.name}.{self._key} = {cast[self._key]}"
        )

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Change the rows, at most 250 a statement."""
        mark = mark_of(connection)
        _tally(connection, self._table.name, len(rows))
        if mark == PIPELINED and len(rows) >= WORTH_IT:
            named = ", ".join((self._key, *self._columns))
            merged(connection, self._table.name, named, rows, self._merge)
            return
        if mark == PIPELINED:
            _each(connection, self._statement(1, mark), rows)
            return
        for part in chunks(rows):
            connection.exec_driver_sql(
                self._statement(len(part), mark), tuple(chain.from_iterable(part))
            )


def _ordered(table: sa.Table, name: str) -> str:
    """Texts in the order of their characters: writers lock rows that they share in one order."""
    return f'{name} COLLATE "C"' if isinstance(table.c[name].type, sa.String) else name


def _each(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    """One prepared statement for all rows, sent without waiting for the answer to each."""
    if rows:
        connection.exec_driver_sql(statement, list(rows))


def _tally(connection: Connection, table: str, rows: int) -> None:
    written = connection.info.setdefault(WRITTEN, {})
    written[table] = written.get(table, 0) + rows


def mark_of(connection: Connection) -> str:
    """The driver's parameter mark."""
    return "?" if connection.dialect.name == "sqlite" else PIPELINED


@lru_cache(maxsize=256)
def values(rows: int, width: int, mark: str) -> str:
    """`(?, ?), (?, ?)` for two rows of two."""
    return ", ".join(["(" + ", ".join([mark] * width) + ")"] * rows)


def among(
    connection: Connection, column: str, wanted: Sequence[Any]
) -> tuple[str, tuple[Any, ...]]:
    """`column IN (…)` for texts, with its parameters.

    PostgreSQL gets one parameter, a JSON array: its driver looks through a statement's text for
    each mark anew when there are many, and through each text of an array of its own.
    """
    mark = mark_of(connection)
    if mark == PIPELINED:
        return f"{column} = ANY(ARRAY(SELECT {texts_in(mark)}))", (as_texts(wanted),)
    return f"{column} IN {marks(len(wanted), mark)}", tuple(wanted)


def one_of(
    connection: Connection, column: sa.ColumnElement[Any], wanted: Sequence[str]
) -> sa.ColumnElement[bool]:
    """`among`, for a statement that SQLAlchemy builds: one parameter, however many are wanted.

    Its own IN has a parameter for each, which both it and the driver look for anew every time.
    """
    listed = sa.literal(as_texts(wanted), sa.Text)
    if connection.dialect.name == "sqlite":
        return column.in_(sa.select(sa.func.json_each(listed).table_valued("value").c.value))
    texts = sa.select(sa.func.json_array_elements_text(sa.cast(listed, sa.JSON)))
    return column == sa.any_(sa.func.array(texts.scalar_subquery()))


def as_texts(wanted: Sequence[str]) -> str:
    """Texts as one parameter, which `texts_in` takes apart."""
    return msgspec.json.encode(wanted).decode()


def texts_in(mark: str) -> str:
    """PostgreSQL's rows of one text each from what `as_texts` gave."""
    return f"json_array_elements_text(CAST({mark} AS json))"


@lru_cache(maxsize=256)
def marks(count: int, mark: str) -> str:
    """`(?, ?, ?)`, for IN."""
    return "(" + ", ".join([mark] * count) + ")"


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Parts of the sizes in `CHUNKS`, largest first: few sizes, so few statements."""
    start = 0
    for size in CHUNKS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
