"""Lists by page are what one look at everything would give, whichever index they are found by."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.app import Store
from tocsin.errors import InputError
from tocsin.model import AlertStatus, Disposition, Severity
from tocsin.store import finding
from tocsin.store.incident_pages import IncidentFilter
from tocsin.store.queries import AlertFilter, AlertSummary, _page
from tocsin.store.tables import alerts, triage_results

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
COUNT = 240
LONG = "R" * 200  # longer than what the index holds of a rule's id
FILTERS: list[dict[str, Any]] = [
    {},
    {"status": AlertStatus.TRIAGED},
    {"status": AlertStatus.PARKED},
    {"severity": Severity.CRITICAL},
    {"source": "suricata"},
    {"source": "rare", "severity": Severity.LOW},
    {"source": "nobody"},
    {"rule_id": "R-1"},
    {"rule_id": LONG + "1"},
    {"rule_id": "R-2", "status": AlertStatus.CLOSED, "severity": Severity.HIGH},
    {"since": START + timedelta(seconds=20), "until": START + timedelta(seconds=40)},
    {"status": AlertStatus.TRIAGED, "since": START + timedelta(seconds=20)},
    {"verdict": Disposition.TRUE_POSITIVE, "severity": Severity.HIGH},
    {"min_risk": 50.0, "status": AlertStatus.CLOSED},
    {"user_name": "u3", "source": "suricata"},
    {"requires_human_review": True, "rule_id": "R-1"},
]


def rows() -> list[dict[str, Any]]:
    """Alerts of every status, several with the same time of receipt and the same risk."""
    chance = random.Random(7)
    made = []
    for number in range(COUNT):
        status = chance.choice(list(AlertStatus))
        triaged = status in (AlertStatus.TRIAGED, AlertStatus.CLOSED)
        made.append(
            {
                "alert_id": f"id-{chance.randrange(10**9):09}",
                "received_at": START + timedelta(seconds=number // 4),
                "source": chance.choice(["suricata", "suricata", "wazuh", "rare", None]),
                "severity": chance.choice([*[s.value for s in Severity], None]),
                "rule_id": chance.choice(["R-1", "R-2", LONG + "1", LONG + "2", None]),
                "user_name": f"u{number % 5}",
                "status": status.value,
                "risk_score": float(chance.choice([10, 50, 50, 90])) if triaged else None,
                "raw_data": "{}",
            }
        )
    return made


def verdict(row: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "alert_id": row["alert_id"], "triaged_at": START, "risk_score": row["risk_score"],
        "verdict": list(Disposition)[number % 4].value, "probability": 0.5, "impact": 0.5,
        "risk_level": "medium", "confidence_score": 0.5, "analysis_result": "",
        "recommended_actions": "[]", "evidence": "[]", "gaps": "[]", "model_version": "m",
        "requires_human_review": number % 3 == 0,
    }  # fmt: skip


@pytest.fixture
async def filled(store: Store) -> Store:
    def fill(connection: Connection) -> None:
        made = rows()
        connection.execute(alerts.insert(), made)
        triaged = [row for row in made if row["risk_score"] is not None]
        results = [verdict(row, number) for number, row in enumerate(triaged)]
        connection.execute(triage_results.insert(), results)

    await store.database.write(fill)
    return store


async def all_pages(store: Store, wanted: AlertFilter, sort: str, size: int) -> list[AlertSummary]:
    found: list[AlertSummary] = []
    cursor: str | None = None
    while True:
        page = await store.queries.page(wanted, sort=sort, limit=size, cursor=cursor)
        found += page.alerts
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page.alerts) == size


async def at_once(store: Store, named: dict[str, Any], sort: str) -> Sequence[str]:
    """One plain query over everything."""
    a, t = alerts.c, triage_results.c
    by = t.risk_score if sort == "risk_score" else a.received_at
    joined = alerts.outerjoin(triage_results, t.alert_id == a.alert_id)
    query = sa.select(a.alert_id).select_from(joined).where(by.is_not(None))
    for name, value in named.items():
        if name == "since":
            query = query.where(a.received_at >= value)
        elif name == "until":
            query = query.where(a.received_at < value)
        elif name == "min_risk":
            query = query.where(t.risk_score >= value)
        elif name in ("verdict", "requires_human_review"):
            query = query.where(t[name] == value)
        else:
            query = query.where(a[name] == value)
    query = query.order_by(by.desc(), a.alert_id.desc())
    return await store.database.read(lambda c: c.execute(query).scalars().all())


@pytest.mark.parametrize("walk", [5, 2000], ids=["merged", "walked"])
@pytest.mark.parametrize("sort", ["received_at", "risk_score"])
async def test_pages_hold_every_alert_that_fits_once_and_in_order(
    filled: Store, monkeypatch: pytest.MonkeyPatch, sort: str, walk: int
) -> None:
    monkeypatch.setattr(finding, "WALK", walk)
    some = 0
    for named in FILTERS:
        wanted = await at_once(filled, named, sort)
        found = await all_pages(filled, AlertFilter(**named), sort, 7)
        assert [alert.alert_id for alert in found] == list(wanted), named
        some += bool(wanted)
    assert some >= 12


async def test_rare_things_are_found_by_index_alone(filled: Store) -> None:
    """No plan of the merged lists looks through the table."""
    plans: list[str] = []
    for named in ({"status": AlertStatus.PARKED}, {"rule_id": "R-1"}, {"source": "rare"}):
        page = _page(AlertFilter(**named), 51, None)  # type: ignore[arg-type]  # of its field's type
        plans += await filled.database.read(partial(plan, page))
    assert plans
    assert not [line for line in plans if "Seq Scan on alerts" in line or line == "SCAN alerts"]


def plan(page: finding.Wanted, connection: Connection) -> list[str]:
    """How the database would find each part of a merged list."""
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # there are too few rows
    ways = finding._of_rule(page) if page.rule_id else finding._of_kind(connection, page)
    lines: list[str] = []
    for fits in list(ways)[:5]:
        query = finding._first(alerts.c.received_at, fits, page)
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        rows_ = connection.exec_driver_sql(explain + text.replace("%", "%%")).all()
        lines += [str(row[-1]) for row in rows_]
        used = " ".join(str(row[-1]) for row in rows_)
        assert "ix_alerts_rule" in used if page.rule_id else "ix_alerts_kind" in used, used
        assert "Sort" not in used, used
        assert "TEMP B-TREE" not in used, used
    return lines


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_times_at_the_edges_are_asked_for_or_refused_in_words(
    store: Store, when: str
) -> None:
    moment = datetime.fromisoformat(when)
    answers = await asyncio.gather(
        store.queries.page(AlertFilter(since=moment)),
        store.queries.page(AlertFilter(until=moment)),
        store.incident_pages.page(IncidentFilter(since=moment)),
        return_exceptions=True,
    )
    for answer in answers:  # PostgreSQL knows such moments
        assert not isinstance(answer, Exception) or "years 1 to 9999" in str(answer)
        assert not isinstance(answer, Exception) or isinstance(answer, InputError)
