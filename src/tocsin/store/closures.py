"""What a policy did with each alert, and what people say of those that it drew.

Everything here runs inside the transaction of its caller: the pipeline's, or a person's change.
"""

from collections import Counter
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.engine import Connection

from tocsin import metrics
from tocsin.model import (
    NOT_CLOSABLE,
    AlertStatus,
    Closing,
    ClosingAction,
    Disposition,
    Dossier,
    score_bin,
)
from tocsin.store import audit
from tocsin.store.bulk import IN_LIMIT, BulkInsert
from tocsin.store.tables import closing_scores, closing_state, closures, dispositions

LOCK = 0x70C5_C105  # any number that nobody else uses
_COLUMNS = (
    "alert_id",
    "policy_version",
    "class",
    "probability",
    "threshold",
    "action",
    "at",
    "closable",
    "model_version",
    "likeness",
)
_insert = BulkInsert(
    closures,
    _COLUMNS,
    key=("alert_id",),
    update={name: f"excluded.{name}" for name in _COLUMNS[1:]}
    | {"reopened_at": "NULL", "reopened_by": "NULL"},
)
_count = BulkInsert(
    closing_scores,
    ("policy_version", "class", "hour", "bin", "count"),
    key=("policy_version", "class", "hour", "bin"),
    update={"count": "closing_scores.count + excluded.count"},
)


def settle(
    connection: Connection, done: Sequence[Dossier], awaited: Container[str] = ()
) -> list[Dossier]:
    """The same dossiers; nothing is closed by a policy that has changed since it was read.

    Nor is an alert on which a model's second opinion is `awaited`: it may still raise the risk.

    The policy's revision is held until the transaction ends, so that who changes it waits for this
    batch: after the kill switch has returned, no batch closes an alert.
    """
    held = next((d.closing.revision for d in done if d.closing is not None), None)
    if held is None:
        return list(done)
    hold(connection, shared=True)
    query = sa.select(closing_state.c.revision).where(closing_state.c.id == 1)
    revision = connection.execute(query).scalar()
    return [_settled(dossier, revision, dossier.alert_id in awaited) for dossier in done]


def _settled(dossier: Dossier, revision: Any, awaited: bool) -> Dossier:
    closing = dossier.closing
    if closing is None or (closing.revision == revision and not awaited):
        return dossier
    if closing.revision != revision:
        return structs.replace(dossier, closing=None)
    drawn = closing.action is ClosingAction.SAMPLED
    left = structs.replace(
        closing,
        action=ClosingAction.SAMPLED if drawn else ClosingAction.LEFT,
        closable=False,
        why=closing.why if drawn else "a second opinion is awaited",
    )
    return structs.replace(dossier, closing=left)


def hold(connection: Connection, *, shared: bool) -> None:
    """Hold the policy's revision until the transaction ends: to read it, or alone to change it.

    An advisory lock is given out in the order of asking, so that workers that hold it one after the
    other never keep the kill switch waiting, as they could with a lock on the row. On SQLite a
    transaction that writes is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        kind = "_shared" if shared else ""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{kind}({LOCK})")


def is_closed(dossier: Dossier) -> bool:
    """Whether the policy closes the alert."""
    return dossier.closing is not None and dossier.closing.action is ClosingAction.CLOSED


def status_of(dossier: Dossier, status: AlertStatus) -> AlertStatus:
    """What the alert's row says once it is saved: that it is closed, or `status`."""
    return AlertStatus.CLOSED if is_closed(dossier) else status


def record(connection: Connection, done: Sequence[Dossier], now: Any) -> None:
    """Store what the policy did with each of these; call it last, for rows that others write."""
    kept, passed = [], Counter[tuple[int, str, str, int]]()
    for dossier in done:
        closing = dossier.closing
        if closing is None:
            continue
        if closing.action is not ClosingAction.LEFT:
            kept.append(_row(dossier.alert_id, closing, now))
        if closing.action is not ClosingAction.SAMPLED:
            hour = dossier.received_at.astimezone(UTC).strftime("%Y-%m-%dT%H")
            place = score_bin(closing.probability) + (0 if closing.closable else NOT_CLOSABLE)
            passed[closing.policy_version, closing.class_name, hour, place] += 1
    if not kept and not passed:
        return
    _insert(connection, kept)
    _count(connection, [(*key, count) for key, count in sorted(passed.items())])
    for action in (ClosingAction.CLOSED, ClosingAction.SAMPLED):
        some = [d for d in done if d.closing is not None and d.closing.action is action]
        if some and some[0].closing is not None:
            version = some[0].closing.policy_version
            ids = [dossier.alert_id for dossier in some]
            entry = audit.batch("autoclose", f"alerts.{action.value}", ids, policy=version)
            audit.record(connection, entry)


def count(done: Sequence[Dossier]) -> None:
    """Count what was committed."""
    for dossier in done:
        if (closing := dossier.closing) is not None:
            if closing.action is ClosingAction.CLOSED:
                metrics.AUTOCLOSED.labels(closing.class_name).inc()
            elif closing.action is ClosingAction.SAMPLED:
                metrics.AUTOCLOSE_SAMPLED.labels(closing.class_name).inc()


def reopen(connection: Connection, alert_id: str, actor: str) -> bool:
    """Note that a person took an alert back from the policy that closed it.

    False when none did, or when people have decided on it since: undoing that opens it again.
    """
    change = sa.update(closures).where(
        closures.c.alert_id == alert_id,
        closures.c.action == ClosingAction.CLOSED.value,
        closures.c.reopened_at.is_(None),
        sa.not_(judged_by_people()),
    )
    changed = change.values(reopened_at=datetime.now(UTC), reopened_by=actor)
    return connection.execute(changed).rowcount == 1


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete what is known of these alerts, except of samples, which bounds rest on."""
    gone = sa.delete(closures).where(closures.c.alert_id.in_(ids))
    connection.execute(gone.where(closures.c.action != ClosingAction.SAMPLED.value))


def forget_scores(connection: Connection) -> None:
    """Delete the scores of policies of before."""
    connection.execute(sa.delete(closing_scores))


def _row(alert_id: str, closing: Closing, now: Any) -> tuple[Any, ...]:
    return (
        alert_id,
        closing.policy_version,
        closing.class_name,
        closing.probability,
        closing.threshold,
        closing.action.value,
        now,
        closing.closable,
        closing.model_version,
        closing.likeness,
    )


def live(connection: Connection, ids: Sequence[str]) -> dict[str, Disposition]:
    """The latest decision of people on each of these alerts that was not undone."""
    found: dict[str, Disposition] = {}
    d = dispositions.c
    for start in range(0, len(ids), IN_LIMIT):
        query = sa.select(d.alert_id, d.disposition).where(
            d.alert_id.in_(ids[start : start + IN_LIMIT]), d.undone_at.is_(None)
        )
        for row in connection.execute(query.order_by(d.decided_at, d.disposition_id)):
            found[row.alert_id] = Disposition(row.disposition)
    return found


def judged_by_people() -> sa.ColumnElement[bool]:
    """Whether there is a decision on the alert of a row of `closures` that was not undone."""
    d = dispositions.c
    one = sa.select(d.disposition_id).where(
        d.alert_id == closures.c.alert_id, d.undone_at.is_(None)
    )
    return one.exists()
