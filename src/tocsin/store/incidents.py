"""Writing incidents: alerts go in by the pipeline's rules, and changes of people are carried out.

The pipeline places alerts in the transaction that ends their follow-up, behind a lock, so that two
processes cannot put one alert into two incidents. Every change is kept with what it changed, so
that it can be undone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Dossier, Gist, IncidentAction, IncidentStatus
from tocsin.ports import Grouping, Move
from tocsin.store import audit, incident_reading, meeting, remediation
from tocsin.store.bulk import BulkInsert, BulkUpdate, one_of
from tocsin.store.copying import Row
from tocsin.store.database import upsert
from tocsin.store.incident_reading import Step
from tocsin.store.rows import text
from tocsin.store.tables import incident_alerts, incident_changes, incidents
from tocsin.store.types import stamp_of

LOCK = 0x70C5_1B  # any number that nobody else uses
PIPELINE = "pipeline"

_COLUMNS = ("score", "reasons", "added_by", "added_at", "removed_by", "removed_at")
_put = BulkInsert(
    incident_alerts,
    ("incident_id", "alert_id", *_COLUMNS),
    key=("incident_id", "alert_id"),
    update={name: f"excluded.{name}" for name in _COLUMNS},
)
_tell = BulkUpdate(
    incidents,
    "incident_id",
    ("title", "summary", "severity", "alerts", "first_at", "last_at", "updated_at", "gist"),
)

Fields = dict[str, dict[str, tuple[Any, Any]]]
"""By incident and column: the value before and after."""


class Change:
    """What one change does: alerts that go from one incident to another, and columns.

    `undone` is the id of an earlier change that this one takes back.
    """

    def __init__(self, connection: Connection, incident_id: str) -> None:
        self.connection = connection
        self.incident_id = incident_id
        self.other_id: str | None = None
        self.undone: str | None = None
        self.steps: list[Step] = []
        self.fields: Fields = {}

    def set(self, incident_id: str, **values: Any) -> None:
        """A column of an incident gets a value, if it has another."""
        stored = incident_reading.columns(self.connection, incident_id, values)
        for name, value in values.items():
            if stored[name] != value:
                self.fields.setdefault(incident_id, {})[name] = (stored[name], value)


def carry_out(
    change: Change, action: IncidentAction, *, actor: str, reason: str, grouping: Grouping
) -> str:
    """Do what a change says, and record it; gives the id of the record.

    The caller holds the lock.
    """
    connection = change.connection
    _go(connection, change.steps, actor)
    _set(change)
    if change.undone is not None:
        undone = incident_changes.c.change_id == change.undone
        now = datetime.now(UTC)
        connection.execute(sa.update(incident_changes).where(undone).values(undone_at=now))
    remediation.follow(connection, change.steps)
    _tell_anew(connection, {change.incident_id, *_touched(change.steps)}, grouping)
    return _keep(change, action, actor, reason)


# --- the pipeline's side ---------------------------------------------------------------------


def follow(connection: Connection, dossiers: Sequence[Dossier], grouping: Grouping) -> None:
    """Place these alerts by their links, and propose what should be done about them.

    Runs within the transaction that ends their follow-up.
    """
    if not dossiers:
        return
    lock(connection)
    links = {dossier.alert_id: dossier.links for dossier in dossiers}
    everybody = {link.alert_id for tied in links.values() for link in tied} | links.keys()
    placed = incident_reading.placed(connection, sorted(everybody))
    links = {alert_id: tied for alert_id, tied in links.items() if alert_id in placed}
    known = sorted({one.incident_id for one in placed.values() if one.incident_id})
    moves = grouping.place(
        links,
        placed,
        incident_reading.extents(connection, known),
        incident_reading.parted(connection, sorted(everybody), by_pipeline=PIPELINE),
    )
    steps = _follow_moves(connection, moves)
    remediation.follow(connection, steps)
    again = {one.incident_id for alert_id in links if (one := placed[alert_id]).incident_id}
    _tell_more(connection, moves, again, grouping)
    now = incident_reading.whereabouts(connection, sorted(links))
    remediation.propose(
        connection,
        [
            (dossier.alert_id, now.get(dossier.alert_id), grouping.proposals(dossier))
            for dossier in dossiers
        ],
    )


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete what ties these alerts to others; their incidents keep title and summary."""
    meeting.forget(connection, ids)
    look_anew(connection, ids)
    these = one_of(connection, incident_alerts.c.alert_id, ids)
    connection.execute(sa.delete(incident_alerts).where(these))


def look_anew(connection: Connection, ids: Sequence[str]) -> None:
    """Let the incidents of these alerts be told from all their alerts when the next one comes.

    Call it last in a transaction that changes or deletes what is told of an alert: it takes the
    lock, so that nobody tells an incident meanwhile from what was there before.
    """
    lock(connection)
    i = incident_alerts.c
    theirs = sa.select(i.incident_id).where(
        one_of(connection, i.alert_id, ids), i.removed_at.is_(None)
    )
    change = sa.update(incidents).where(incidents.c.incident_id.in_(theirs))
    connection.execute(change.values(gist=None))


def _follow_moves(connection: Connection, moves: Sequence[Move]) -> list[Step]:
    """Write the pipeline's moves, in their order; gives the steps since the last merge."""
    new = dict.fromkeys(move.into for move in moves if move.alert_id)
    create(connection, list(new), IncidentStatus.OPEN)
    steps: list[Step] = []
    for move in moves:
        if move.alert_id:
            steps.append(Step(move.alert_id, None, move.into, move.link))
            continue
        assert move.out_of is not None
        _go(connection, steps, PIPELINE)  # those of this batch go along
        change = Change(connection, move.into)
        change.other_id = move.out_of
        goes = incident_reading.members_of(connection, move.out_of)
        change.steps = [Step(alert, move.out_of, move.into) for alert in goes]
        closed = {"status": IncidentStatus.CLOSED.value, "closed_at": datetime.now(UTC)}
        change.set(move.out_of, merged_into=move.into, **closed)
        _set(change)
        _go(connection, change.steps, PIPELINE)
        _keep(change, IncidentAction.MERGE, PIPELINE, "A strong link ties both.")
        remediation.follow(connection, [*steps, *change.steps])
        steps = []
    _go(connection, steps, PIPELINE)
    return steps


# --- writing ---------------------------------------------------------------------------------


def lock(connection: Connection) -> None:
    """One at a time changes incidents; on SQLite one at a time writes anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def create(connection: Connection, ids: Sequence[str], status: IncidentStatus) -> None:
    """New incidents without alerts; what exists already stays as it is."""
    now = datetime.now(UTC)
    rows = [
        {
            "incident_id": each,
            "title": "",
            "status": status.value,
            "created_at": now,
            "updated_at": now,
            "held": False,
        }
        for each in ids
    ]
    upsert(connection, incidents, rows, key=("incident_id",), update=("updated_at",))


def _go(connection: Connection, steps: Sequence[Step], actor: str) -> None:
    """Alerts leave and enter incidents; a row per pair says who did it and why."""
    now = datetime.now(UTC)
    i = incident_alerts.c
    for source in sorted({step.out_of for step in steps if step.out_of}):
        gone = [step.alert_id for step in steps if step.out_of == source]
        there = one_of(connection, i.alert_id, gone)
        left = sa.update(incident_alerts).where(
            i.incident_id == source, there, i.removed_at.is_(None)
        )
        connection.execute(left.values(removed_at=now, removed_by=actor))
    why = incident_reading.reasons(connection, [s.alert_id for s in steps if s.link is None])
    stamp = stamp_of(connection.dialect.name)(now)
    rows = []
    for step in steps:
        if step.into is None:
            continue
        score, reasons = why.get(step.alert_id, (None, "[]"))
        if step.link is not None:
            score, reasons = step.link.score, text((step.link,))
        rows.append((step.into, step.alert_id, score, reasons, actor, stamp, None, None))
    _put(connection, rows)


def _tell_more(
    connection: Connection, moves: Sequence[Move], changed: set[str], grouping: Grouping
) -> None:
    """Tell incidents that grew: from what is known of them, or anew where that is not enough.

    Args:
        connection: of the transaction that carried out the moves.
        moves: what became of alerts.
        changed: incidents of which an alert says something new.
        grouping: the rules.
    """
    merged = {each for move in moves if move.out_of for each in (move.out_of, move.into)}
    joined = {move.alert_id: move.into for move in moves if move.out_of is None}
    grew = sorted(set(joined.values()) - merged - changed)
    known = incident_reading.gists(connection, grew)
    new = incident_reading.members(connection, list(known), sorted(joined))
    _write(
        connection,
        {each: grouping.gist(came, known[each]) for each, came in new.items() if came},
        grouping,
    )
    _tell_anew(connection, (merged | changed | set(grew)) - known.keys(), grouping)


def _tell_anew(connection: Connection, ids: Iterable[str], grouping: Grouping) -> None:
    """Tell each incident from all its alerts; one that lost all keeps what it said of them."""
    told: dict[str, Gist] = {}
    for incident_id, members in incident_reading.members(connection, sorted(ids)).items():
        if members:
            told[incident_id] = grouping.gist(members)
            continue
        here = incidents.c.incident_id == incident_id
        empty = {"alerts": 0, "updated_at": datetime.now(UTC), "gist": None}
        connection.execute(sa.update(incidents).where(here).values(**empty))
    _write(connection, told, grouping)


def _write(connection: Connection, told: Mapping[str, Gist], grouping: Grouping) -> None:
    stamp = stamp_of(connection.dialect.name)
    now = stamp(datetime.now(UTC))
    rows: list[Row] = []
    for incident_id, gist in told.items():
        said = grouping.account(gist)
        first, last = stamp(gist.first_at), stamp(gist.last_at)
        rows.append(
            (incident_id, said.title, said.summary, said.severity.value, gist.alerts, first, last,
             now, text(gist))
        )  # fmt: skip
    _tell(connection, rows)


def _set(change: Change) -> None:
    for incident_id, values in change.fields.items():
        new = {name: after for name, (_, after) in values.items()}
        row = incidents.c.incident_id == incident_id
        change.connection.execute(sa.update(incidents).where(row).values(**new))


def _keep(change: Change, action: IncidentAction, actor: str, reason: str) -> str:
    """Record a change in the history and in the audit trail."""
    change_id = str(uuid4())
    detail = {
        "steps": [(step.alert_id, step.out_of, step.into) for step in change.steps],
        "fields": change.fields,
    }
    row = {
        "change_id": change_id,
        "incident_id": change.incident_id,
        "other_id": change.other_id,
        "changed_at": datetime.now(UTC),
        "actor": actor,
        "action": action.value,
        "reason": reason,
        "detail": text(detail),
    }
    change.connection.execute(sa.insert(incident_changes), row)
    said = {"change": change_id, "other": change.other_id, "reason": reason, **detail}
    name = "incident." + action.value
    audit.record(change.connection, audit.Entry(actor, name, change.incident_id, said))
    return change_id


def _touched(steps: Iterable[Step]) -> set[str]:
    return {each for step in steps for each in (step.out_of, step.into) if each}
