"""The database as two verbs: `read` and `write`, each running one function in one transaction.

The functions are ordinary, synchronous SQLAlchemy Core code and run on threads of their own, so
that the event loop never waits for a disk. On SQLite there is one writing thread with one
connection (SQLite has one writer anyway, and queueing here is cheaper than its busy handler); on
PostgreSQL both sides have a small pool.

SQLite lets go of the interpreter's lock at every step of a statement. Beside a busy event loop,
a statement per row then waits for the lock once per row. So a statement takes many rows, and the
switch interval is shorter than Python's default.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from psycopg.types.string import TextLoader
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from tocsin import logs, metrics
from tocsin.errors import SettingsError, StoreUnavailable, TocsinError
from tocsin.store.bulk import WRITTEN
from tocsin.store.copying import STAGED, committed
from tocsin.store.trouble import Trouble, raised_for, trouble_of

T = TypeVar("T")

SWITCH_INTERVAL = 0.0005
SQLITE_BUSY_SECONDS = 5.0
SQLITE_CACHE_KIB = {"write": 32 * 1024, "read": 4 * 1024}
SQLITE_PAGE_BYTES = 8192  # rows are several KB: fewer overflow pages than with 4096
SQLITE_WAL_PAGES = 8000
CONFLICT_TRIES = 6  # of a transaction that others were in the way of, before its caller waits
CONFLICT_PAUSE = 0.01  # seconds, on average, before the second try; doubles each time
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"  # as SQLite reads
PROGRESS = (  # of the pipeline, on PostgreSQL: it always goes by keys, whatever the statistics say
    "SELECT set_config('synchronous_commit', 'off', true), "
    "set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
)
FAST_COMPRESSION = (  # a tenth of the server's time per alert went into the slow one
    "SELECT set_config('default_toast_compression', 'lz4', false) FROM pg_settings "
    "WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
)
COMPLAINT_SECONDS = 10.0  # between two log lines about a database that does not work
COMPLAINT_LIMIT = 500
AUDIT_KEY = "audit_key"
"""The execution option of writing connections that holds the setting `audit_key`."""

log = logs.get("database")


class Database:
    """One database, reached by URL; closes its threads and connections with `close`.

    Args:
        url: as in the setting `database`.
        readers: reading transactions at once, each on a thread and a connection of its own.
        writers: writing transactions at once; on SQLite there is one.
        audit_key: the setting `audit_key`.
        timeout: seconds after which PostgreSQL cancels a statement; 0 is never.
    """

    def __init__(
        self,
        url: str,
        *,
        readers: int = 2,
        writers: int = 2,
        audit_key: str = "",
        timeout: float = 60.0,
    ) -> None:
        self.url = _driver_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        writers = 1 if self.sqlite else writers
        self._write_engine = _engine(self.url, "write", writers, timeout)
        self._write_engine.update_execution_options(**{AUDIT_KEY: audit_key})
        self._read_engine = _engine(self.url, "read", readers, timeout)
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._complained_at = -COMPLAINT_SECONDS
        self._file: tuple[int, int] | None = None  # device and inode of the open SQLite file
        if self.sqlite:
            sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a read-only transaction on a reading thread.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._run("read", self._readers, self._read, query)

    async def write(self, change: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run a change in one transaction on a writing thread; it is committed on return.

        Args:
            change: gets the connection; whatever it raises rolls everything back.
            durable: whether the commit must survive a power cut. The pipeline's own progress need
                not (SQLite would sync the disk once more for it): it would be worked out again
                from what `durable` commits hold.

        Raises:
            StoreUnavailable: the database does not answer; nothing was changed.
        """
        return await self._run("write", self._writers, self._write, change, durable)

    async def check_writable(self) -> None:
        """Ask whether a write could begin now; changes nothing.

        Raises:
            StoreUnavailable: it could not: the file is gone, or somebody else holds the lock.
        """
        if self.sqlite:
            await self.write(lambda _: None, durable=False)

    async def close(self) -> None:
        """Wait for the transactions under way, then let everything go."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        self._write_engine.dispose()
        self._read_engine.dispose()

    async def _run(
        self, use: str, pool: ThreadPoolExecutor, run: Callable[..., T], *arguments: Any
    ) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool, _persistent, use, run, *arguments)
        except DBAPIError as error:
            told = raised_for(trouble_of(error), error)
            if told is None:
                raise
            self._complain(str(told))
            raise told from error
        except StoreUnavailable as error:  # the file is gone
            self._complain(str(error))
            raise
        except StatementError as error:  # a value that its column's type could not bind
            if isinstance(error.orig, TocsinError):
                raise error.orig from error
            raise

    def _complain(self, error: str) -> None:
        """Log what is wrong now and then: callers hear no more than that something is."""
        if time.monotonic() >= self._complained_at + COMPLAINT_SECONDS:
            self._complained_at = time.monotonic()
            log.warning("database.failed", error=error[:COMPLAINT_LIMIT])

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._read_engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN" if self.sqlite else SNAPSHOT)
            return query(connection)

    def _check_file(self) -> None:
        """A file that was removed or replaced takes writes that nobody will ever read."""
        path = Path(str(self.url.database))
        try:
            found = path.stat()
        except OSError as error:
            if self._file is None:
                return  # the first connection creates it
            raise StoreUnavailable("the database file is gone", cause=path) from error
        if self._file is None:
            self._file = (found.st_dev, found.st_ino)
        elif self._file != (found.st_dev, found.st_ino):
            raise StoreUnavailable("the database file was replaced; start again", cause=path)

    def _write(self, change: Callable[[Connection], T], durable: bool) -> T:
        with self._write_engine.connect() as connection:
            if self.sqlite:
                self._check_file()
                _set_sqlite_sync(connection, durable)
            for noted in (WRITTEN, STAGED):
                connection.info.pop(noted, None)
            with connection.begin():
                if self.sqlite:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                elif not durable:
                    connection.exec_driver_sql(PROGRESS)
                result = change(connection)
            committed(connection)
            for table, rows in connection.info.pop(WRITTEN, {}).items():
                metrics.PERSISTED.labels(table, "written").inc(rows)
            return result


def _persistent(use: str, run: Callable[..., T], *arguments: Any) -> T:
    """Run a transaction on its thread, again if only another one was in its way.

    Such a failure says nothing about the transaction: what it reads and writes is worked out
    anew each time.
    """
    for tries in range(1, CONFLICT_TRIES):
        try:
            return _timed(use, run, *arguments)
        except DBAPIError as error:
            if trouble_of(error) is not Trouble.CONFLICT:
                raise
        time.sleep(CONFLICT_PAUSE * 2**tries * random.random())  # noqa: S311  # apart, not secret
    return _timed(use, run, *arguments)


def _timed(use: str, run: Callable[..., T], *arguments: Any) -> T:
    """Run a transaction once, and count how long it took and why it failed."""
    started = time.perf_counter()
    try:
        with metrics.spent(use):
            return run(*arguments)
    except SQLAlchemyError as error:
        trouble = trouble_of(error) if isinstance(error, DBAPIError) else Trouble.REFUSED
        metrics.DATABASE_FAILURES.labels(use, trouble.value).inc()
        raise
    finally:
        metrics.TRANSACTION_SECONDS.labels(use).observe(time.perf_counter() - started)


def _driver_url(url: str) -> sa.URL:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise SettingsError(f"TOCSIN_DATABASE is not a database URL: {error}") from error
    except ValueError as error:  # not told: it may quote a piece of the password
        raise SettingsError("TOCSIN_DATABASE is not a database URL: its port is none") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise SettingsError("TOCSIN_DATABASE must name a file: sqlite:///PATH")
        try:
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot create the database's folder: {error}") from error
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        try:
            make_conninfo(**dict.fromkeys(parsed.query, ""))
        except psycopg.ProgrammingError as error:
            raise SettingsError(f"TOCSIN_DATABASE: {str(error).strip()}") from error
        return parsed.set(drivername="postgresql+psycopg")
    raise SettingsError(f"TOCSIN_DATABASE must be sqlite:///… or postgresql://…, not {backend}://…")


def _engine(url: sa.URL, use: str, connections: int, timeout: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url,
            connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False},
            poolclass=StaticPool if connections == 1 else QueuePool,
            hide_parameters=True,  # they hold what attackers and people wrote
        )
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, SQLITE_CACHE_KIB[use]))
        return engine
    engine = sa.create_engine(
        url,
        poolclass=QueuePool if connections else NullPool,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 10,
            "options": f"-c statement_timeout={round(timeout * 1000)} -c timezone=UTC",
        },
    )
    sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _: Any) -> None:
    connection.adapters.register_loader("json", TextLoader)  # rows.py reads it, with types
    connection.execute(FAST_COMPRESSION)
    connection.commit()


def _prepare_sqlite(cache_kib: int, connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where this module says so
    for pragma in (
        f"page_size = {SQLITE_PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"cache_size = -{cache_kib}",
        f"wal_autocheckpoint = {SQLITE_WAL_PAGES}",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _set_sqlite_sync(connection: Connection, durable: bool) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}").close()


def upsert(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    update: Sequence[str],
) -> None:
    """Insert rows or, where the natural key exists, update the named columns.

    For people's changes and imports; the pipeline's hot writes go through `bulk.py`.
    """
    if not rows:
        return
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=list(key), set_={name: insert.excluded[name] for name in update}
    )
    connection.execute(statement, list(rows))
