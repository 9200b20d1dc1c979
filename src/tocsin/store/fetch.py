"""Reading many rows on the hot path.

SQLite's driver gives up the interpreter's lock for every row that it fetches, and beside a busy
event loop waits up to the switch interval to get it back: a quarter of a second for a batch. So on
SQLite a hot query answers with one row, a JSON array of all rows.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

T = TypeVar("T")

_decode = msgspec.json.Decoder(list[list[Any]]).decode


def fetch(
    connection: Connection, columns: Sequence[str], select: str, parameters: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    """All rows of a SELECT.

    Args:
        connection: of either database.
        columns: the names of the columns that `select` gives, in order; texts and whole numbers
            only, since SQLite's JSON shortens fractions and has no bytes.
        select: the statement, with the driver's parameter marks.
        parameters: its parameters.
    """
    if connection.dialect.name != "sqlite":
        return connection.exec_driver_sql(select, tuple(parameters)).all()
    return fetch_as(_decode, connection, columns, select, parameters)


def fetch_as(
    decode: Callable[[str], T],
    connection: Connection,
    columns: Sequence[str],
    select: str,
    parameters: Sequence[Any],
) -> T:
    """What a decoder makes of all rows of a SELECT on SQLite, in one pass.

    Args:
        decode: takes a JSON array of rows, each an array with a value for each of `columns`.
        connection: of an SQLite database.
        columns: as for `fetch`.
        select: as for `fetch`.
        parameters: as for `fetch`.
    """
    found = connection.exec_driver_sql(_as_json(select, tuple(columns)), tuple(parameters))
    return decode(found.scalar_one())


@lru_cache(maxsize=256)
def _as_json(select: str, columns: tuple[str, ...]) -> str:
    return f"SELECT json_group_array(json_array({', '.join(columns)})) FROM ({select})"
