"""Whatever is done to the audit trail behind its back is found, and named with its place."""

import contextlib
import random
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from tests import tampering
from tests.audited import live

from tocsin.settings import Settings
from tocsin.store.audit_trail import AuditStore, examine
from tocsin.store.database import Database

KEY = "a key of {this} installation: 100%"
TAMPERINGS = 500  # for each of two trails
TAMPERINGS_POSTGRESQL = 100


async def tampered(settings: Settings, seed: int, key: str) -> None:
    """Tamper, check, and roll back; every time something must be found."""
    chance = random.Random(seed)
    attacks = tampering.TAMPERINGS + (tampering.WITHOUT_THE_KEY * 2 if key else ())
    database = Database(settings.database_url, audit_key=key)
    missed: list[str] = []

    def attempt(connection: Connection) -> None:
        tampering.drop_triggers(connection)
        attack = chance.choice(attacks)
        done = attack(chance, connection)
        if examine(connection, key).intact:
            missed.append(f"{attack.__name__}: {done}")
        raise LookupError

    for _ in range(TAMPERINGS if database.sqlite else TAMPERINGS_POSTGRESQL):
        with contextlib.suppress(LookupError):
            await database.write(attempt)
    report = await AuditStore(database, key).verify()
    await database.close()
    assert report.intact, report.findings[:3]
    assert not missed


@pytest.mark.parametrize("key", ["", KEY], ids=["without a key", "with a key"])
async def test_of_a_thousand_random_tamperings_each_is_found(settings: Settings, key: str) -> None:
    settings = settings.model_copy(update={"audit_key": SecretStr(key)})
    await live(settings)
    await tampered(settings, seed=20260304, key=key)


async def test_what_was_done_to_a_trail_is_named_with_its_place(settings: Settings) -> None:
    await live(settings, processes=4)
    database = Database(settings.database_url)

    def change(connection: Connection) -> list[tuple[str, int | None]]:
        tampering.drop_triggers(connection)
        counted = "SELECT writer FROM audit_logs WHERE writer <> 'register' GROUP BY writer"
        names = [row[0] for row in connection.exec_driver_sql(f"{counted} ORDER BY count(*) DESC")]
        one, two, three, four = names
        mark = "?" if database.sqlite else "%s"
        for statement, place in (
            ("UPDATE audit_logs SET actor = 'nobody' WHERE writer = ? AND sequence = 2", one),
            ("DELETE FROM audit_logs WHERE writer = ? AND sequence IN (3, 4)", two),
            ("UPDATE audit_logs SET sequence = -1 WHERE writer = ? AND sequence = 1", three),
            ("UPDATE audit_logs SET sequence = 1 WHERE writer = ? AND sequence = 2", three),
            ("UPDATE audit_logs SET sequence = 2 WHERE writer = ? AND sequence = -1", three),
            ("DELETE FROM audit_logs WHERE writer = ? AND sequence > 4", four),
        ):
            connection.exec_driver_sql(statement.replace("?", mark), (place,))
        found = examine(connection).findings
        expected = {
            ("edited", one, 2), ("removed", two, 3), ("re-ordered", three, 1),
            ("re-ordered", three, 2), ("cut off", four, 5),
        }  # fmt: skip
        assert {finding[:3] for finding in found} == expected
        raise LookupError

    with contextlib.suppress(LookupError):
        await database.write(change)
    await database.close()


async def test_values_of_other_types_and_broken_text_are_found(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)  # PostgreSQL lets neither in
    await live(settings)
    database = Database(settings.database_url)
    for value in ("CAST(x'ff00fe' AS TEXT)", "x'6162'", "'\udc00'", "1e300", "''"):
        for column in ("writer", "sequence", "logged_at", "actor", "detail", "hash"):
            text = value if value.isascii() else "CAST(x'edb080' AS TEXT)"
            statement = (
                f"UPDATE audit_logs SET {column} = {text} WHERE sequence = 2 AND "
                "writer = (SELECT max(writer) FROM audit_heads)"
            )

            def change(connection: Connection, statement: str = statement) -> None:
                tampering.drop_triggers(connection)
                assert connection.exec_driver_sql(statement).rowcount == 1
                assert not examine(connection).intact, statement
                raise LookupError

            with contextlib.suppress(LookupError):
                await database.write(change)
    await database.close()
