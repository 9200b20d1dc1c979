"""What policies did with alerts, read for people and for what the samples prove."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus, Closing, ClosingAction, Disposition, Dossier, Record, Sample
from tocsin.store import reading
from tocsin.store.closures import judged_by_people, live
from tocsin.store.database import Database
from tocsin.store.tables import alerts, closing_scores, closures, dispositions, triage_results

CHUNK = 500
FIELDS = ("alert", "context", "intel", "verdict")
DONE = (AlertStatus.TRIAGED.value, AlertStatus.CLOSED.value)


class QueuedSample(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A line of the queue of samples: what a person needs to pick one."""

    sample: Sample
    title: str | None = None
    rule_id: str | None = None
    host_name: str | None = None
    risk_score: float | None = None


class ClosureStore:
    """Reads of what policies did; see `ports.ClosingBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def samples(
        self,
        version: int,
        name: str,
        *,
        limit: int,
        model_version: str = "",
        after: datetime | None = None,
        judged: bool = False,
    ) -> list[Sample]:
        """See `ports.ClosingBook.samples`."""
        c = closures.c
        some = [
            c.policy_version == version,
            c.action == ClosingAction.SAMPLED.value,
            c["class"] == name,
        ]
        if model_version:
            some.append(c.model_version == model_version)
        if after is not None:
            some.append(c.at > after)
        if judged:
            some.append(judged_by_people())

        def ask(connection: Connection) -> list[Sample]:
            order = (c.at, c.alert_id)
            last = connection.execute(
                sa.select(*order)
                .where(*some, c.closable.is_(True))
                .order_by(*order)
                .offset(limit)
                .limit(1)
            ).first()
            query = sa.select(closures).where(*some).order_by(*order)
            if last is not None:
                end = sa.tuple_(sa.literal(last.at, c.at.type), sa.literal(last.alert_id))
                query = query.where(sa.tuple_(*order) < end)
            rows = connection.execute(query).mappings().all()
            decisions = live(connection, [row["alert_id"] for row in rows])
            return [_sample(row, decisions.get(row["alert_id"])) for row in rows]

        return await self._database.read(ask)

    async def newest_model(self, version: int) -> str:
        """See `ports.ClosingBook.newest_model`."""
        c = closures.c
        query = (
            sa.select(c.model_version)
            .where(c.policy_version == version, c.action == ClosingAction.SAMPLED.value)
            .order_by(c.at.desc(), c.alert_id.desc())
            .limit(1)
        )
        return await self._database.read(lambda k: k.execute(query).scalar() or "")

    async def scores(
        self, version: int, since: datetime | None = None
    ) -> dict[str, dict[str, dict[int, int]]]:
        """See `ports.ClosingBook.scores`."""
        c = closing_scores.c
        query = sa.select(c["class"], c.hour, c.bin, c.count).where(c.policy_version == version)
        if since is not None:
            query = query.where(c.hour >= since.astimezone(UTC).strftime("%Y-%m-%dT%H"))

        def ask(connection: Connection) -> dict[str, dict[str, dict[int, int]]]:
            found: dict[str, dict[str, dict[int, int]]] = {}
            for name, hour, place, number in connection.execute(query):
                found.setdefault(name, {}).setdefault(hour, {})[place] = int(number)
            return found

        return await self._database.read(ask)

    async def overdue(self, version: int, before: datetime) -> int:
        """See `ports.ClosingBook.overdue`."""
        return (await self.outstanding(version, before)).total()

    async def outstanding(self, version: int, before: datetime | None = None) -> Counter[str]:
        """Closable samples that nobody has judged, by class."""
        c = closures.c
        query = (
            sa.select(c["class"], sa.func.count())
            .where(
                c.policy_version == version,
                c.action == ClosingAction.SAMPLED.value,
                c.closable.is_(True),
                sa.not_(judged_by_people()),
            )
            .group_by(c["class"])
        )
        if before is not None:
            query = query.where(c.at < before)
        return await self._database.read(
            lambda k: Counter({name: int(number) for name, number in k.execute(query)})
        )

    async def totals(self, version: int) -> tuple[int, int, int]:
        """Alerts that a policy closed; of those: reopened, and called attacks by people."""
        c, d = closures.c, dispositions.c
        mine = [c.policy_version == version, c.action == ClosingAction.CLOSED.value]
        query = sa.select(sa.func.count(), sa.func.count(c.reopened_at)).where(*mine)
        decided = (
            sa.select(c.alert_id)
            .where(*mine, d.undone_at.is_(None))
            .join_from(closures, dispositions, d.alert_id == c.alert_id)
            .distinct()
        )

        def ask(connection: Connection) -> tuple[int, int, int]:
            closed, reopened = connection.execute(query).one()
            ids = list(connection.execute(decided).scalars())
            said = live(connection, ids).values()
            missed = sum(word is Disposition.TRUE_POSITIVE for word in said)
            return int(closed), int(reopened), missed

        return await self._database.read(ask)

    async def attacks(self, limit: int) -> list[str]:
        """See `ports.ClosingBook.attacks`."""
        d = dispositions.c
        query = (
            sa.select(d.alert_id)
            .where(d.disposition == Disposition.TRUE_POSITIVE.value, d.undone_at.is_(None))
            .order_by(d.decided_at.desc(), d.disposition_id)
            .limit(limit)
        )

        def ask(connection: Connection) -> list[str]:
            ids = list(dict.fromkeys(connection.execute(query).scalars()))
            said = live(connection, ids)
            return [i for i in ids if said.get(i) is Disposition.TRUE_POSITIVE]

        return await self._database.read(ask)

    async def judged(self, ids: Sequence[str]) -> list[Dossier]:
        """See `ports.ClosingBook.judged`."""
        found: list[Dossier] = []
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            found += await self._database.read(_load(part))
        return [dossier for dossier in found if dossier.verdict is not None]

    async def history(self, limit: int) -> AsyncIterator[list[Dossier]]:
        """See `ports.ClosingBook.history`."""
        received, alert_id = alerts.c.received_at, alerts.c.alert_id
        after: tuple[datetime, str] | None = None
        while limit > 0:
            query = sa.select(received, alert_id).where(alerts.c.status.in_(DONE))
            if after is not None:
                end = sa.tuple_(sa.literal(after[0], received.type), sa.literal(after[1]))
                query = query.where(sa.tuple_(received, alert_id) < end)
            query = query.order_by(received.desc(), alert_id.desc()).limit(min(CHUNK, limit))
            found = await self._database.read(_pairs(query))
            if not found:
                return
            after = found[-1]
            limit -= len(found)
            loaded = await self._database.read(_load([one for _, one in found]))
            if triaged := [dossier for dossier in loaded if dossier.verdict is not None]:
                yield triaged

    async def queue(
        self, version: int, *, limit: int, everything: bool = False
    ) -> list[QueuedSample]:
        """Samples that wait for people, oldest first: looks wait for the oldest.

        Args:
            version: of the policy that drew them.
            limit: the most.
            everything: those that something else than their probability keeps open too.
        """
        c, a, t = closures.c, alerts.c, triage_results.c
        query = (
            sa.select(closures, a.title, a.rule_id, a.host_name, t.risk_score)
            .select_from(
                closures.outerjoin(alerts, a.alert_id == c.alert_id).outerjoin(
                    triage_results, t.alert_id == c.alert_id
                )
            )
            .where(
                c.policy_version == version,
                c.action == ClosingAction.SAMPLED.value,
                sa.not_(judged_by_people()),
            )
            .order_by(c.at, c.alert_id)
            .limit(limit)
        )
        if not everything:
            query = query.where(c.closable.is_(True))

        def ask(connection: Connection) -> list[QueuedSample]:
            return [
                QueuedSample(
                    sample=_sample(row, None),
                    title=row["title"],
                    rule_id=row["rule_id"],
                    host_name=row["host_name"],
                    risk_score=row["risk_score"],
                )
                for row in connection.execute(query).mappings()
            ]

        return await self._database.read(ask)

    async def closing_of(self, alert_id: str) -> Closing | None:
        """What a policy did with an alert; None when none did anything."""
        query = sa.select(closures).where(closures.c.alert_id == alert_id)
        row = await self._database.read(lambda k: k.execute(query).mappings().first())
        if row is None:
            return None
        return Closing(
            action=ClosingAction(row["action"]),
            class_name=row["class"],
            probability=row["probability"],
            policy_version=row["policy_version"],
            threshold=row["threshold"],
            closable=bool(row["closable"]),
            model_version=row["model_version"],
            at=row["at"],
            reopened_at=row["reopened_at"],
            reopened_by=row["reopened_by"],
        )


def _pairs(query: sa.Select[Any]) -> Callable[[Connection], list[tuple[datetime, str]]]:
    return lambda connection: [(row[0], row[1]) for row in connection.execute(query)]


def _load(ids: Sequence[str]) -> Callable[[Connection], list[Dossier]]:
    return lambda connection: reading.load(connection, ids, FIELDS)


def _sample(row: sa.RowMapping, decision: Disposition | None) -> Sample:
    return Sample(
        alert_id=row["alert_id"],
        class_name=row["class"],
        probability=row["probability"],
        closable=bool(row["closable"]),
        at=row["at"],
        likeness=row["likeness"],
        model_version=row["model_version"],
        decision=decision,
    )
