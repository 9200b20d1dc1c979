"""The time of leases and pauses: one clock for all workers, which nobody can set.

A worker's own clock may be wrong, or be put right by an hour while it works. So on PostgreSQL the
database's clock counts, asked every few seconds and carried on by the monotonic clock in between;
on SQLite, which has one process, the time at the start counts and is carried on likewise.
"""

import time

from sqlalchemy.engine import Connection

ASK_SECONDS = 5.0
LONGEST_WAIT = 900.0
"""Seconds: no lease and no pause is longer. What lies further ahead was written before the clock
that counts was put back, and waits for nothing."""

_SERVER_TIME = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"


class WorkClock:
    """Seconds since 1970; steady between two looks at the database's clock."""

    def __init__(self) -> None:
        self._ahead = 0.0  # of the monotonic clock
        self._ask_at = float("-inf")

    def now(self, connection: Connection) -> float:
        """The time, within the caller's transaction."""
        steady = time.monotonic()
        if steady >= self._ask_at:
            if connection.dialect.name == "sqlite":
                self._ahead, self._ask_at = time.time() - steady, float("inf")
            else:
                told = float(connection.exec_driver_sql(_SERVER_TIME).scalar_one())
                self._ahead = told - time.monotonic()
                self._ask_at = steady + ASK_SECONDS
        return steady + self._ahead


def ahead(now: float) -> tuple[float, float]:
    """A lease or a pause that ends between these still counts; one beyond them never did."""
    return now, now + LONGEST_WAIT
