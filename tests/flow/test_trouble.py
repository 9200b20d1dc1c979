"""What real drivers raise, and what the store makes of it."""

import asyncio
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from tocsin import metrics
from tocsin.app import Store, connections_of, open_database, open_store
from tocsin.errors import StoreUnavailable
from tocsin.settings import Settings
from tocsin.store import migrate
from tocsin.store.database import Database
from tocsin.store.rows import ioc_key
from tocsin.store.trouble import Trouble, trouble_of


def failures(reason: str) -> float:
    return metrics.DATABASE_FAILURES.labels("write", reason)._value.get()  # type: ignore[no-any-return]  # a float


def statement(sql: str) -> Callable[[Connection], object]:
    return lambda connection: connection.exec_driver_sql(sql).rowcount


postgresql = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@postgresql
async def test_two_transactions_that_wait_for_each_other_both_come_through(
    store: Store,
) -> None:
    database = store.database
    rows = "INSERT INTO pipeline_counts VALUES ('a', 'x', 0), ('b', 'x', 0)"
    await database.write(statement(rows))
    both_hold_one = threading.Barrier(2)
    before = failures("conflict")

    def crossing(first: str, second: str) -> Callable[[Connection], object]:
        tries = 0

        def change(connection: Connection) -> None:
            nonlocal tries
            tries += 1
            for name in (first, second):
                connection.exec_driver_sql(
                    "UPDATE pipeline_counts SET count = count + 1 WHERE writer = %s", (name,)
                )
                if tries == 1 and name == first:
                    both_hold_one.wait(10)

        return change

    await asyncio.gather(database.write(crossing("a", "b")), database.write(crossing("b", "a")))
    assert failures("conflict") == before + 1, "PostgreSQL ended one of the two"
    counts = await database.read(
        lambda c: c.exec_driver_sql("SELECT count FROM pipeline_counts").scalars().all()
    )
    assert counts == [2, 2]


@postgresql
async def test_a_transaction_that_always_conflicts_ends_as_unavailable(
    store: Store,
) -> None:
    raises = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'again {}'; END $$"
    before = failures("conflict")
    with pytest.raises(StoreUnavailable, match="in the way"):
        await store.database.write(statement(raises))
    assert failures("conflict") > before + 3


@postgresql
@pytest.mark.parametrize(
    ("state", "waits"),
    [("53100", True), ("25006", True), ("42501", True), ("57014", True), ("42P01", True),
     ("22021", False), ("23514", False), ("54000", False), ("42601", False)],
)  # fmt: skip
async def test_only_what_an_alert_can_cause_is_its_fault(
    store: Store, state: str, waits: bool
) -> None:
    raises = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'x'; END $$"
    with pytest.raises(StoreUnavailable if waits else DBAPIError):
        await store.database.write(statement(raises))


@postgresql
async def test_a_server_that_only_reads_is_waited_for(store: Store) -> None:
    def change(connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql("INSERT INTO pipeline_counts VALUES ('a', 'x', 0)")

    with pytest.raises(StoreUnavailable):
        await store.database.write(change)


@sqlite
async def test_a_full_disk_of_sqlite_is_known_and_nothing_is_half_written(store: Store) -> None:
    grow = (
        "INSERT INTO pipeline_counts WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
        "FROM n WHERE i < 50000) SELECT hex(randomblob(30)), 'x', i FROM n"
    )

    def full(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.exec_driver_sql(grow)

    before = failures("full")
    with pytest.raises(StoreUnavailable, match="database or disk is full") as raised:
        await store.database.write(full)
    assert raised.value.retry_after == 10
    assert failures("full") == before + 1
    await store.database.write(statement("PRAGMA max_page_count = 1073741823"))
    await store.database.write(statement(grow))
    count = await store.database.read(
        lambda c: c.exec_driver_sql("SELECT count(*) FROM pipeline_counts").scalar_one()
    )
    assert count == 50_000


@sqlite
async def test_a_file_that_is_no_database_is_said_so(settings: Settings) -> None:
    (settings.data / "tocsin.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(Exception, match="not a database"):
        async with open_store(settings):
            pass


def test_a_key_of_an_indicator_fits_an_index_whatever_its_letters() -> None:
    url = "https://example.com/" + "𝕏" * 5000
    key = ioc_key(url)
    assert len(key.encode()) <= 1024
    assert key != ioc_key(url + "y")
    assert ioc_key("a" * 1024) == "a" * 1024
    assert len(ioc_key("a" * 1025)) <= 1024


def test_errors_without_a_code_count_as_a_database_that_is_away() -> None:
    lost = sa.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection"))
    assert trouble_of(lost) is Trouble.AWAY


@postgresql
async def test_a_statement_that_takes_too_long_is_cancelled_and_the_connection_goes_on(
    settings: Settings,
) -> None:
    hasty = settings.model_copy(update={"database_timeout": 0.3})
    async with open_store(hasty) as store:
        before = failures("unavailable")
        for ask in (store.database.read, store.database.write):
            with pytest.raises(StoreUnavailable, match="statement timeout"):
                await ask(lambda c: c.exec_driver_sql("SELECT pg_sleep(20)").scalar())
            assert await ask(lambda c: c.exec_driver_sql("SELECT 1").scalar()) == 1
        assert failures("unavailable") == before + 1
        still = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
            "AND strpos(query, 'pg_sleep(20)') > 0 AND pid <> pg_backend_pid()"
        )
        assert await store.database.read(lambda c: c.exec_driver_sql(still).scalar()) == 0


@pytest.mark.parametrize(
    "held_up",
    [
        f"SELECT pg_advisory_xact_lock({migrate.LOCK})",  # by another process that migrates
        "LOCK TABLE incident_alerts IN ROW EXCLUSIVE MODE",  # by who writes what gets an index
    ],
)
@postgresql
async def test_a_migration_may_take_longer_than_any_statement(
    settings: Settings, held_up: str
) -> None:
    hasty = settings.model_copy(update={"database_timeout": 0.3})
    patient = Database(settings.database_url)
    await migrate.upgrade(patient, "0009")

    def hold(connection: Connection) -> None:
        connection.exec_driver_sql(held_up)
        held.set()
        assert release.wait(20)

    held, release = threading.Event(), threading.Event()
    holding = asyncio.create_task(patient.write(hold))
    await asyncio.to_thread(held.wait, 20)
    database = open_database(hasty)
    upgrading = asyncio.create_task(migrate.upgrade(database))
    await asyncio.sleep(1)  # three times as long as a statement may take
    assert not upgrading.done()
    release.set()
    await holding
    assert await upgrading == ("0009", migrate.newest())
    timeout = await database.read(lambda c: c.exec_driver_sql("SHOW statement_timeout").scalar())
    assert timeout == "300ms", "only while it migrates"
    await database.close()
    await patient.close()


@pytest.mark.parametrize(
    ("role", "readers", "writers"),
    [
        ({"steps": True, "people": False, "workers": 2}, 2, 2),
        ({"steps": True, "people": False, "workers": 8}, 8, 8),
        ({"steps": False, "people": True, "workers": 8}, 4, 2),
        ({"steps": True, "people": True, "workers": 3}, 5, 3),
    ],
)
@postgresql
async def test_connections_are_as_many_as_the_role_needs(
    settings: Settings, role: dict[str, int], readers: int, writers: int
) -> None:
    wanted = settings.model_copy(update={"workers": role.pop("workers")})
    sizes = connections_of(wanted, **role)
    assert sizes == {"readers": readers, "writers": writers}
    async with open_store(wanted, **sizes) as store:

        def count(connection: Connection) -> int:
            connection.exec_driver_sql("SELECT pg_sleep(0.5)")
            ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return int(connection.exec_driver_sql(ours).scalar() or 0)

        asked = [store.database.read(count) for _ in range(20)]
        asked += [store.database.write(count) for _ in range(20)]
        assert max(await asyncio.gather(*asked)) == readers + writers


@sqlite
async def test_sqlite_has_no_more_connections_for_any_role(settings: Settings) -> None:
    many = settings.model_copy(update={"workers": 8})
    assert connections_of(many, steps=True, people=True) == {"readers": 2, "writers": 2}
