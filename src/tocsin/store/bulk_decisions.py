"""Deciding many alerts at once: what a filter matches is shown first, then decided by portions."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import ConflictError, InputError, NotFoundError
from tocsin.model import Disposition, Record
from tocsin.store import audit
from tocsin.store.database import Database
from tocsin.store.decision_counts import standing
from tocsin.store.decisions import DECIDABLE, Order, decide, new_id, reason_text, undo
from tocsin.store.queries import AlertFilter, AlertSummary, columns, narrowed, summary
from tocsin.store.tables import alerts, bulk_decisions, dispositions, triage_results

PORTION = 500
MOST = 100_000
SAMPLE = 20
TOP = 20


class Match(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What a filter matches among the alerts that can be decided.

    `token` is a digest of the matched ids; the call that decides repeats it. `decided` counts
    earlier decisions that would be superseded. The counts name the commonest values.
    """

    count: int
    token: str
    sample: tuple[AlertSummary, ...]
    by_rule: dict[str, int]
    by_source: dict[str, int]
    by_verdict: dict[str, int]
    decided: dict[str, int]


class BulkDecision(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Many decisions that were made at once."""

    bulk_id: str
    disposition: Disposition
    reason: str
    actor: str
    filter: dict[str, Any]
    matched: int
    decided_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None


class BulkDecisionStore:
    """Matches, decides and undoes by the hundred, each portion in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def match(self, wanted: AlertFilter) -> Match:
        """What a filter matches now, in one snapshot.

        Raises:
            InputError: more than 100,000 alerts.
        """

        def ask(connection: Connection) -> Match:
            ids = _matched(connection, wanted)
            return Match(
                count=len(ids),
                token=_digest(ids),
                sample=_sample(connection, wanted),
                by_rule=_counted(connection, wanted, alerts.c.rule_id),
                by_source=_counted(connection, wanted, alerts.c.source),
                by_verdict=_counted(connection, wanted, triage_results.c.verdict),
                decided=_decided(connection, wanted),
            )

        return await self._database.read(ask)

    async def begin(
        self, wanted: AlertFilter, token: str, disposition: Disposition, reason: str, *, actor: str
    ) -> tuple[str, list[str]]:
        """Record that what was previewed is to be decided; gives the bulk's id and the alerts.

        Raises:
            ConflictError: the filter does not match what it matched when it was previewed.
            InputError: it matches nothing, or more than 100,000 alerts.
        """

        def change(connection: Connection) -> tuple[str, list[str]]:
            ids = _matched(connection, wanted)
            if _digest(ids) != token:
                raise ConflictError(
                    f"the filter matches other alerts than at the preview ({len(ids)} now); "
                    "preview again, with `until` to keep later alerts out"
                )
            if not ids:
                raise InputError("the filter matches no alert that can be decided")
            bulk_id = new_id()
            row = {
                "bulk_id": bulk_id,
                "disposition": disposition.value,
                "reason": reason_text(reason),
                "actor": actor,
                "filter": msgspec.json.encode(described(wanted)).decode(),
                "token": token,
                "matched": len(ids),
                "decided_at": datetime.now(UTC),
            }
            connection.execute(sa.insert(bulk_decisions), row)
            detail = {
                "matched": len(ids),
                "digest": token,
                "disposition": disposition,
                "reason": row["reason"],
            }
            audit.record(connection, audit.Entry(actor, "bulk.begun", bulk_id, detail))
            return bulk_id, ids

        return await self._database.write(change)

    async def portions(
        self,
        bulk_id: str,
        ids: list[str],
        disposition: Disposition,
        reason: str,
        *,
        actor: str,
    ) -> AsyncIterator[int]:
        """Decide the alerts, 500 a transaction; gives how many were decided after each.

        Alerts that went away or into another state meanwhile are left out. Once somebody has
        undone the bulk, nothing more is decided.
        """
        text = reason_text(reason)
        for start in range(0, len(ids), PORTION):
            part = ids[start : start + PORTION]
            orders = [Order(i, disposition, text, actor, new_id()) for i in part]

            def change(connection: Connection, orders: list[Order] = orders) -> int:
                if _undone(connection, bulk_id, shared=True):
                    return -1
                outcomes = decide(connection, orders, bulk_id=bulk_id)
                done = [o.order.alert_id for o in outcomes if o.problem is None]
                entry = audit.batch(actor, "alerts.decided", done, disposition=disposition)
                audit.record(connection, entry._replace(subject=bulk_id))
                return len(done)

            count = await self._database.write(change)
            if count < 0:
                return
            yield count

    async def undo(self, bulk_id: str, *, actor: str) -> AsyncIterator[int]:
        """Undo all decisions of a bulk that stand or were superseded, by portions.

        Raises:
            NotFoundError: there is no such bulk.
            ConflictError: it was undone before.
        """
        b, d = bulk_decisions.c, dispositions.c
        found = await self._database.read(
            lambda c: c.execute(sa.select(b.undone_at).where(b.bulk_id == bulk_id)).first()
        )
        if found is None:
            raise NotFoundError(f"there is no bulk decision {bulk_id}")
        if found.undone_at is not None:
            raise ConflictError(f"bulk decision {bulk_id} was undone before")
        query = (
            sa.select(d.disposition_id)
            .where(d.bulk_id == bulk_id, d.undone_at.is_(None))
            .order_by(d.alert_id)
            .limit(PORTION)
        )

        def change(connection: Connection) -> int:
            if _undone(connection, bulk_id, shared=False):
                return -1
            ids = list(connection.execute(query).scalars())
            done = undo(connection, ids, actor)
            if done:
                entry = audit.batch(actor, "decisions.undone", done)
                audit.record(connection, entry._replace(subject=bulk_id))
            if not ids:
                end = sa.update(bulk_decisions).where(b.bulk_id == bulk_id)
                connection.execute(end.values(undone_at=datetime.now(UTC), undone_by=actor))
                audit.record(connection, audit.Entry(actor, "bulk.undone", bulk_id, {}))
            return len(done) if ids else -1

        while (count := await self._database.write(change)) >= 0:
            yield count

    async def newest(self, limit: int) -> list[BulkDecision]:
        """The last bulk decisions, newest first."""
        query = sa.select(bulk_decisions).order_by(bulk_decisions.c.decided_at.desc()).limit(limit)
        rows = await self._database.read(lambda c: c.execute(query).mappings().all())
        return [
            BulkDecision(
                **{name: row[name] for name in BulkDecision.__struct_fields__ if name != "filter"},
                filter=msgspec.json.decode(row["filter"]),
            )
            for row in rows
        ]


def _undone(connection: Connection, bulk_id: str, *, shared: bool) -> bool:
    """Whether a bulk was undone; held so until the transaction ends.

    Those who decide its portions share it, who undoes it waits for them: no portion is decided
    behind the back of the look that finds nothing more to undo.
    """
    b = bulk_decisions.c
    query = sa.select(b.undone_at).where(b.bulk_id == bulk_id).with_for_update(read=shared)
    return connection.execute(query).scalar() is not None


def described(wanted: AlertFilter) -> dict[str, Any]:
    """The fields of a filter that narrow anything, as JSON has them."""
    given = msgspec.to_builtins(wanted)
    return {name: value for name, value in given.items() if value is not None}


def _decidable(query: sa.Select[Any], wanted: AlertFilter) -> sa.Select[Any]:
    """The query for the alerts that fit and that can be decided."""
    states = [status.value for status in DECIDABLE]
    return narrowed(query, wanted).where(
        alerts.c.status.in_(states), triage_results.c.alert_id.is_not(None)
    )


def _over(*what: sa.ColumnElement[Any]) -> sa.Select[Any]:
    joined = triage_results.c.alert_id == alerts.c.alert_id
    return sa.select(*what).select_from(alerts.outerjoin(triage_results, joined))


def _matched(connection: Connection, wanted: AlertFilter) -> list[str]:
    query = _decidable(_over(alerts.c.alert_id), wanted).order_by(alerts.c.alert_id)
    ids = list(connection.execute(query.limit(MOST + 1)).scalars())
    if len(ids) > MOST:
        raise InputError(f"the filter matches more than {MOST:,} alerts; narrow it, e.g. by since")
    return ids


def _digest(ids: list[str]) -> str:
    return sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _sample(connection: Connection, wanted: AlertFilter) -> tuple[AlertSummary, ...]:
    query = _decidable(columns(), wanted)
    newest = query.order_by(alerts.c.received_at.desc(), alerts.c.alert_id.desc()).limit(SAMPLE)
    return tuple(summary(row) for row in connection.execute(newest).mappings())


def _counted(connection: Connection, wanted: AlertFilter, column: sa.Column[Any]) -> dict[str, int]:
    count = sa.func.count().label("alerts")
    query = _decidable(_over(column, count), wanted).group_by(column)
    rows = connection.execute(query.order_by(count.desc(), column).limit(TOP))
    return {"" if row[0] is None else str(row[0]): int(row[1]) for row in rows}


def _decided(connection: Connection, wanted: AlertFilter) -> dict[str, int]:
    ids = _decidable(_over(alerts.c.alert_id), wanted)
    decided = standing(dispositions.c.alert_id.in_(ids)).subquery("decided")
    query = sa.select(decided.c.disposition, sa.func.count()).group_by(decided.c.disposition)
    return {row[0]: int(row[1]) for row in connection.execute(query)}
