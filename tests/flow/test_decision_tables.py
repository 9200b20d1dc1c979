"""The migration to decisions and models: up, down and up again on both databases, rows kept."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import command

from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.database import Database
from tocsin.store.tables import dispositions, metadata

ROW = {
    "disposition_id": "d-1", "alert_id": "a-1", "disposition": "false_positive",
    "reason": "{}%s\n", "actor": "key:1", "decided_at": datetime(2026, 3, 1, tzinfo=UTC),
}  # fmt: skip


def downgraded(connection: sa.Connection) -> None:
    config = migrate._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0002")


async def test_decisions_survive_the_migration_there_and_back(settings: Settings) -> None:
    database = Database(settings.database_url)
    try:
        await migrate.upgrade(database, "0002")
        names = [sa.column(name) for name in ROW]
        old = sa.table("dispositions", *names)
        moment = "2026-03-01T00:00:00.000000Z" if database.sqlite else ROW["decided_at"]
        row = {**ROW, "decided_at": moment}
        await database.write(lambda c: c.execute(sa.insert(old), row).rowcount)
        await migrate.upgrade(database, "0003")
        found = await database.read(lambda c: c.execute(sa.select(dispositions)).mappings().all())
        assert [{name: each[name] for name in ROW} for each in found] == [ROW]
        await database.write(downgraded)
        kept = await database.read(lambda c: c.execute(sa.select(*names).select_from(old)).all())
        assert [row.disposition_id for row in kept] == ["d-1"]
        await migrate.upgrade(database)

        def differences(connection: sa.Connection) -> list[str]:
            seen = sa.inspect(connection)
            return [
                f"{table.name}.{column.name}"
                for table in metadata.sorted_tables
                for column in table.columns
                if column.name not in {c["name"] for c in seen.get_columns(table.name)}
            ]

        assert await database.read(differences) == []
    finally:
        await database.close()
