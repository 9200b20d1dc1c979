"""Second opinions: the queue that is their table, and what became of them.

Rows are written with the verdicts of a batch. A worker leases the most valuable, and what it found
is written together with the risk that it raises.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import (
    Change,
    CheckedClaim,
    Disposition,
    Dossier,
    LedgerStep,
    Opinion,
    OpinionStatus,
    Record,
)
from tocsin.ports import OpinionRequest, OpinionWork
from tocsin.store import audit, closures, incidents, reading, rows, verdicts
from tocsin.store.bulk import BulkInsert
from tocsin.store.clock import WorkClock
from tocsin.store.database import Database
from tocsin.store.quality import made_storable
from tocsin.store.tables import dispositions, opinions
from tocsin.store.types import instant_text

FILLED = ("alert", "context", "intel", "verdict")
BUDGET_SPENT = "; but the day's {} opinions are wanted already (TOCSIN_NARRATOR_DAILY)"
_insert = BulkInsert(
    opinions,
    ("alert_id", "status", "why", "value", "requested_at", "attempts", "lease_until", "not_before"),
    key=("alert_id",),
    update={
        name: f"excluded.{name}"
        for name in ("status", "why", "value", "requested_at", "attempts", "lease_until",
                     "not_before")
    }
    | {"finished_at": "NULL"},
)  # fmt: skip
ACTOR = "narrator"
LOCK = 0x70C5_1D  # any number that nobody else uses
COUNTED = (OpinionStatus.PENDING, OpinionStatus.DONE, OpinionStatus.FAILED)


class StoredReply(Record, frozen=True, kw_only=True):
    """The column `reply`: what was said, after the check, and what was left out."""

    summary: str = ""
    claims: tuple[CheckedClaim, ...] = ()
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ask_review: bool = False
    raise_to: float | None = None


_replies = msgspec.json.Decoder(StoredReply)
_ledgers = msgspec.json.Decoder(tuple[LedgerStep, ...])


class Queue:
    """Which verdicts a second opinion is wanted on, queued with the verdicts themselves.

    Args:
        select: says of a batch on which alerts, and why.
        daily: the most in a UTC day; what is wanted beyond is written down, and nobody is asked.
    """

    def __init__(
        self, select: Callable[[Sequence[Dossier]], Sequence[OpinionRequest]], daily: int
    ) -> None:
        self._select = select
        self._daily = daily

    def request(self, connection: Connection, batch: Sequence[Dossier]) -> frozenset[str]:
        """Queue opinions in the transaction that stores the verdicts, the most valuable first.

        Returns:
            The alerts on which an opinion is awaited now.
        """
        wanted = sorted(self._select(batch), key=lambda one: -one.value)
        if not wanted:
            return frozenset()
        now = datetime.now(UTC)
        left = self._left(connection, now)
        stamp = instant_text(now) if connection.dialect.name == "sqlite" else now
        beyond = BUDGET_SPENT.format(self._daily)
        pending, budget = OpinionStatus.PENDING.value, OpinionStatus.BUDGET.value
        _insert(
            connection,
            [
                (one.alert_id, pending, one.why, one.value, stamp, 0, 0.0, 0.0)
                if place < left
                else (one.alert_id, budget, one.why + beyond, one.value, stamp, 0, 0.0, 0.0)
                for place, one in enumerate(wanted)
            ],
        )
        return frozenset(one.alert_id for place, one in enumerate(wanted) if place < left)

    def _left(self, connection: Connection, now: datetime) -> int:
        """How many more may be wanted today.

        On PostgreSQL those who may want some count one after the other, until they commit, so that
        replicas do not each grant the same rest. Once nothing is left nobody waits.
        """
        left = self._daily - _counted(connection, now)
        if left <= 0 or connection.dialect.name == "sqlite":  # which has one writer anyway
            return left
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        return self._daily - _counted(connection, now)


NOBODY = Queue(lambda _: (), 0)
"""The queue of a system that asks no model."""


def _counted(connection: Connection, now: datetime) -> int:
    """How many opinions were wanted and granted since midnight (UTC)."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    query = sa.select(sa.func.count()).where(
        opinions.c.status.in_([status.value for status in COUNTED]),
        opinions.c.requested_at >= today,
    )
    return int(connection.execute(query).scalar_one())


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete the opinions on alerts that are deleted."""
    connection.execute(sa.delete(opinions).where(opinions.c.alert_id.in_(ids)))


class OpinionStore:
    """Implements `ports.Opinions` for one owner (one process).

    Args:
        database: where.
        owner: names the holder of leases; unique per process start.
        reopen: gives a closed alert back to people, within a transaction.
    """

    def __init__(
        self, database: Database, *, owner: str, reopen: Callable[[Connection, str, str], bool]
    ) -> None:
        self._database = database
        self._owner = owner
        self._reopen = reopen
        self._clock = WorkClock()

    async def lease(self, limit: int, seconds: float) -> list[OpinionWork]:
        """See `ports.Opinions.lease`."""

        def change(connection: Connection) -> list[str]:
            now = self._clock.now(connection)
            some = (
                sa.select(opinions.c.alert_id)
                .where(
                    opinions.c.status == OpinionStatus.PENDING.value,
                    opinions.c.lease_until <= now,
                    opinions.c.not_before <= now,
                )
                .order_by(opinions.c.value.desc(), opinions.c.requested_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            ids = list(connection.execute(some).scalars())
            if ids:
                taken = sa.update(opinions).where(opinions.c.alert_id.in_(ids))
                connection.execute(taken.values(lease_owner=self._owner, lease_until=now + seconds))
            return ids

        if not await self._database.read(lambda c: _any_waits(c, self._clock.now(c))):
            return []
        ids = await self._database.write(change, durable=False)
        return await self._database.read(lambda c: _work(c, ids)) if ids else []

    async def finish(self, opinion: Opinion, pseudonyms: Mapping[str, str]) -> bool:
        """See `ports.Opinions.finish`."""

        def change(connection: Connection) -> bool:
            held = _held(opinion.alert_id, self._owner)
            locked = sa.select(opinions.c.alert_id).where(held).with_for_update()
            if connection.execute(locked).scalar() is None:
                return False
            made = None
            if opinion.change is not None:
                made = verdicts.raise_risk(
                    connection,
                    opinion.alert_id,
                    risk=opinion.change.risk_after,
                    review=opinion.change.review_after,
                )
            connection.execute(
                sa.update(opinions).where(held).values(**_columns(opinion, made, pseudonyms))
            )
            if made is not None and made.raises:
                self._give_back(connection, opinion.alert_id)
                incidents.look_anew(connection, [opinion.alert_id])
            audit.record(connection, _entry(opinion, made))
            return True

        return await self._database.write(change)

    def _give_back(self, connection: Connection, alert_id: str) -> None:
        """Reopen what a policy closed on a risk that no longer holds; not what a person closed."""
        if not closures.live(connection, [alert_id]):
            self._reopen(connection, alert_id, ACTOR)

    async def postpone(self, alert_id: str, seconds: float, error: str) -> bool:
        """See `ports.Opinions.postpone`."""

        def change(connection: Connection) -> bool:
            again = sa.update(opinions).where(_held(alert_id, self._owner))
            values = {
                "attempts": opinions.c.attempts + 1,
                "lease_owner": None,
                "lease_until": 0.0,
                "not_before": self._clock.now(connection) + seconds,
                "error": error,
            }
            return connection.execute(again.values(**values)).rowcount == 1

        return await self._database.write(change, durable=False)

    async def release(self, *, everyone: bool = False) -> None:
        """Give back the leases of this owner, or of all owners where this process is alone."""
        change = sa.update(opinions).where(
            opinions.c.status == OpinionStatus.PENDING.value, opinions.c.lease_until > 0
        )
        if not everyone:
            change = change.where(opinions.c.lease_owner == self._owner)
        free = change.values(lease_owner=None, lease_until=0.0)
        await self._database.write(lambda c: c.execute(free).rowcount, durable=False)

    async def of(self, alert_id: str) -> Opinion | None:
        """The opinion on an alert, or None if none was ever wanted."""
        query = sa.select(opinions).where(opinions.c.alert_id == alert_id)
        found = await self._database.read(lambda c: c.execute(query).mappings().first())
        return None if found is None else opinion_of(found)


def opinion_of(row: sa.RowMapping) -> Opinion:
    """An opinion from a row of `opinions`."""
    made = None
    if row["risk_after"] is not None:
        made = Change(
            risk_before=row["risk_before"],
            risk_after=row["risk_after"],
            review_before=bool(row["review_before"]),
            review_after=bool(row["review_after"]),
        )
    said = _replies.decode(row["reply"]) if row["reply"] else StoredReply()
    return Opinion(
        alert_id=row["alert_id"],
        status=OpinionStatus(row["status"]),
        why=row["why"],
        value=row["value"],
        requested_at=row["requested_at"],
        finished_at=row["finished_at"],
        attempts=row["attempts"],
        model=row["model"],
        assessment=Disposition(row["assessment"]) if row["assessment"] else None,
        summary=said.summary,
        claims=said.claims,
        questions=said.questions,
        notes=said.notes,
        ask_review=said.ask_review,
        raise_to=said.raise_to,
        change=made,
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost_usd=row["cost_usd"],
        ledger=_ledgers.decode(row["ledger"]) if row["ledger"] else (),
        error=row["error"],
    )


def _any_waits(connection: Connection, now: float) -> bool:
    """Whether to bother the writers at all; an idle queue is asked every second."""
    query = sa.select(opinions.c.alert_id).where(
        opinions.c.status == OpinionStatus.PENDING.value,
        opinions.c.lease_until <= now,
        opinions.c.not_before <= now,
    )
    return connection.execute(query.limit(1)).first() is not None


def _held(alert_id: str, owner: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        opinions.c.alert_id == alert_id,
        opinions.c.status == OpinionStatus.PENDING.value,
        opinions.c.lease_owner == owner,
    )


def _work(connection: Connection, ids: Sequence[str]) -> list[OpinionWork]:
    query = sa.select(
        opinions.c.alert_id, opinions.c.value, opinions.c.why, opinions.c.attempts
    ).where(opinions.c.alert_id.in_(ids))
    queued = {row.alert_id: row for row in connection.execute(query)}
    said = sa.select(dispositions.c.alert_id).where(
        dispositions.c.alert_id.in_(ids), dispositions.c.undone_at.is_(None)
    )
    decided = set(connection.execute(said).scalars())
    return [
        OpinionWork(dossier, one.value, one.why, one.attempts, dossier.alert_id in decided)
        for dossier in reading.load(connection, ids, FILLED)
        if (one := queued.get(dossier.alert_id)) is not None
    ]


def _columns(
    opinion: Opinion, made: Change | None, pseudonyms: Mapping[str, str]
) -> dict[str, Any]:
    said = StoredReply(
        summary=opinion.summary,
        claims=opinion.claims,
        questions=opinion.questions,
        notes=opinion.notes,
        ask_review=opinion.ask_review,
        raise_to=opinion.raise_to,
    )
    return {
        "status": opinion.status.value,
        "why": made_storable(opinion.why),
        "finished_at": opinion.finished_at,
        "attempts": opinion.attempts,
        "lease_owner": None,
        "lease_until": 0.0,
        "model": None if opinion.model is None else made_storable(opinion.model),
        "assessment": None if opinion.assessment is None else opinion.assessment.value,
        "risk_before": None if made is None else made.risk_before,
        "risk_after": None if made is None else made.risk_after,
        "review_before": None if made is None else made.review_before,
        "review_after": None if made is None else made.review_after,
        "prompt_tokens": opinion.prompt_tokens,
        "completion_tokens": opinion.completion_tokens,
        "cost_usd": opinion.cost_usd,
        "reply": _json(said) if opinion.status is OpinionStatus.DONE else None,
        "ledger": _json(opinion.ledger),
        "pseudonyms": _json(dict(pseudonyms)),
        "error": None if opinion.error is None else made_storable(opinion.error),
    }


def _json(value: Any) -> str:
    """JSON text that both databases take, whatever a model wrote."""
    return rows.text(_cleaned(msgspec.to_builtins(value)))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return made_storable(value)
    if isinstance(value, dict):
        return {made_storable(name): _cleaned(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part) for part in value]
    return value


def _entry(opinion: Opinion, made: Change | None) -> audit.Entry:
    detail: dict[str, Any] = {"status": opinion.status.value, "model": opinion.model}
    if made is not None:
        detail |= {
            "risk_before": made.risk_before,
            "risk_after": made.risk_after,
            "review_before": made.review_before,
            "review_after": made.review_after,
        }
    return audit.Entry(ACTOR, "opinion.recorded", opinion.alert_id, detail)
