"""What people decide: stored with its counts, its alerts' states and its audit rows, or not at all.

The decision that stands is the newest one that was not undone. So a second decision supersedes
the first, and undoing it brings the first one back. Transactions lock the alerts in the order of
their ids, then the counts in the order of their keys: two that decide the same alerts take turns.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import ConflictError, NotFoundError
from tocsin.model import AlertStatus, Disposition
from tocsin.store import audit, decision_counts, dossiers, rows
from tocsin.store.bulk import IN_LIMIT
from tocsin.store.database import Database
from tocsin.store.decision_counts import Change, Subjects, standing, stored_subjects
from tocsin.store.tables import alert_context, alerts, dispositions
from tocsin.store.types import stamp_of

REASON_LIMIT = 4000  # characters
DECIDABLE = (AlertStatus.TRIAGED, AlertStatus.CLOSED)
TICK = timedelta(microseconds=1)


class Order(NamedTuple):
    """A decision to be stored.

    Without `decided_at` it is decided at this moment. An order whose `disposition_id` is stored
    already changes nothing, so that an import can be repeated.
    """

    alert_id: str
    disposition: Disposition
    reason: str
    actor: str
    disposition_id: str
    decided_at: datetime | None = None


class Outcome(NamedTuple):
    """What became of an order; `problem` says why it was not stored.

    `repeated`: it was stored before. `superseded`: the disposition that stood until then.
    """

    order: Order
    problem: str | None = None
    repeated: bool = False
    superseded: Disposition | None = None


class _Held(NamedTuple):
    """An alert that the transaction holds, and its standing decision."""

    status: AlertStatus
    folded_into: str | None
    standing: Any = None  # a row of `dispositions`


def new_id() -> str:
    """An id for a decision, or for many at once."""
    return str(uuid.uuid4())


def reason_text(reason: str) -> str:
    """A person's reason as both databases store it and give it back."""
    text = reason.strip().encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"


class DecisionStore:
    """Decides alerts and undoes decisions, one at a time or by portions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def decide(
        self, alert_id: str, disposition: Disposition, reason: str, *, actor: str
    ) -> Outcome:
        """Decide one alert, superseding whatever was decided before.

        Raises:
            NotFoundError: there is no such alert.
            ConflictError: it cannot be decided now: not triaged yet, parked or folded.
        """
        order = Order(alert_id, disposition, reason_text(reason), actor, new_id())

        def change(connection: Connection) -> Outcome:
            (outcome,) = decide(connection, [order])
            if outcome.problem is None:
                detail = {"alert_id": alert_id, "disposition": disposition, "reason": order.reason}
                detail["superseded"] = outcome.superseded or ""
                subject = order.disposition_id
                audit.record(connection, audit.Entry(actor, "alert.decided", subject, detail))
            return outcome

        outcome = await self._database.write(change)
        if outcome.problem == MISSING:
            raise NotFoundError(f"there is no alert {alert_id}")
        if outcome.problem is not None:
            raise ConflictError(f"alert {alert_id} cannot be decided: {outcome.problem}")
        return outcome

    async def undo(self, disposition_id: str, *, actor: str) -> str:
        """Undo one decision; gives the id of its alert. What stood before stands again.

        Raises:
            NotFoundError: there is no such decision.
            ConflictError: it was undone before.
        """

        def change(connection: Connection) -> str:
            (found,) = _stored(connection, [disposition_id]) or (None,)
            if found is None:
                raise NotFoundError(f"there is no decision {disposition_id}")
            if not undo(connection, [disposition_id], actor):
                raise ConflictError(f"decision {disposition_id} was undone before")
            detail = {"alert_id": found.alert_id, "disposition": found.disposition}
            entry = audit.Entry(actor, "decision.undone", disposition_id, detail)
            audit.record(connection, entry)
            return str(found.alert_id)

        return await self._database.write(change)

    async def bring_in(self, orders: Sequence[Order], *, actor: str) -> list[Outcome]:
        """Store decisions that were made elsewhere; those that are stored already stay as they are.

        The ones that cannot be stored have a `problem`; the others are stored nevertheless.
        """

        def change(connection: Connection) -> list[Outcome]:
            outcomes = decide(connection, orders)
            ids = [o.order.alert_id for o in outcomes if o.problem is None and not o.repeated]
            if ids:
                entry = audit.batch(actor, "decisions.imported", ids)
                audit.record(connection, entry._replace(subject="dispositions"))
            return outcomes

        return await self._database.write(change)


MISSING = "there is no such alert"


def decide(
    connection: Connection, orders: Sequence[Order], *, bulk_id: str | None = None
) -> list[Outcome]:
    """Store decisions within the caller's transaction, which records them in the audit trail."""
    held = _hold(connection, [order.alert_id for order in orders])
    known = {row.disposition_id for row in _stored(connection, [o.disposition_id for o in orders])}
    subjects = _subjects(connection, list(held))
    now = datetime.now(UTC)
    outcomes: list[Outcome] = []
    new: list[dict[str, Any]] = []
    latest = {i: one.standing.decided_at for i, one in held.items() if one.standing is not None}
    stood = {i: Disposition(one.standing.disposition) for i, one in held.items() if one.standing}
    for order in orders:
        found = held.get(order.alert_id)
        problem = _problem(found)
        if found is None or problem is not None or order.disposition_id in known:
            outcomes.append(Outcome(order, problem, repeated=problem is None))
            continue
        known.add(order.disposition_id)
        before = latest.get(order.alert_id)
        moment = min(order.decided_at or now, now)
        if order.decided_at is None and before is not None:  # clocks differ; the later one counts
            moment = max(moment, before + TICK)
        if before is None or moment >= before:
            latest[order.alert_id] = moment
        outcomes.append(Outcome(order, superseded=stood.get(order.alert_id)))
        stood[order.alert_id] = order.disposition
        new.append(_row(order, moment, bulk_id, found, subjects.get(order.alert_id, ())))
    if new:
        connection.execute(sa.insert(dispositions), new)
        _settle(connection, {row["alert_id"] for row in new}, held)
    return outcomes


def undo(connection: Connection, disposition_ids: Sequence[str], actor: str) -> list[str]:
    """Undo decisions within the caller's transaction; gives those that were not undone before."""
    rows_ = _stored(connection, disposition_ids)
    held = _hold(connection, sorted({row.alert_id for row in rows_}), gone_too=True)
    open_ = [row for row in _stored(connection, disposition_ids) if row.undone_at is None]
    ids = [row.disposition_id for row in open_]
    for start in range(0, len(ids), IN_LIMIT):
        some = dispositions.c.disposition_id.in_(ids[start : start + IN_LIMIT])
        change = sa.update(dispositions).where(some)
        connection.execute(change.values(undone_at=datetime.now(UTC), undone_by=actor))
    bases = {row.alert_id: AlertStatus(row.status_before or AlertStatus.TRIAGED) for row in open_}
    _settle(connection, set(bases), held, bases)
    return ids


def _hold(
    connection: Connection, ids: Sequence[str], *, gone_too: bool = False
) -> dict[str, _Held]:
    """Lock alerts, in the order of their ids, and see what stands; deleted ones have decisions."""
    held: dict[str, _Held] = {}
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), IN_LIMIT):
        part = wanted[start : start + IN_LIMIT]
        a = alerts.c
        query = sa.select(a.alert_id, a.status, a.folded_into).where(a.alert_id.in_(part))
        for row in connection.execute(query.order_by(a.alert_id).with_for_update()):
            held[row.alert_id] = _Held(AlertStatus(row.status), row.folded_into)
        if gone_too:
            for alert_id in part:
                held.setdefault(alert_id, _Held(AlertStatus.CLOSED, None))
        for row in _standing(connection, part):
            if row.alert_id in held:
                held[row.alert_id] = held[row.alert_id]._replace(standing=row)
    return held


def _standing(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    found: list[Any] = []
    for start in range(0, len(ids), IN_LIMIT):
        part = ids[start : start + IN_LIMIT]
        newest = standing(dispositions.c.alert_id.in_(part))
        found.extend(connection.execute(newest))
    return found


def _stored(connection: Connection, disposition_ids: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(disposition_ids), IN_LIMIT):
        part = disposition_ids[start : start + IN_LIMIT]
        query = sa.select(dispositions).where(dispositions.c.disposition_id.in_(part))
        found.extend(connection.execute(query))
    return found


def _subjects(connection: Connection, ids: Sequence[str]) -> dict[str, Subjects]:
    contexts: dict[str, list[str]] = {}
    c = alert_context.c
    for start in range(0, len(ids), IN_LIMIT):
        part = ids[start : start + IN_LIMIT]
        query = sa.select(c.alert_id, c.context_data).where(c.alert_id.in_(part))
        for alert_id, data in connection.execute(query):
            contexts.setdefault(alert_id, []).append(data)
    return {i: decision_counts.subjects_of(stored) for i, stored in contexts.items()}


def _problem(found: _Held | None) -> str | None:
    if found is None:
        return MISSING
    if found.status is AlertStatus.FOLDED:
        return f"it is folded into {found.folded_into}; decide that one"
    if found.status is AlertStatus.PARKED:
        return "it is parked, so nothing is known of it yet; retry it first"
    if found.status not in DECIDABLE:
        return "it is still being triaged; try again in a moment"
    return None


def _row(
    order: Order, moment: datetime, bulk_id: str | None, found: _Held, subjects: Subjects
) -> dict[str, Any]:
    stands = found.standing
    return {
        "disposition_id": order.disposition_id,
        "alert_id": order.alert_id,
        "disposition": order.disposition.value,
        "reason": order.reason,
        "actor": order.actor,
        "decided_at": moment,
        "stored_at": datetime.now(UTC),
        "bulk_id": bulk_id,
        "status_before": stands.status_before if stands is not None else found.status.value,
        "subjects": rows.text(subjects),
    }


def _settle(
    connection: Connection,
    ids: set[str],
    held: dict[str, _Held],
    bases: dict[str, AlertStatus] | None = None,
) -> None:
    """Bring alerts, verdicts and counts to what stands now.

    Args:
        connection: of the transaction.
        ids: the alerts whose decisions changed.
        held: what stood before.
        bases: for alerts on which no decision may stand any more, the status from before the first.
    """
    now_standing = {row.alert_id: row for row in _standing(connection, sorted(ids))}
    counts = Change()
    reviewed: dict[AlertStatus, list[tuple[Any, ...]]] = {}
    stamp: Callable[[datetime], Any] = stamp_of(connection.dialect.name)
    for alert_id in sorted(ids):
        old, new = held[alert_id].standing, now_standing.get(alert_id)
        for row, sign in ((old, -1), (new, 1)):
            if row is not None:
                counts.count(Disposition(row.disposition), stored_subjects(row.subjects), sign)
        if new is None:
            status = (bases or {}).get(alert_id, AlertStatus.TRIAGED)
            reviewed.setdefault(status, []).append((alert_id, None, None, None))
            continue
        open_ = new.disposition == Disposition.UNDETERMINED
        status = AlertStatus.TRIAGED if open_ else AlertStatus.CLOSED
        line = (alert_id, new.actor, new.reason, stamp(new.decided_at))
        reviewed.setdefault(status, []).append(line)
    for status, lines in reviewed.items():
        dossiers.review(connection, status, lines)
    decision_counts.add(connection, counts)
