"""What it takes to work a stored verdict out anew, and what was noted about its alert."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.audit_chain import BEGUN, REGISTER
from tocsin.errors import NotFoundError
from tocsin.model import (
    AuditLine,
    Disposition,
    Judged,
    Learned,
    Membership,
    Opinion,
    Papers,
    RemediationStatus,
    StoredDecision,
    sightings_then,
)
from tocsin.store import reading, rows
from tocsin.store.bulk import IN_LIMIT
from tocsin.store.database import Database
from tocsin.store.opinions import opinion_of
from tocsin.store.tables import (
    alerts,
    audit_logs,
    dispositions,
    incident_alerts,
    models,
    opinions,
    remediation_actions,
    triage_results,
)
from tocsin.store.types import instant_text

FILLED = ("alert", "context", "verdict")
ABOUT_ONE = (
    *("alert.decided", "alert.reopened", "alert.unparked", "opinion.recorded", "decision.undone"),
    *("alerts.decided", "bulk.begun", "bulk.undone", "decisions.undone"),
    *(f"remediation.{status.value}" for status in RemediationStatus),
)
"""The actions that an alert's bundle tells of. A sender may name an alert as others name tables."""
PORTION = IN_LIMIT
_learned = msgspec.json.Decoder(Learned)


class ProofStore:
    """Reads verdicts with what they were made from; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def judged(self, ids: Sequence[str]) -> list[Judged]:
        """These alerts as triage saw them, in the order of `ids`; what is not there is left out."""
        return await self._database.read(lambda connection: _judged(connection, ids))

    async def one(self, alert_id: str) -> Judged:
        """One alert as triage saw it.

        Raises:
            NotFoundError: there is no such alert.
        """
        found = await self.judged([alert_id])
        if not found:
            raise NotFoundError(f"there is no alert {alert_id} in this database")
        return found[0]

    async def portions(
        self, since: datetime | None = None, limit: int | None = None
    ) -> AsyncIterator[list[str]]:
        """The ids of alerts with a verdict, those received last first, a portion at a time."""
        after: tuple[Any, str] | None = None
        left = limit
        while left is None or left > 0:
            query = _page(since, after, PORTION if left is None else min(PORTION, left))
            found = await self._database.read(lambda c, query=query: c.execute(query).all())  # type: ignore[misc]  # bound at once
            if not found:
                return
            yield [row.alert_id for row in found]
            after = (found[-1].received_at, found[-1].alert_id)
            left = None if left is None else left - len(found)

    async def count(self, since: datetime | None = None) -> int:
        """How many alerts have a verdict."""
        query = sa.select(sa.func.count()).select_from(_with_verdict())
        if since is not None:
            query = query.where(alerts.c.received_at >= since)
        return int(await self._database.read(lambda c: c.execute(query).scalar_one()))

    async def learned(self, version: str) -> Learned | None:
        """A learned model of the registry, whether it is live or not."""
        query = sa.select(models.c.artifact).where(models.c.version == version)
        found = await self._database.read(lambda c: c.execute(query).scalar())
        return None if found is None else _learned.decode(found)

    async def papers(self, alert_id: str) -> Papers:
        """What was noted about an alert beside its verdict, in one moment's state."""
        return await self._database.read(lambda connection: _papers(connection, alert_id))


def _with_verdict() -> sa.FromClause:
    return alerts.join(triage_results, triage_results.c.alert_id == alerts.c.alert_id)


def _page(
    since: datetime | None, after: tuple[Any, str] | None, limit: int
) -> sa.Select[tuple[str, datetime]]:
    a = alerts.c
    query = sa.select(a.alert_id, a.received_at).select_from(_with_verdict())
    if since is not None:
        query = query.where(a.received_at >= since)
    if after is not None:
        key = sa.tuple_(a.received_at, a.alert_id)
        query = query.where(key < sa.tuple_(sa.literal(after[0], a.received_at.type), after[1]))
    return query.order_by(a.received_at.desc(), a.alert_id.desc()).limit(limit)


def _judged(connection: Connection, ids: Sequence[str]) -> list[Judged]:
    kept: dict[str, str | None] = {}
    said: dict[str, Opinion] = {}
    for start in range(0, len(ids), IN_LIMIT):
        part = ids[start : start + IN_LIMIT]
        t = triage_results.c
        query = sa.select(t.alert_id, t.inputs).where(t.alert_id.in_(part))
        kept.update({row.alert_id: row.inputs for row in connection.execute(query)})
        wanted = sa.select(opinions).where(opinions.c.alert_id.in_(part))
        for row in connection.execute(wanted).mappings():
            said[row["alert_id"]] = opinion_of(row)
    found = []
    for dossier in reading.load(connection, ids, FILLED):
        inputs = rows.inputs_from(kept.get(dossier.alert_id))
        then = msgspec.structs.replace(
            dossier,
            intel=sightings_then(dossier.alert, inputs) if dossier.alert else (),
            detection=inputs.detection,
        )
        found.append(Judged(dossier=then, inputs=inputs, opinion=said.get(dossier.alert_id)))
    return found


def _papers(connection: Connection, alert_id: str) -> Papers:
    """Audit rows are those about the alert, its decisions and the actions proposed for it.

    The register's rows of their chains go along: they say whether a key is in the hashes.
    """
    d, i, a, r = dispositions.c, incident_alerts.c, audit_logs.c, remediation_actions.c
    query = sa.select(dispositions).where(d.alert_id == alert_id)
    decided = connection.execute(query.order_by(d.decided_at, d.disposition_id)).all()
    query = sa.select(incident_alerts).where(i.alert_id == alert_id)
    joined = connection.execute(query.order_by(i.added_at, i.incident_id)).all()
    proposed = connection.execute(sa.select(r.action_id).where(r.alert_id == alert_id)).scalars()
    subjects = {alert_id, *proposed, *(row.disposition_id for row in decided)}
    subjects |= {row.bulk_id for row in decided if row.bulk_id is not None}
    about = sa.and_(a.subject.in_(sorted(subjects)), a.action.in_(ABOUT_ONE))
    writers = sa.select(a.writer).where(about)
    begun = sa.and_(a.writer == REGISTER, a.action == BEGUN, a.subject.in_(writers))
    query = sa.select(audit_logs).where(sa.or_(about, begun))
    logged = connection.execute(query.order_by(a.logged_at, a.writer, a.sequence))
    return Papers(
        decisions=tuple(
            StoredDecision(
                disposition_id=row.disposition_id,
                disposition=Disposition(row.disposition),
                reason=row.reason,
                actor=row.actor,
                decided_at=row.decided_at,
                undone_at=row.undone_at,
                undone_by=row.undone_by,
            )
            for row in decided
        ),
        incidents=tuple(
            Membership(
                incident_id=row.incident_id,
                reasons=msgspec.Raw(row.reasons.encode()),
                added_by=row.added_by,
                added_at=row.added_at,
                score=row.score,
                removed_by=row.removed_by,
                removed_at=row.removed_at,
            )
            for row in joined
        ),
        audit=tuple(
            AuditLine(**{**row, "logged_at": instant_text(row["logged_at"])})
            for row in logged.mappings()
        ),
    )
