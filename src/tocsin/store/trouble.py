"""What a driver's error means: wait, try again at once, or this statement will never do.

An alert is blamed only for what its own rows can cause. Everything else (no room, no server, no
rights, a replica that only reads) is the database's state, which somebody will mend while the
alerts wait.
"""

import sqlite3
from enum import Enum
from typing import Any

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from tocsin.errors import SettingsError, StoreUnavailable, TocsinError

FULL_SECONDS = 10.0  # room is not made in a second: senders need not ask so often


class Trouble(Enum):
    """What to do about a failed transaction; the values are the label of a metric."""

    CONFLICT = "conflict"  # another transaction was in the way: try again at once
    FULL = "full"  # there is no room: wait until there is
    AWAY = "unavailable"  # the database does not answer, or cannot work now: wait
    REFUSED = "refused"  # the statement or its values are at fault: waiting does not help
    UNUSABLE = "unusable"  # the file is no database


# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES = {
    "40001": Trouble.CONFLICT,  # serialization_failure
    "40P01": Trouble.CONFLICT,  # deadlock_detected
    "53100": Trouble.FULL,  # disk_full
    "25006": Trouble.AWAY,  # read_only_sql_transaction: a standby that has not taken over yet
    "42501": Trouble.AWAY,  # insufficient_privilege
    "42P01": Trouble.AWAY,  # undefined_table: not migrated, or half restored
}
# By class, the first two characters: these are about values, whatever the driver calls them.
_CLASSES = {"22": Trouble.REFUSED, "23": Trouble.REFUSED, "54": Trouble.REFUSED}

# By primary result code: https://www.sqlite.org/rescode.html
_CODES = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_CORRUPT: Trouble.UNUSABLE,
    sqlite3.SQLITE_NOTADB: Trouble.UNUSABLE,
}


def trouble_of(error: DBAPIError) -> Trouble:
    """What a failed transaction ran into."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        known = _STATES.get(state) or _CLASSES.get(state[:2])
        if known is not None:
            return known
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _CODES:
        return _CODES[code & 0xFF]
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return Trouble.AWAY
    return Trouble.UNUSABLE if type(error) is DatabaseError else Trouble.REFUSED


def raised_for(trouble: Trouble, error: DBAPIError) -> TocsinError | None:
    """The error of ours that says the same; None when the driver's own says it best."""
    cause: Any = error.orig
    if trouble is Trouble.FULL:
        return StoreUnavailable("the database has no room", FULL_SECONDS, cause=cause)
    if trouble is Trouble.CONFLICT:
        return StoreUnavailable("other transactions were in the way", cause=cause)
    if trouble is Trouble.AWAY:
        return StoreUnavailable("the database does not answer", cause=cause)
    if trouble is Trouble.UNUSABLE:
        return SettingsError(f"TOCSIN_DATABASE cannot be used: {cause}")
    return None
