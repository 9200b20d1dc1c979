"""Bringing a database to this version's tables, in order and once."""

import asyncio
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from tocsin import __version__, logs
from tocsin.store import audit
from tocsin.store.database import Database

log = logs.get("database")

LOCK = 0x70C5_1A  # any number that nobody else uses
TURN_SECONDS = 0.1  # between two looks whether another process has done


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "tocsin.store:migrations")
    return config


async def upgrade(database: Database, target: str = "head") -> tuple[str | None, str | None]:
    """Run what is missing; gives the revisions before and after.

    Processes that start together take turns. Waiting has no end but can be cancelled, and a
    migration may take as long as it needs: an index on millions of rows does.

    Raises:
        StoreUnavailable: the database does not answer.
    """

    def change(connection: Connection) -> tuple[str | None, str | None] | None:
        if connection.dialect.name == "postgresql":
            lock = f"SELECT pg_try_advisory_xact_lock({LOCK})"
            if not connection.exec_driver_sql(lock).scalar():
                return None
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        before = _revision(connection)
        if before != newest() or target != "head":
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, target)
        after = _revision(connection)
        if before != after:
            changed = {"before": before, "after": after, "version": __version__}
            audit.record(connection, audit.Entry("migrate", "database.upgraded", "schema", changed))
        return before, after

    said = False
    while (revisions := await database.write(change)) is None:
        if not said:
            log.info("database.migration_awaited")  # another process is at it
            said = True
        await asyncio.sleep(TURN_SECONDS)
    return revisions


async def current(database: Database) -> str | None:
    """The database's revision; None for an empty one."""
    return await database.read(_revision)


def newest() -> str | None:
    """The revision of this version of Tocsin."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _revision(connection: Connection) -> str | None:
    context: Any = MigrationContext.configure(connection)
    revision: str | None = context.get_current_revision()
    return revision
