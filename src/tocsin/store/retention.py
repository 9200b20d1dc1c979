"""Which alerts are old enough to go, and letting them go a portion at a time.

Portions keep each transaction short, so that ingest and triage go on beside it. They are found by
the index over the time of receipt, oldest first.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus
from tocsin.store import audit, history
from tocsin.store.database import Database
from tocsin.store.dossiers import DossierStore
from tocsin.store.tables import alerts

PORTION = 2000


@dataclass(frozen=True, slots=True)
class Expired:
    """How many alerts of a month of receipt (UTC, as `2026-03`) and a status would go."""

    month: str
    status: AlertStatus
    alerts: int


class RetentionStore:
    """Finds and deletes what is older than somebody wants to keep."""

    def __init__(self, database: Database, dossiers: DossierStore) -> None:
        self._database = database
        self._dossiers = dossiers

    async def preview(self, before: datetime, statuses: Sequence[AlertStatus]) -> list[Expired]:
        """What `purge` would delete, by month and status, oldest first."""

        def ask(connection: Connection) -> list[Expired]:
            month: sa.ColumnElement[str] = sa.func.substr(alerts.c.received_at, 1, 7)
            if connection.dialect.name == "postgresql":
                month = sa.func.to_char(alerts.c.received_at, "YYYY-MM")  # sessions are in UTC
            by = month.label("month")
            query = (
                sa.select(by, alerts.c.status, sa.func.count())
                .where(alerts.c.received_at < before, alerts.c.status.in_(statuses))
                .group_by(sa.text("month"), alerts.c.status)
                .order_by(sa.text("month"), alerts.c.status)
            )
            return [
                Expired(row[0], AlertStatus(row[1]), row[2]) for row in connection.execute(query)
            ]

        return await self._database.read(ask)

    async def purge(self, before: datetime, statuses: Sequence[AlertStatus]) -> AsyncIterator[int]:
        """Delete it; gives how many alerts went after each portion.

        Last go the counts of how often values were seen on days that nothing looks at any more.
        """
        after: tuple[datetime, str] | None = None
        while found := await self._oldest(before, statuses, after):
            yield await self._dossiers.forget([alert_id for _, alert_id in found])
            after = found[-1]
        await self._forget_counts(history.first_day(datetime.now(UTC)))

    async def _forget_counts(self, day: str) -> None:
        """Delete the counts of the days before, in portions, each found before it is deleted."""
        after: history.Counted | None = None
        while portion := await self._database.read(
            partial(history.stale, before=day, after=after, limit=PORTION)
        ):
            await self._database.write(partial(_forget_portion, portion=portion, day=day))
            after = portion[-1]

    async def _oldest(
        self,
        before: datetime,
        statuses: Sequence[AlertStatus],
        after: tuple[datetime, str] | None,
    ) -> list[tuple[datetime, str]]:
        received, alert_id = alerts.c.received_at, alerts.c.alert_id
        query = (
            sa.select(received, alert_id)
            .where(received < before, alerts.c.status.in_(statuses))
            .order_by(received, alert_id)
            .limit(PORTION)
        )
        if after is not None:
            last = sa.tuple_(sa.literal(after[0], received.type), sa.literal(after[1]))
            query = query.where(sa.tuple_(received, alert_id) > last)

        def ask(connection: Connection) -> list[tuple[datetime, str]]:
            return [(row[0], row[1]) for row in connection.execute(query)]

        return await self._database.read(ask)


def _forget_portion(connection: Connection, portion: Sequence[history.Counted], day: str) -> None:
    gone = {"count": history.forget(connection, portion, day), "before": day}
    entry = audit.Entry("retention", "counts.forgotten", "prevalence", gone)
    audit.record(connection, entry)
