"""Proposed actions: what triage recommends, approved or rejected by people; nothing is executed.

An action's natural key is what it would do to what, within one incident (or for one alert), so
that many alerts propose it once. A decision is bound to a digest of exactly that; an approval runs
out, and then the action counts as proposed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from tocsin.errors import ConflictError, InputError, NotFoundError
from tocsin.model import Action, Record, Remediation, RemediationStatus
from tocsin.store import audit
from tocsin.store.bulk import one_of
from tocsin.store.database import Database
from tocsin.store.incident_pages import before, cursor_of
from tocsin.store.incident_reading import Step
from tocsin.store.quality import written
from tocsin.store.rows import text
from tocsin.store.tables import remediation_actions

OPEN = (RemediationStatus.PROPOSED, RemediationStatus.APPROVED)
FROM: dict[RemediationStatus, tuple[RemediationStatus, ...]] = {
    RemediationStatus.APPROVED: (RemediationStatus.PROPOSED,),
    RemediationStatus.REJECTED: OPEN,
}
"""From which statuses a decision leads where."""

_MOVE = (
    sa.update(remediation_actions)
    .where(remediation_actions.c.action_id == sa.bindparam("of"))
    .values(incident_id=sa.bindparam("incident"), natural_key=sa.bindparam("key"))
)


class RemediationPage(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A page and the cursor of the next one; None after the last."""

    actions: tuple[Remediation, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RemediationFilter:
    """What a list is narrowed to; None means any."""

    status: RemediationStatus | None = None
    alert_id: str | None = None
    incident_id: str | None = None
    entity_type: str | None = None
    entity: str | None = None
    action: str | None = None


class RemediationStore:
    """Proposed actions, for people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: RemediationFilter, *, limit: int = 50, cursor: str | None = None
    ) -> RemediationPage:
        """Actions that fit, the newest proposal first.

        Raises:
            InputError: the cursor is not one of ours.
        """
        c = remediation_actions.c
        now = datetime.now(UTC)
        query = sa.select(remediation_actions).where(c.natural_key.is_not(None))
        for name in ("alert_id", "incident_id", "entity_type", "entity", "action"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(c[name] == value)
        if wanted.status is not None:
            query = query.where(_has(wanted.status, now))
        if cursor is not None:
            query = query.where(
                sa.tuple_(c.proposed_at, c.action_id) < before(c.proposed_at, cursor)
            )
        query = query.order_by(c.proposed_at.desc(), c.action_id.desc()).limit(limit + 1)
        rows = await self._database.read(
            lambda connection: connection.execute(query).mappings().all()
        )
        found = tuple(_remediation(row, now) for row in rows[:limit])
        last = found[-1] if len(rows) > limit else None
        following = cursor_of(last.proposed_at, last.action_id) if last else None
        return RemediationPage(actions=found, next_cursor=following)

    async def read(self, action_id: str) -> Remediation:
        """One action.

        Raises:
            NotFoundError: there is no such action.
        """
        return await self._database.read(lambda connection: _read(connection, action_id))

    async def approve(
        self, action_id: str, digest: str, *, lifetime: timedelta, actor: str, reason: str
    ) -> Remediation:
        """Approve exactly what the digest stands for; the approval ends after `lifetime`.

        Raises:
            NotFoundError: there is no such action.
            ConflictError: it is not proposed (any more), or is not what the digest stands for.
        """
        status = RemediationStatus.APPROVED
        return await self._decide(action_id, status, digest, actor, reason, lifetime)

    async def reject(
        self, action_id: str, digest: str | None, *, actor: str, reason: str
    ) -> Remediation:
        """Reject a proposal, or take an approval back.

        Raises:
            NotFoundError: there is no such action.
            ConflictError: it was rejected already, or is not what the digest stands for.
        """
        status = RemediationStatus.REJECTED
        return await self._decide(action_id, status, digest, actor, reason, None)

    async def _decide(
        self,
        action_id: str,
        status: RemediationStatus,
        digest: str | None,
        actor: str,
        reason: str,
        lifetime: timedelta | None,
    ) -> Remediation:
        if not written("reason", reason).strip():
            raise InputError("reason: say why")

        def change(connection: Connection) -> Remediation:
            c = remediation_actions.c
            now = datetime.now(UTC)
            expires = None if lifetime is None else now + lifetime
            stored = _read(connection, action_id)
            if digest is not None and digest != stored.digest:
                raise ConflictError(
                    f"action {action_id} is not what this digest stands for; read it again"
                )
            if stored.status not in FROM[status]:
                raise ConflictError(f"action {action_id} is {stored.status.value} already")
            decided = {
                "status": status.value,
                "decided_at": now,
                "decided_by": actor,
                "decision_reason": reason,
                "expires_at": expires,
            }
            unchanged = sa.and_(
                c.action_id == action_id,
                c.digest == stored.digest,
                sa.or_(*(_has(each, now) for each in FROM[status])),
            )
            changed = connection.execute(
                sa.update(remediation_actions).where(unchanged).values(**decided)
            )
            if changed.rowcount != 1:
                raise ConflictError(f"somebody else has decided on action {action_id} just now")
            said = {
                "before": stored.status.value,
                "digest": stored.digest,
                "action": stored.action,
                "entity_type": stored.entity_type,
                "entity": stored.entity,
                "reason": reason,
                "expires_at": expires,
            }
            name = "remediation." + status.value
            audit.record(connection, audit.Entry(actor, name, action_id, said))
            return _read(connection, action_id)

        return await self._database.write(change)


def propose(
    connection: Connection, proposals: Sequence[tuple[str, str | None, Sequence[Action]]]
) -> None:
    """Propose actions, each once for what it would do; within the caller's transaction.

    Args:
        connection: of that transaction.
        proposals: an alert, the incident it is in, and its actions.
    """
    now = datetime.now(UTC)
    rows: dict[str, dict[str, Any]] = {}
    for alert_id, incident_id, actions in proposals:
        for action in actions:
            key = _natural_key(
                incident_id or alert_id, action.action, action.entity_type, action.entity
            )
            rows.setdefault(key, _row(key, alert_id, incident_id, action, now))
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(remediation_actions).on_conflict_do_nothing(
        index_elements=["natural_key"]
    )
    connection.execute(insert, [rows[key] for key in sorted(rows)])


def follow(connection: Connection, steps: Sequence[Step]) -> None:
    """Take open proposals of alerts along into the incident that the alerts went into.

    A proposal that the other incident has already stays where it is.
    """
    into = {step.alert_id: step.into for step in steps if step.alert_id}
    c = remediation_actions.c
    if not into:
        return
    some = sa.select(
        c.action_id, c.alert_id, c.action, c.entity_type, c.entity, c.natural_key
    ).where(
        one_of(connection, c.alert_id, sorted(into)),
        c.status.in_([status.value for status in OPEN]),
    )
    moved: dict[str, Any] = {}
    for row in connection.execute(some.order_by(c.action_id)):
        scope = into[row.alert_id] or row.alert_id
        key = _natural_key(scope, row.action, row.entity_type, row.entity)
        if key != row.natural_key:
            moved.setdefault(key, row)
    if not moved:
        return
    there = one_of(connection, c.natural_key, sorted(moved))
    taken = set(connection.execute(sa.select(c.natural_key).where(there)).scalars())
    changes = [
        {"of": row.action_id, "incident": into[row.alert_id], "key": key}
        for key, row in sorted(moved.items())
        if key not in taken
    ]
    if changes:
        connection.execute(_MOVE, changes)


def digest_of(action: str, entity_type: str, entity: str) -> str:
    """What an approval is bound to: what is done to what."""
    return sha256(msgspec.json.encode([action, entity_type, entity])).hexdigest()


def _natural_key(scope: str, action: str, entity_type: str, entity: str) -> str:
    return sha256(msgspec.json.encode([scope, action, entity_type, entity])).hexdigest()


def _row(
    key: str, alert_id: str, incident_id: str | None, action: Action, now: datetime
) -> dict[str, Any]:
    return {
        "action_id": str(uuid4()),
        "natural_key": key,
        "alert_id": alert_id,
        "incident_id": incident_id,
        "action": action.action,
        "entity_type": action.entity_type,
        "entity": action.entity,
        "status": RemediationStatus.PROPOSED.value,
        "reason": action.reason,
        "proposed_at": now,
        "title": action.title,
        "phase": action.phase.value,
        "priority": action.priority,
        "evidence": text(action.evidence),
        "undo": action.undo,
        "effort": action.effort,
        "blast_radius": action.blast_radius,
        "digest": digest_of(action.action, action.entity_type, action.entity),
    }


def _has(status: RemediationStatus, now: datetime) -> sa.ColumnElement[bool]:
    """Whether a row has this status at a moment: an approval that ran out is a proposal again."""
    c = remediation_actions.c
    ran_out = sa.and_(c.status == RemediationStatus.APPROVED.value, c.expires_at <= now)
    if status is RemediationStatus.PROPOSED:
        return sa.or_(c.status == status.value, ran_out)
    if status is RemediationStatus.APPROVED:
        return sa.and_(c.status == status.value, sa.not_(ran_out))
    return c.status == status.value


def _read(connection: Connection, action_id: str) -> Remediation:
    query = sa.select(remediation_actions).where(remediation_actions.c.action_id == action_id)
    row = connection.execute(query).mappings().first()
    if row is None or row["natural_key"] is None:
        raise NotFoundError(f"there is no action {action_id}")
    return _remediation(row, datetime.now(UTC))


def _remediation(row: Any, now: datetime) -> Remediation:
    values = {name: row[name] for name in Remediation.__struct_fields__}
    values["evidence"] = msgspec.json.decode(row["evidence"]) if row["evidence"] else ()
    expires = row["expires_at"]
    if row["status"] == RemediationStatus.APPROVED.value and expires and expires <= now:
        values["status"] = RemediationStatus.PROPOSED.value
    return msgspec.convert({k: v for k, v in values.items() if v is not None}, Remediation)
