"""A number that grows with every change of a table, by which readers see that theirs is old."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.bulk import BulkInsert

_ID = 1  # of the one row


class ChangeCount:
    """The one row of a table of state.

    Args:
        state: a table with the columns `id` and `version`.
    """

    def __init__(self, state: sa.Table) -> None:
        self._read = sa.select(state.c.version).where(state.c.id == _ID)
        self._raise = BulkInsert(
            state,
            ("id", "version"),
            key=("id",),
            update={"version": f"{state.name}.version + 1"},
        )

    def read(self, connection: Connection) -> int:
        """The number; 0 before the first change."""
        return int(connection.execute(self._read).scalar() or 0)

    def count(self, connection: Connection) -> None:
        """Count a change, in its transaction."""
        self._raise(connection, [(_ID, 1)])
