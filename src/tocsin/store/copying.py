"""Many rows at once on PostgreSQL: copied straight in, or copied aside and merged from there.

`COPY` costs client and server a fraction of what a statement for each row does. Rows that may be
there already are copied into a temporary table of the same columns, which belongs to the
connection and is emptied at every commit, and merged with one statement from there.
"""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import psycopg
from psycopg.errors import UniqueViolation
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

WORTH_IT = 16  # rows from which on a copy is cheaper than a statement for each
STAGED = "staged"
"""In `Connection.info`: the temporary tables that hold rows of this transaction."""
MADE = "made"
"""In `Connection.info`: the temporary tables that transactions of this connection have made."""

Row = tuple[Any, ...]


def copied(connection: Connection, table: str, columns: str, rows: Sequence[Row]) -> bool:
    """Copy rows into a table, all or none; False when a key was there already.

    Raises:
        DBAPIError: the database refuses a row for another reason, or does not answer.
    """
    statement = f"COPY {table} ({columns}) FROM STDIN"
    try:
        with connection.begin_nested():
            _copy(connection, statement, rows)
    except UniqueViolation:
        return False
    except psycopg.Error as error:
        raise _told(connection, statement, error) from error
    return True


def merged(
    connection: Connection, table: str, columns: str, rows: Sequence[Row], statement: str
) -> list[Row]:
    """Copy rows aside and run a statement that takes them from `staged`; gives what it returns.

    Raises:
        DBAPIError: as `copied`.
    """
    aside = f"staged_{table}_{crc32(columns.encode()):08x}"
    made = statement.replace(" staged", f" {aside}")
    used = connection.info.setdefault(STAGED, set())
    try:
        if aside in used:  # a second time in one transaction
            _execute(connection, f"TRUNCATE {aside}")
        else:
            used.add(aside)
            if aside not in connection.info.get(MADE, ()):
                _execute(
                    connection,
                    f"CREATE TEMPORARY TABLE IF NOT EXISTS {aside} ON COMMIT DELETE ROWS "
                    f"AS SELECT {columns} FROM {table} WITH NO DATA",
                )
        _copy(connection, f"COPY {aside} ({columns}) FROM STDIN", rows)
        return _execute(connection, made)
    except psycopg.Error as error:
        raise _told(connection, made, error) from error


def committed(connection: Connection) -> None:
    """Remember, after a commit, which temporary tables are there from now on."""
    if used := connection.info.pop(STAGED, None):
        connection.info.setdefault(MADE, set()).update(used)


def _copy(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    with _driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _execute(connection: Connection, statement: str) -> list[Row]:
    """Planned anew each time: a plan for a small table would be kept while the table grows."""
    with _driver(connection).cursor() as cursor:
        cursor.execute(statement, prepare=False)
        return list(cursor.fetchall()) if cursor.description else []


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _told(connection: Connection, statement: str, error: psycopg.Error) -> BaseException:
    """As SQLAlchemy tells the errors of its own statements."""
    return DBAPIError.instance(
        statement, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
    )
