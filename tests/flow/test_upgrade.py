"""A database that holds alerts comes through every migration, up and down, with all it holds.

`rows_at_0001.json` has the rows that Tocsin wrote when revision 0001 was the newest: samples that
went through the pipeline, an inventory, indicators, a parked alert, a decision, an incident.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from tests.servers import tocsin

from tocsin.app import open_store
from tocsin.model import AlertStatus
from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.database import Database
from tocsin.store.queries import AlertFilter
from tocsin.store.tables import metadata

STORED: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("rows_at_0001.json").read_text()
)
REVISIONS = [s.revision for s in ScriptDirectory.from_config(migrate._config()).walk_revisions()]
UPWARD = REVISIONS[::-1]

Content = dict[str, list[tuple[str, ...]]]


@pytest.fixture
async def populated(settings: Settings) -> AsyncIterator[Database]:
    """A database of revision 0001 with rows in every table."""
    database = Database(settings.database_url)
    await migrate.upgrade(database, UPWARD[0])
    await database.write(insert)
    yield database
    await database.close()


def insert(connection: Connection) -> None:
    for table, rows in STORED.items():
        for row in rows:
            values = {name: plain(value) for name, value in row.items()}
            if connection.dialect.name == "postgresql":
                booleans = BOOLEANS & values.keys()
                values |= {n: None if values[n] is None else bool(values[n]) for n in booleans}
            marks = ", ".join(f":{name}" for name in values)
            statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
            connection.execute(sa.text(statement), values)


BOOLEANS = {"exposed", "privileged", "enabled", "requires_human_review"}


def plain(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def content(connection: Connection) -> Content:
    """The columns of 0001 as the database gives them, audit rows of the migrations left out."""
    return {
        table: sorted(
            tuple(repr(row[name]) for name in sorted(rows[0]))
            for row in connection.execute(
                sa.text(f"SELECT {', '.join(rows[0])} FROM {table}")
            ).mappings()
        )
        for table, rows in STORED.items()
    }


async def step_down(database: Database, target: str) -> None:
    def change(connection: Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, target)

    await database.write(change)


async def test_every_step_up_and_down_keeps_every_row(populated: Database) -> None:
    before = await populated.read(content)
    assert sum(map(len, before.values())) == sum(map(len, STORED.values()))
    for revision in UPWARD[1:]:
        assert (await migrate.upgrade(populated, revision))[1] == revision
        assert await populated.read(content) == before, f"after {revision}"
    for revision in REVISIONS[1:]:
        await step_down(populated, revision)
        assert await migrate.current(populated) == revision
        assert await populated.read(content) == before, f"back at {revision}"
    await migrate.upgrade(populated)
    assert await populated.read(content) == before


async def test_an_upgraded_database_has_the_tables_of_a_new_one(populated: Database) -> None:
    await migrate.upgrade(populated)

    def shape(connection: Connection) -> tuple[dict[str, set[str]], set[str]]:
        inspect = sa.inspect(connection)
        columns = {
            table: {column["name"] for column in inspect.get_columns(table)}
            for table in inspect.get_table_names()
            if table != "alembic_version"
        }
        names = (
            "SELECT name FROM sqlite_master WHERE type = 'index'"
            if connection.dialect.name == "sqlite"
            else "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
        )
        return columns, set(connection.exec_driver_sql(names).scalars())

    columns, indexes = await populated.read(shape)
    tables = metadata.sorted_tables
    assert columns == {table.name: set(table.c.keys()) for table in tables}
    assert {str(index.name) for table in tables for index in table.indexes} <= indexes


async def test_alerts_of_before_are_listed_read_and_counted_after(
    populated: Database, settings: Settings, tmp_path: Path
) -> None:
    await populated.close()
    done = tocsin(tmp_path, "db", "upgrade", database=settings.database_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == f"database: {UPWARD[0]} -> {UPWARD[-1]}"
    again = tocsin(tmp_path, "db", "upgrade", database=settings.database_url)
    assert again.stdout.decode().strip() == f"database: {UPWARD[-1]}, nothing to do"
    doctor = tocsin(tmp_path, "doctor", database=settings.database_url)
    assert doctor.returncode == 0, doctor.stdout.decode()
    assert "6 received = 5 triaged + 0 folded + 1 parked + 0 in flight" in doctor.stdout.decode()
    for triaged in STORED["triage_results"]:
        shown = tocsin(tmp_path, "explain", triaged["alert_id"], database=settings.database_url)
        assert f"risk {triaged['risk_score']:.1f}" in shown.stdout.decode(), shown.stderr
    async with open_store(settings) as store:
        queue = await store.queries.page(AlertFilter(status=AlertStatus.TRIAGED), sort="risk_score")
        risks = sorted((row["risk_score"] for row in STORED["triage_results"]), reverse=True)
        assert [alert.risk_score for alert in queue.alerts] == risks
        assert len((await store.queries.page(AlertFilter())).alerts) == 6
