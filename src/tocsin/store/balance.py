"""The balance: every accepted alert is triaged, folded, parked or in flight."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.clock import WorkClock
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


@dataclass(frozen=True, slots=True)
class FollowUps:
    """What follows verdicts: work that waits, is parked after its last try, or was done."""

    waiting: int
    parked: int
    done: int


class BalanceStore:
    """What the pipeline's counters and work rows say; writes nothing.

    Args:
        database: where.
        follow_ups: the steps that follow a verdict; what waits for them is triaged already.
    """

    def __init__(self, database: Database, follow_ups: Collection[str]) -> None:
        self._database = database
        self._follow_ups = follow_ups
        self._clock = WorkClock()

    async def counts(self) -> Counts:
        """The balance, from counters that the same transactions keep."""

        def query(connection: Connection) -> Counts:
            counted = sa.select(pipeline_counts.c.name, sa.func.sum(pipeline_counts.c.count))
            rows = connection.execute(counted.group_by(pipeline_counts.c.name))
            found = {name: int(count) for name, count in rows}
            waiting = sa.select(sa.func.count()).where(alert_work.c.step.not_in(self._follow_ups))
            flying = connection.execute(waiting.where(alert_work.c.parked_at.is_(None))).scalar()
            names = ("received", "triaged", "folded", "parked")
            totals = {name: found.get(name, 0) for name in names}
            return Counts(**totals, in_flight=int(flying or 0))

        return await self._database.read(query)

    async def follow_ups(self) -> FollowUps:
        """The work that follows verdicts, which the balance does not hold."""

        def query(connection: Connection) -> FollowUps:
            parked = alert_work.c.parked_at.is_not(None)
            rows = connection.execute(
                sa.select(parked, sa.func.count())
                .where(alert_work.c.step.in_(self._follow_ups))
                .group_by(parked)
            )
            found = {bool(row[0]): int(row[1]) for row in rows}
            counted = sa.select(sa.func.sum(pipeline_counts.c.count))
            done = connection.execute(counted.where(pipeline_counts.c.name == "followed")).scalar()
            return FollowUps(found.get(False, 0), found.get(True, 0), int(done or 0))

        return await self._database.read(query)

    async def parked_follow_ups(self, limit: int) -> list[str]:
        """The alerts whose follow-up is parked, those that were parked last first."""
        query = (
            sa.select(alert_work.c.alert_id)
            .where(alert_work.c.step.in_(self._follow_ups), alert_work.c.parked_at.is_not(None))
            .order_by(alert_work.c.parked_at.desc())
            .limit(limit)
        )
        return await self._database.read(lambda c: list(c.execute(query).scalars()))

    async def steps_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The step that each of these alerts waits for; those that are done are left out."""
        query = sa.select(alert_work.c.alert_id, alert_work.c.step)
        some = query.where(alert_work.c.alert_id.in_(ids), alert_work.c.parked_at.is_(None))
        return await self._database.read(
            lambda c: {row.alert_id: row.step for row in c.execute(some)}
        )

    async def waits(self) -> dict[str, tuple[int, float]]:
        """By step: how many alerts wait for it, and how long the oldest has (seconds).

        By the clock that the times were written by, whatever this machine's says.
        """
        query = (
            sa.select(alert_work.c.step, sa.func.count(), sa.func.min(alert_work.c.since))
            .where(alert_work.c.parked_at.is_(None))
            .group_by(alert_work.c.step)
        )

        def ask(connection: Connection) -> dict[str, tuple[int, float]]:
            rows = connection.execute(query).all()
            now = self._clock.now(connection)
            return {step: (int(count), max(0.0, now - since)) for step, count, since in rows}

        return await self._database.read(ask)
