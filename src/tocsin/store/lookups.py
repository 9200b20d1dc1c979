"""What a model may ask of the store: a few bounded, read-only questions.

Each looks at no more than `SEEN` of the newest alerts in the wanted time, so that it costs the same
in a small and in a large database.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import InputError
from tocsin.model import Dossier, Indicator, LookupTool
from tocsin.ports import PastAlert
from tocsin.store.database import Database
from tocsin.store.indicators import indicator_of
from tocsin.store.tables import alerts, dispositions, indicators, triage_results

SEEN = 5_000


class LookupStore:
    """Implements `ports.Lookups`; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def similar(self, dossier: Dossier, since: datetime, limit: int) -> list[PastAlert]:
        """See `ports.Lookups.similar`."""
        alert = dossier.alert
        if alert is None or not (alert.rule.id or alert.rule.name):
            return []
        seen = _seen(since, dossier.alert_id)
        wanted = seen.c.source.is_not_distinct_from(dossier.source)
        if alert.rule.id:
            wanted &= seen.c.rule_id == alert.rule.id
        else:
            wanted &= seen.c.rule_name == alert.rule.name
        return await self._past(seen, wanted, limit)

    async def of_entity(
        self, kind: LookupTool, value: str, since: datetime, limit: int, but: str
    ) -> list[PastAlert]:
        """See `ports.Lookups.of_entity`."""
        seen = _seen(since, but)
        low = value.lower()
        if kind is LookupTool.HOST_ALERTS:
            wanted = sa.or_(sa.func.lower(seen.c.host_name) == low, seen.c.asset_id == value)
        elif kind is LookupTool.USER_ALERTS:
            wanted = sa.or_(sa.func.lower(seen.c.user_name) == low, seen.c.user_id == value)
        elif kind is LookupTool.ADDRESS_ALERTS:
            wanted = sa.or_(seen.c.source_ip == low, seen.c.destination_ip == low)
        else:
            raise InputError(f"{kind.value} does not look for alerts")
        return await self._past(seen, wanted, limit)

    async def indicator(self, value: str, limit: int) -> list[Indicator]:
        """See `ports.Lookups.indicator`."""
        expires = indicators.c.expires_at
        query = (
            sa.select(indicators)
            .where(indicators.c.value.in_([value, value.lower()]))
            .where(sa.or_(expires.is_(None), expires > datetime.now(UTC)))
            .order_by(indicators.c.confidence.desc(), indicators.c.source)
            .limit(limit)
        )
        return await self._database.read(lambda c: [indicator_of(row) for row in c.execute(query)])

    async def _past(
        self, seen: sa.Subquery, wanted: sa.ColumnElement[bool], limit: int
    ) -> list[PastAlert]:
        t = triage_results.c
        query = (
            sa.select(seen, t.verdict, t.risk_score)
            .select_from(seen.outerjoin(triage_results, t.alert_id == seen.c.alert_id))
            .where(wanted)
            .order_by(seen.c.received_at.desc(), seen.c.alert_id.desc())
            .limit(limit)
        )

        def ask(connection: Connection) -> list[PastAlert]:
            found = list(connection.execute(query).mappings())
            decided = _decided(connection, [row["alert_id"] for row in found])
            return [_past_alert(row, decided) for row in found]

        return await self._database.read(ask)


def _seen(since: datetime, but: str) -> sa.Subquery:
    """The newest alerts since a moment, without one: what a question looks through."""
    a = alerts.c
    return (
        sa.select(
            a.alert_id, a.received_at, a.title, a.source, a.rule_id, a.rule_name, a.severity,
            a.host_name, a.asset_id, a.user_name, a.user_id, a.source_ip, a.destination_ip,
        )
        .where(a.received_at >= since, a.alert_id != but)
        .order_by(a.received_at.desc(), a.alert_id.desc())
        .limit(SEEN)
        .subquery("seen")
    )  # fmt: skip


def _decided(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What people decided last about these alerts, and why."""
    if not ids:
        return {}
    d = dispositions.c
    query = (
        sa.select(d.alert_id, d.disposition, d.reason)
        .where(d.alert_id.in_(ids), d.undone_at.is_(None))
        .order_by(d.decided_at)
    )
    return {row.alert_id: (row.disposition, row.reason) for row in connection.execute(query)}


def _past_alert(row: sa.RowMapping, decided: dict[str, tuple[str, str]]) -> PastAlert:
    said = decided.get(row["alert_id"], (None, None))
    values: dict[str, Any] = {
        name: row[name] for name in PastAlert.__struct_fields__ if name in row
    }
    return PastAlert(**values, decided=said[0], reason=said[1])
