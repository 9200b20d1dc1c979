"""What people do to incidents: split, merge, add, remove, close, reopen, assign, and undo.

An undo finds out whether things still are as the change left them, and refuses otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.engine import Connection

from tocsin.errors import ConflictError, InputError, NotFoundError
from tocsin.model import IncidentAction, IncidentStatus
from tocsin.ports import Grouping, Met, Trail
from tocsin.store import incident_reading, incidents, meeting
from tocsin.store.database import Database
from tocsin.store.incident_reading import Step
from tocsin.store.incidents import Change
from tocsin.store.quality import written

MOST_BY_HAND = 1000  # alerts of one change
NAME_LIMIT = 256


class IncidentStore:
    """Incidents for the pipeline's step and for people."""

    def __init__(self, database: Database, grouping: Grouping) -> None:
        self._database = database
        self._grouping = grouping

    async def meet(
        self, trails: Sequence[Trail], asked: Sequence[Trail], window: timedelta, most: int
    ) -> Sequence[Met]:
        """See `ports.Incidents.meet`."""
        return await meeting.meet(self._database, trails, asked, window, most)

    async def split(
        self, incident_id: str, alerts: Sequence[str], *, actor: str, reason: str
    ) -> str:
        """Take alerts out into an incident of their own; gives its id.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: it is closed, or an alert is not in it (any more).
            InputError: no alert is named, or none would be left.
        """
        new = str(uuid4())

        def plan(change: Change) -> None:
            members = _open_members(change)
            _named(alerts, members)
            if len(set(alerts)) == len(members):
                raise InputError("alerts: a split leaves at least one alert in the incident")
            incidents.create(change.connection, [new], IncidentStatus.CLOSED)
            change.other_id = new
            change.set(new, status=IncidentStatus.OPEN.value, held=True)
            change.set(change.incident_id, held=True)
            change.steps = [Step(alert, change.incident_id, new) for alert in dict.fromkeys(alerts)]

        await self._change(incident_id, IncidentAction.SPLIT, actor, reason, plan)
        return new

    async def merge(self, incident_id: str, other_id: str, *, actor: str, reason: str) -> str:
        """Put all alerts of another incident into this one and close the other.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: one of them is closed.
            InputError: both are the same.
        """
        if incident_id == other_id:
            raise InputError("incident_id: an incident cannot be merged with itself")

        def plan(change: Change) -> None:
            _open_members(change)
            incident_reading.must_exist(change.connection, other_id)
            theirs = incident_reading.members_of(change.connection, other_id)
            _must_be(change.connection, other_id, IncidentStatus.OPEN)
            change.other_id = other_id
            change.steps = [Step(alert, other_id, incident_id) for alert in theirs]
            change.set(incident_id, held=True)
            closed = {"status": IncidentStatus.CLOSED.value, "closed_at": datetime.now(UTC)}
            change.set(other_id, merged_into=incident_id, **closed)

        return await self._change(incident_id, IncidentAction.MERGE, actor, reason, plan)

    async def add(self, incident_id: str, alerts: Sequence[str], *, actor: str, reason: str) -> str:
        """Put alerts into an incident, out of whichever they are in.

        Raises:
            NotFoundError: there is no such incident or alert.
            ConflictError: it is closed.
            InputError: no alert is named.
        """

        def plan(change: Change) -> None:
            _open_members(change)
            _named(alerts, None)
            unknown = set(alerts) - incident_reading.existing(change.connection, alerts)
            if unknown:
                raise NotFoundError(f"there is no alert {min(unknown)}")
            now = incident_reading.whereabouts(change.connection, alerts)
            change.steps = [
                Step(alert, now.get(alert), incident_id)
                for alert in dict.fromkeys(alerts)
                if now.get(alert) != incident_id
            ]
            change.set(incident_id, held=True)

        return await self._change(incident_id, IncidentAction.ADD, actor, reason, plan)

    async def remove(
        self, incident_id: str, alerts: Sequence[str], *, actor: str, reason: str
    ) -> str:
        """Take alerts out; the pipeline never puts them back into this incident.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: it is closed, or an alert is not in it (any more).
            InputError: no alert is named.
        """

        def plan(change: Change) -> None:
            _named(alerts, _open_members(change))
            change.steps = [Step(alert, incident_id, None) for alert in dict.fromkeys(alerts)]
            change.set(incident_id, held=True)

        return await self._change(incident_id, IncidentAction.REMOVE, actor, reason, plan)

    async def close(self, incident_id: str, *, actor: str, reason: str) -> str:
        """Close an incident: no alert goes in any more.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: it is closed already.
        """

        def plan(change: Change) -> None:
            _open_members(change)
            closed = {"status": IncidentStatus.CLOSED.value, "closed_at": datetime.now(UTC)}
            change.set(incident_id, **closed)

        return await self._change(incident_id, IncidentAction.CLOSE, actor, reason, plan)

    async def reopen(self, incident_id: str, *, actor: str, reason: str) -> str:
        """Open a closed incident again.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: it is open, or another incident took over its alerts.
        """

        def plan(change: Change) -> None:
            _must_be(change.connection, incident_id, IncidentStatus.CLOSED)
            merged = incident_reading.columns(change.connection, incident_id, ("merged_into",))
            if merged["merged_into"]:
                raise ConflictError(
                    f"the incident was merged into {merged['merged_into']}; undo that instead"
                )
            change.set(incident_id, status=IncidentStatus.OPEN.value, closed_at=None)

        return await self._change(incident_id, IncidentAction.REOPEN, actor, reason, plan)

    async def assign(self, incident_id: str, to: str | None, *, actor: str, reason: str) -> str:
        """Say who looks after an incident; None: nobody.

        Raises:
            NotFoundError: there is no such incident.
            InputError: the name is empty or cannot be stored.
        """
        if to is not None and not written("assigned_to", to, NAME_LIMIT).strip():
            raise InputError("assigned_to: name somebody, or give null for nobody")
        return await self._change(
            incident_id,
            IncidentAction.ASSIGN,
            actor,
            reason,
            lambda change: change.set(incident_id, assigned_to=to),
        )

    async def undo(self, incident_id: str, *, actor: str, reason: str) -> str:
        """Take the last change back that was not taken back yet.

        Alerts that retention has deleted since are left out.

        Raises:
            NotFoundError: there is no such incident, or nothing to undo.
            ConflictError: things have changed since, so that it cannot be undone.
        """

        def plan(change: Change) -> None:
            last = incident_reading.last_change(change.connection, incident_id)
            if last is None:
                raise NotFoundError(f"nothing was done to incident {incident_id} yet")
            moved = [step.alert_id for step in last.steps]
            there = incident_reading.existing(change.connection, moved)
            if moved and not there:
                raise ConflictError(
                    f"alert {moved[0]} has been deleted since, as all that it moved"
                )
            last = last._replace(steps=[step for step in last.steps if step.alert_id in there])
            now = incident_reading.whereabouts(change.connection, sorted(there))
            stale = [step.alert_id for step in last.steps if now.get(step.alert_id) != step.into]
            if stale:
                raise ConflictError(f"alert {stale[0]} has been moved since; undo that first")
            change.other_id = last.other_id
            _must_keep_nothing(change.connection, last)
            change.steps = [Step(s.alert_id, s.into, s.out_of) for s in last.steps]
            for each, values in last.fields.items():
                stored = incident_reading.columns(change.connection, each, values)
                for name, (_, after) in values.items():
                    if stored[name] != after and name != "held":
                        raise ConflictError(f"{name} of incident {each} has been changed since")
                change.set(each, **{name: before for name, (before, _) in values.items()})
            change.undone = last.change_id

        return await self._change(incident_id, IncidentAction.UNDO, actor, reason, plan)

    async def _change(
        self,
        incident_id: str,
        action: IncidentAction,
        actor: str,
        reason: str,
        plan: Callable[[Change], None],
    ) -> str:
        """Run a plan, and record it with what it changed; gives the change's id."""
        written("reason", reason)

        def write(connection: Connection) -> str:
            incidents.lock(connection)
            incident_reading.must_exist(connection, incident_id)
            change = Change(connection, incident_id)
            plan(change)
            return incidents.carry_out(
                change, action, actor=actor, reason=reason, grouping=self._grouping
            )

        return await self._database.write(write)


def _open_members(change: Change) -> Mapping[str, Any]:
    _must_be(change.connection, change.incident_id, IncidentStatus.OPEN)
    return dict.fromkeys(incident_reading.members_of(change.connection, change.incident_id))


def _must_be(connection: Connection, incident_id: str, status: IncidentStatus) -> None:
    stored = incident_reading.columns(connection, incident_id, ("status",))["status"]
    if stored != status.value:
        raise ConflictError(f"incident {incident_id} is {stored}")


def _must_keep_nothing(connection: Connection, split: incident_reading.Change) -> None:
    """An incident that an undo closes must hold no other alert by now."""
    came = {step.alert_id for step in split.steps}
    for each, values in split.fields.items():
        closes = values.get("status", ("", ""))[0] == IncidentStatus.CLOSED.value
        stays = set(incident_reading.members_of(connection, each)) - came
        if closes and stays and split.steps:
            raise ConflictError(f"incident {each} has other alerts by now; merge it instead")


def _named(alerts: Sequence[str], members: Mapping[str, Any] | None) -> None:
    if not alerts:
        raise InputError("alerts: name at least one alert")
    if len(alerts) > MOST_BY_HAND:
        raise InputError(f"alerts: at most {MOST_BY_HAND} at once")
    for alert in alerts:
        if members is not None and alert not in members:
            raise ConflictError(f"alert {alert} is not in the incident")
