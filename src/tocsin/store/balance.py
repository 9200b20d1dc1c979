"""The balance: every accepted alert is triaged, folded, parked or in flight."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.database import Database
from tocsin.store.tables import alert_work, pipeline_counts


@dataclass(frozen=True, slots=True)
class Counts:
    """`received = triaged + folded + parked + in_flight`; closed alerts count as triaged."""

    received: int
    triaged: int
    folded: int
    parked: int
    in_flight: int


class BalanceStore:
    """What the pipeline's counters and work rows say; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def counts(self) -> Counts:
        """The balance, from counters that the same transactions keep."""

        def query(connection: Connection) -> Counts:
            counted = sa.select(pipeline_counts.c.name, sa.func.sum(pipeline_counts.c.count))
            rows = connection.execute(counted.group_by(pipeline_counts.c.name))
            found = {name: int(count) for name, count in rows}
            waiting = sa.select(sa.func.count()).select_from(alert_work)
            flying = connection.execute(waiting.where(alert_work.c.parked_at.is_(None))).scalar()
            names = ("received", "triaged", "folded", "parked")
            totals = {name: found.get(name, 0) for name in names}
            return Counts(**totals, in_flight=int(flying or 0))

        return await self._database.read(query)

    async def steps_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The step that each of these alerts waits for; those that are done are left out."""
        query = sa.select(alert_work.c.alert_id, alert_work.c.step)
        some = query.where(alert_work.c.alert_id.in_(ids), alert_work.c.parked_at.is_(None))
        return await self._database.read(
            lambda c: {row.alert_id: row.step for row in c.execute(some)}
        )

    async def waits(self) -> dict[str, tuple[int, float]]:
        """By step: how many alerts wait for it, and since when the oldest does (epoch seconds)."""
        query = (
            sa.select(alert_work.c.step, sa.func.count(), sa.func.min(alert_work.c.since))
            .where(alert_work.c.parked_at.is_(None))
            .group_by(alert_work.c.step)
        )
        return await self._database.read(
            lambda c: {row[0]: (int(row[1]), float(row[2])) for row in c.execute(query)}
        )
