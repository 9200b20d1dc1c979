"""Bringing a database to this version's tables, in order and once."""

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from tocsin import __version__
from tocsin.store import audit
from tocsin.store.database import Database

LOCK = 0x70C5_1A  # any number that nobody else uses


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "tocsin.store:migrations")
    return config


async def upgrade(database: Database, target: str = "head") -> tuple[str | None, str | None]:
    """Run what is missing; gives the revisions before and after.

    Raises:
        StoreUnavailable: the database does not answer.
    """

    def change(connection: Connection) -> tuple[str | None, str | None]:
        if connection.dialect.name == "postgresql":  # processes that start together take turns
            # an index on millions of rows takes its time, and so does waiting for it
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
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

    return await database.write(change)


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
