"""Old alerts go, by month and status, with all that was found about them; the rest stays."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from tests.flow.test_lists import verdict
from tests.servers import tocsin

from tocsin.app import Store
from tocsin.model import AlertStatus
from tocsin.ports import EntityKey
from tocsin.settings import Settings
from tocsin.store import history, retention
from tocsin.store.tables import (
    alert_context,
    alert_keys,
    alert_work,
    alerts,
    audit_logs,
    prevalence,
    triage_results,
)

NOW = datetime.now(UTC)
OLD = (NOW - timedelta(days=200), NOW - timedelta(days=100))
STATUSES = ("triaged", "closed", "parked", "received")


def fill(connection: Connection) -> None:
    """Four alerts of each status from two old days and from today."""
    number = 0
    for moment in (*OLD, NOW):
        for status in STATUSES * 4:
            number += 1
            alert_id = f"id-{number:04}"
            row = {"alert_id": alert_id, "risk_score": 50.0}
            connection.execute(
                alerts.insert(),
                {**row, "received_at": moment, "status": status, "raw_data": "{}"},
            )
            key = number.to_bytes(16)
            connection.execute(alert_keys.insert(), {**row, "key": key, "digest": key})
            connection.execute(triage_results.insert(), verdict(row, number))
            connection.execute(
                alert_context.insert(),
                {**row, "context_type": "user", "context_data": "{}", "source": "x",
                 "confidence_score": 1.0},
            )  # fmt: skip
            if status in ("parked", "received"):
                connection.execute(
                    alert_work.insert(),
                    {**row, "step": "normalize", "since": 0.0, "rung_at": 0.0},
                )


def counts(connection: Connection) -> dict[str, int]:
    tables = (alerts, triage_results, alert_context, alert_keys, alert_work)
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in tables
    }


async def test_a_dry_run_tells_by_month_and_status_what_then_goes(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    await store.database.write(fill)
    before = await store.database.read(counts)
    command = ("db", "retention", "--older-than", "30d")
    dry = tocsin(tmp_path, *command, "--dry-run", database=settings.database_url)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.decode().splitlines() == [
        *(f"{day:%Y-%m} {status}: 4 alerts" for day in OLD for status in ("closed", "triaged")),
        "16 alerts would go; nothing was deleted",
    ]
    assert await store.database.read(counts) == before
    done = tocsin(tmp_path, *command, database=settings.database_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[-1] == "deleted 16 alerts"
    after = await store.database.read(counts)
    assert after == {
        **before,
        **{name: before[name] - 16 for name in ("alerts", "triage_results", "alert_context")},
    }
    again = tocsin(tmp_path, *command, database=settings.database_url)
    assert again.stdout.decode().strip() == "nothing is that old"


@pytest.mark.parametrize("status", ["parked", "received"])
async def test_what_waits_or_is_parked_stays_and_no_dry_run_says_otherwise(
    store: Store, settings: Settings, tmp_path: Path, status: str
) -> None:
    await store.database.write(fill)
    command = ("db", "retention", "--older-than", "30d", "--status", "triaged", "--status", status)
    for dry in ((), ("--dry-run",)):
        refused = tocsin(tmp_path, *command, *dry, database=settings.database_url)
        assert refused.returncode == 2
        assert refused.stdout == b""
        assert f"{status} alerts stay" in refused.stderr.decode()
    gone = [n async for n in store.retention.purge(NOW, [AlertStatus(status)])]
    assert sum(gone) == 0
    assert (await store.database.read(counts))["alerts"] == 48


async def test_counts_of_days_that_nothing_looks_at_go_with_old_alerts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 3)
    days = [(NOW - timedelta(days=back)).date().isoformat() for back in (0, 5, 28, 31, 90, 400)]
    rows = [(kind, value, day, 2) for kind in ("host", "user") for value in "ab{" for day in days]
    await store.database.write(lambda c: history.record(c, sorted(rows)))
    key = EntityKey("host", "a")
    before = await store.history.prevalence([key], NOW)
    assert [n async for n in store.retention.purge(NOW, list(AlertStatus))] == []
    left = await store.database.read(
        lambda c: c.execute(sa.select(prevalence.c.day)).scalars().all()
    )
    assert sorted(left) == sorted(days[:3] * 6)
    assert await store.history.prevalence([key], NOW) == before
    assert before[key].month == 6
    said = sa.select(audit_logs.c.detail).where(audit_logs.c.action == "counts.forgotten")
    told = await store.database.read(lambda c: c.execute(said).scalars().all())
    assert sum(json.loads(detail)["count"] for detail in told) == 18
