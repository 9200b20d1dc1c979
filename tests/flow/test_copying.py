"""Rows that are copied on PostgreSQL are the rows that statements would have written."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from tocsin.app import Store
from tocsin.model import AlertStatus
from tocsin.store import statements
from tocsin.store.bulk import BulkInsert, BulkUpdate
from tocsin.store.copying import WORTH_IT
from tocsin.store.tables import alert_context, alert_work, alerts, pipeline_counts, prevalence

FEW, MANY = WORTH_IT - 1, WORTH_IT * 3
HOSTILE = '{"a": "\\\\N \\\\. \\\\t\\t\\n {} %s %(x)s \\u00fc 𝕏 \\"quoted\\""}'
add = BulkInsert(
    prevalence,
    ("kind", "value", "day", "count"),
    key=("kind", "value", "day"),
    update={"count": "prevalence.count + excluded.count"},
)
change = BulkUpdate(alert_work, "alert_id", ("step", "error", "parked_at"))


async def rows_of(store: Store, table: sa.Table) -> list[tuple[Any, ...]]:
    def read(connection: Connection) -> list[tuple[Any, ...]]:
        return sorted((tuple(row) for row in connection.execute(table.select())), key=repr)

    return await store.database.read(read)


def contexts(count: int, data: str = HOSTILE) -> list[tuple[Any, ...]]:
    return [(f"id-{n:03}", "user", data, "tab\there \\N", 0.25) for n in range(count)]


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_hostile_text_comes_out_as_it_went_in(store: Store, count: int) -> None:
    await store.database.write(lambda c: statements.insert_context(c, contexts(count)))
    assert await rows_of(store, alert_context) == contexts(count)


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_rows_that_are_there_already_are_updated(store: Store, count: int) -> None:
    await store.database.write(lambda c: statements.insert_context(c, contexts(2, "{}")))
    await store.database.write(lambda c: statements.insert_context(c, contexts(count)))
    assert await rows_of(store, alert_context) == contexts(count)


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_counts_add_up_also_twice_in_one_transaction(store: Store, count: int) -> None:
    rows = [("ip", f"v-{n:03}", "2026-03-04", n) for n in range(count)]

    def twice(connection: Connection) -> None:
        add(connection, rows)
        add(connection, rows)

    await store.database.write(twice)
    await store.database.write(lambda c: add(c, rows))
    assert await rows_of(store, prevalence) == [(*row[:3], 3 * row[3]) for row in rows]


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_updates_change_the_rows_named_and_no_other(store: Store, count: int) -> None:
    work = [(f"id-{n:03}", "normalize", 1.5, 2.5) for n in range(count + 2)]
    await store.database.write(lambda c: statements.insert_work(c, work))
    changed = [(row[0], "context", HOSTILE, 9.75) for row in work[:count]]
    await store.database.write(lambda c: change(c, [*changed, ("nobody", "x", None, None)]))
    columns = ("alert_id", "step", "error", "parked_at")
    query = sa.select(*(alert_work.c[name] for name in columns)).order_by(alert_work.c.alert_id)
    found = await store.database.read(lambda c: [tuple(row) for row in c.execute(query)])
    assert found[:count] == changed
    assert {row[1] for row in found[count:]} == {"normalize"}
    assert len(found) == count + 2


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_what_is_new_is_told(store: Store, count: int) -> None:
    keys = [(n.to_bytes(16), f"id-{n}", n.to_bytes(16)) for n in range(count)]
    new = statements.insert_new_keys

    def tell(rows: Sequence[tuple[Any, ...]]) -> Any:
        return store.database.write(lambda c: sorted(bytes(key) for key in new(c, rows)))

    assert await tell(keys[:5]) == [key[0] for key in keys[:5]]
    assert await tell(keys) == [key[0] for key in keys[5:]]
    assert await tell(keys) == []


async def test_a_row_that_will_not_do_leaves_nothing_behind(store: Store) -> None:
    rows = [*contexts(MANY), ("bad", "no such type", "{}", "x", 0.5)]

    def refused(connection: Connection) -> None:
        statements.add_count(connection, [("w00", "received", 1)])
        statements.insert_context(connection, rows)

    with pytest.raises(DBAPIError):
        await store.database.write(refused)
    assert await rows_of(store, alert_context) == []
    assert await rows_of(store, pipeline_counts) == []


async def test_what_was_rolled_back_is_copied_again(store: Store) -> None:
    rows = [("ip", f"v-{n:03}", "2026-03-04", n) for n in range(MANY)]

    def broken(connection: Connection) -> None:
        add(connection, rows)
        raise RuntimeError("after the copy")

    for _ in range(5):  # on each of the writing connections
        with pytest.raises(RuntimeError, match="after the copy"):
            await store.database.write(broken)
    for _ in range(5):
        await store.database.write(lambda c: add(c, rows))
    assert await rows_of(store, prevalence) == [(*row[:3], 5 * row[3]) for row in rows]


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_a_verdict_leaves_a_decided_alert_as_it_is(store: Store, count: int) -> None:
    received, triaged, closed = "received", "triaged", "closed"
    ids = [f"id-{n:03}" for n in range(count)]
    stored = [(i, "2026-03-04T00:00:00.000000Z", "x", received, "{}") for i in ids]

    def write(connection: Connection) -> None:
        statements.insert_alerts(connection, stored)
        statements.set_status(connection, ids[:2], AlertStatus.CLOSED)
        ends = [(i, 5.5, closed if i == ids[2] else triaged) for i in ids]
        statements.finish_alerts(connection, ends)

    await store.database.write(write)
    columns = ("alert_id", "risk_score", "status")
    query = sa.select(*(alerts.c[name] for name in columns))
    rows = await store.database.read(lambda c: c.execute(query).all())
    found = {row[0]: (row[1], row[2]) for row in rows}
    assert found == dict.fromkeys(ids, (5.5, triaged)) | dict.fromkeys(ids[:3], (5.5, closed))
