"""The audit trail: every write is in it, its chains stay whole, and it can be checked anywhere."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import methodcaller
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from tests import tampering
from tests.audited import HOSTILE, accept, live, work
from tests.servers import environment, start, tocsin

from tocsin.app import Store, open_store
from tocsin.audit_chain import REGISTER, AuditRow, Head
from tocsin.cli.audit import check_file
from tocsin.errors import NotFoundError
from tocsin.model import KeyScope
from tocsin.pipeline import FIRST
from tocsin.ports import Failure
from tocsin.settings import Settings
from tocsin.store import audit, migrate
from tocsin.store.audit_check import Report, places
from tocsin.store.audit_trail import AuditStore
from tocsin.store.database import Database
from tocsin.store.tables import audit_heads, audit_logs, metadata

JSON = {"Content-Type": "application/json"}
TWO = [audit.Entry("test", "a.change", "it", {}), audit.Entry("test", "a.change", "it", {"n": 1})]


def trail(store: Store, key: str = "") -> AuditStore:
    return AuditStore(store.database, key)


async def test_the_database_itself_refuses_changes_of_the_trail(settings: Settings) -> None:
    async with open_store(settings) as store:
        await store.accounts.create_key("one", [KeyScope.READ])
        for change in (
            sa.update(audit_logs).values(actor="nobody"),
            sa.delete(audit_logs).where(audit_logs.c.sequence == 1),
        ):
            with pytest.raises(Exception, match="append-only"):
                await store.database.write(methodcaller("execute", change))
        assert (await trail(store).verify()).intact


async def test_every_batch_and_every_change_is_recorded_with_its_count(settings: Settings) -> None:
    once = settings.model_copy(update={"max_attempts": 1})
    async with open_store(once) as store:
        ids = await work(store, once, alerts=30)
        await work(store, once, alerts=30)  # the same again
        (answer,) = await accept(store, once, ["poison"])
        parked = answer.alert_id
        await store.dossiers.claim(FIRST.name, [parked], 60)
        failure = Failure(parked, FIRST.name, "{} 100%")
        await store.dossiers.fail(FIRST.name, [failure], max_attempts=1, pause=1)
        key, secret = await store.accounts.create_key("one", [KeyScope.READ], actor="an admin")
        with pytest.raises(NotFoundError):
            await store.accounts.revoke_key("no such key")
        counts = await store.balance.counts()
        rows = await trail(store).newest(100)
        assert await trail(store).newest(100, key.key_id) == [
            row for row in rows if row.action == "key.created"
        ]
        assert (await trail(store).verify()).intact
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.action] = totals.get(row.action, 0) + json.loads(row.detail).get("count", 1)
    assert totals == {
        "chain.begun": len({row.writer for row in rows}) - 1, "database.upgraded": 1,
        "alerts.accepted": counts.received, "alerts.saved": counts.triaged,
        "alerts.failed": counts.parked, "alerts.parked": counts.parked, "key.created": 1,
    }  # fmt: skip
    assert (counts.received, counts.triaged, counts.parked) == (31, 30, 1)
    saved = next(row for row in rows if row.action == "alerts.saved")
    assert json.loads(saved.detail)["digest"] == audit.batch("", "", ids).detail["digest"]
    assert secret not in str(rows)


async def test_who_and_what_is_recorded_whatever_their_names_hold(settings: Settings) -> None:
    async with open_store(settings) as store:
        key, _ = await store.accounts.create_key("one", [KeyScope.READ], actor=HOSTILE)
        await store.indicators.remove_source("nothing of it")
        (row, *_) = await trail(store).newest(1)
        assert (row.action, row.subject) == ("key.created", key.key_id)
        assert row.actor.startswith("{} {0} %s\n\\0\\udcff")
        assert (await trail(store).verify()).intact


async def test_a_transaction_that_is_rolled_back_leaves_the_chain_whole(settings: Settings) -> None:
    database = Database(settings.database_url, writers=1)
    await migrate.upgrade(database)

    def change(connection: Connection, number: int, fails: bool) -> None:
        audit.record(connection, audit.Entry("test", "a.change", str(number), {}))
        if fails:
            raise LookupError

    chance = random.Random(3)
    kept = 0
    for number in range(40):
        fails = chance.random() < 0.5
        kept += not fails
        with contextlib.suppress(LookupError):
            await database.write(partial(change, number=number, fails=fails))
    report = await AuditStore(database).verify()
    await database.close()
    assert report.intact
    assert report.rows == kept + 2, "the migration and the chain's beginning"


async def test_a_chain_whose_first_transaction_fails_was_never_begun(settings: Settings) -> None:
    database = Database(settings.database_url, writers=1)
    await database.write(metadata.create_all)

    def change(connection: Connection) -> None:
        audit.record(connection, audit.Entry("test", "a.change", "it", {}))
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(change)
    assert (await AuditStore(database).verify()).rows == 0
    await database.write(lambda c: audit.record(c, audit.Entry("test", "a.change", "it", {}), *TWO))
    report = await AuditStore(database).verify()
    await database.close()
    assert report.intact
    assert report.rows == 4


async def test_threads_that_write_at_once_have_chains_of_their_own(settings: Settings) -> None:
    databases = [Database(settings.database_url, writers=3) for _ in range(3)]
    await migrate.upgrade(databases[0])

    def change(connection: Connection, number: int) -> None:
        audit.record(connection, audit.Entry("test", "a.change", str(number), {}))

    await asyncio.gather(*(databases[n % 3].write(partial(change, number=n)) for n in range(300)))
    report = await AuditStore(databases[0]).verify()
    for database in databases:
        await database.close()
    assert report.intact
    chains = [chain for chain in report.chains if chain.writer != REGISTER]
    assert sum(chain.rows for chain in chains) == 301
    assert len(chains) >= 3


WRITE_FOREVER = """
import asyncio, sys
from tocsin.store import audit
from tocsin.store.database import Database

async def main(url):
    database = Database(url)
    number = 0
    while True:
        entry = audit.batch("test", "a.change", [str(number)])
        await database.write(lambda c: audit.record(c, entry))
        number += 1
        if number == 20:
            print("ready", flush=True)

asyncio.run(main(sys.argv[1]))
"""


def start_writing(settings: Settings, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", WRITE_FOREVER, settings.database_url]
    return subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE)


async def test_processes_killed_in_the_middle_leave_whole_chains(
    settings: Settings, tmp_path: Path
) -> None:
    database = Database(settings.database_url)
    await migrate.upgrade(database)
    for process in [start_writing(settings, tmp_path) for _ in range(3)]:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        process.wait()
        process.stdout.close()
        assert (await AuditStore(database).verify()).intact
    report = await AuditStore(database).verify()
    await database.close()
    assert report.intact
    assert report.rows > 60


def test_a_server_killed_under_load_leaves_a_trail_that_equals_its_tables(tmp_path: Path) -> None:
    server = start(tmp_path)
    body = json.dumps([{"title": f"alert {n}", "source_ip": "192.0.2.9"} for n in range(250)])
    for kills in range(3):
        with server.client() as client:
            sent = body.replace("alert ", f"alert {kills}-")
            answer = client.post("/api/v1/alerts", content=sent, headers=JSON)
        assert answer.status_code == 202
        server.kill()
        server = start(tmp_path)
    try:
        balance = server.settle()
    finally:
        server.kill()
    settings = Settings(data=tmp_path)
    report, rows = asyncio.run(read(settings))
    assert report.intact, report.findings
    assert balance["received"] == balance["triaged"] == 750
    for action in ("alerts.accepted", "alerts.saved"):
        counts = [json.loads(row.detail)["count"] for row in rows if row.action == action]
        assert sum(counts) == 750, action


async def read(settings: Settings) -> tuple[Report, list[AuditRow]]:
    database = Database(settings.database_url)
    try:
        found = AuditStore(database)
        return await found.verify(), await found.newest(10_000)
    finally:
        await database.close()


async def test_retention_leaves_a_trail_that_can_be_verified(settings: Settings) -> None:
    keyed = settings.model_copy(update={"audit_key": SecretStr("k")})
    await live(keyed, processes=2)
    async with open_store(keyed) as store:
        before = await trail(store, "k").verify()
        anchors: list[Head] = []
        await trail(store, "k").export(lambda p: anchors.append(p) if isinstance(p, Head) else None)
        assert await trail(store, "k").prune(datetime.now(UTC) - timedelta(days=1), "an admin") == 0
        removed = await trail(store, "k").prune(datetime.now(UTC), "an admin")
        after = await trail(store, "k").verify(anchors)
        assert removed == before.rows - 2, "all but the register, and one row for each chain"
        assert after.intact, after.findings
        assert sum(chain.pruned for chain in after.chains) == removed
        recorded = await trail(store).newest(10)
        assert sum(row.action == "audit.pruned" for row in recorded) == 2
        await work(store, keyed, alerts=2)
        assert (await trail(store, "k").verify()).intact


async def test_retention_goes_by_portions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PRUNED_AT_ONCE", 2)
    await live(settings, processes=2)
    async with open_store(settings) as store:
        before = await trail(store).verify()
        removed = await trail(store).prune(datetime.now(UTC) + timedelta(days=9), "an admin")
        after = await trail(store).verify()
        assert removed == before.rows - 2
        assert after.intact, after.findings
        details = [
            json.loads(row.detail)["count"]
            for row in await trail(store).newest(1000)
            if row.action == "audit.pruned"
        ]
        assert sum(details) == removed
        assert max(details) == 2


async def test_people_let_the_oldest_part_go(settings: Settings, tmp_path: Path) -> None:
    await live(settings.model_copy(update={"audit_key": SecretStr("k")}), processes=1)
    run = partial(tocsin, tmp_path, database=settings.database_url, audit_key="k")
    assert run("audit", "prune", "--before", "2026-01-01").stdout == b"nothing is that old\n"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    done = run("audit", "prune", "--before", tomorrow)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b" rows removed\n")
    assert run("audit", "verify").returncode == 0
    _, rows = await read(settings)
    assert {row.actor for row in rows if row.action == "audit.pruned"} == {"cli"}
    refused = run("audit", "prune", "--before", "soon")
    assert refused.returncode == 2
    assert b"Traceback" not in refused.stderr


async def test_a_key_protects_what_was_written_before_it_was_set(settings: Settings) -> None:
    await live(settings, processes=1)
    await live(settings.model_copy(update={"audit_key": SecretStr("new, old")}), processes=1)
    database = Database(settings.database_url)
    report = await AuditStore(database, "new").verify()
    assert report.intact, report.findings
    assert 0 < report.unkeyed < report.rows
    assert (await AuditStore(database, "newer,new").verify()).intact
    for keys in ("", "wrong"):
        assert not (await AuditStore(database, keys).verify()).intact
    await database.close()


async def test_an_export_is_verified_offline_and_anchors_what_follows(
    settings: Settings, tmp_path: Path
) -> None:
    await live(settings, processes=2)
    run = partial(tocsin, tmp_path, database=settings.database_url)
    export = tmp_path / "trail.ndjson"
    assert run("audit", "export", "--output", export).returncode == 0
    done = tocsin(tmp_path, "audit", "verify", "--file", export)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[-1].startswith(b"intact: ")
    lines = export.read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"row"' in line)
    for changed, word in (
        (lines[:-1], "cut off: "),
        ([*lines[: first + 2], *lines[first + 3 :]], "removed: "),
        ([*lines, lines[-1]], "inserted: "),
        ([*lines[:-2], lines[-1], lines[-2]], "re-ordered: "),
        ([*lines[:-1], lines[-1].replace(b'"actor":"', b'"actor":"x')], "edited: "),
        ([*lines[:-1], lines[-1].replace(b"{", b"")], "edited: line "),
        ([*lines[1:]], "removed: "),
    ):
        export.write_bytes(b"".join(changed))
        found = list(places(check_file(export, "", []).findings))
        assert any(line.startswith(word) for line in found), (word, found)
    done = tocsin(tmp_path, "audit", "verify", "--file", export)
    assert done.returncode == 1
    assert b"TAMPERED WITH" in done.stdout
    export.write_bytes(b"".join(lines))
    await live(settings, processes=1)
    done = run("audit", "verify", "--anchor", export)
    assert done.returncode == 0, done.stdout
    await _start_over(settings)
    assert (await read(settings))[0].intact, "nothing in it says that it is not the first"
    done = run("audit", "verify", "--anchor", export)
    assert done.returncode == 1
    assert b"cut off: " in done.stdout


async def _start_over(settings: Settings) -> None:
    """What who owns the database, and nothing else, can do: another trail from the beginning."""
    database = Database(settings.database_url)

    def change(connection: Connection) -> None:
        tampering.drop_triggers(connection)
        connection.execute(sa.delete(audit_logs))
        connection.execute(sa.delete(audit_heads))

    await database.write(change)
    await database.close()
    await live(settings, processes=1)


async def test_the_command_lists_what_was_recorded_last(settings: Settings, tmp_path: Path) -> None:
    run = partial(tocsin, tmp_path, database=settings.database_url)
    done = run("audit", "verify")
    assert done.returncode == 2, "there is nothing to verify"
    assert b"tocsin db upgrade" in done.stderr
    await live(settings, processes=1)
    listed = run("audit", "list", "--limit", "3")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == 4
    assert b"records.imported" in listed.stdout
    assert len(run("audit", "list", "--subject", "assets").stdout.splitlines()) == 2
    assert b"\x1b" not in run("audit", "list").stdout
