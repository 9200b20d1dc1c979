"""`/api/v1/incidents`: alerts that belong together, and what people do with them."""

from datetime import datetime
from typing import Any

from litestar import Request, Router, get
from litestar.params import FromPath, FromQuery, JSONBody

from tocsin.api.access import actor_of, needs
from tocsin.api.asked import Name, PageSize, changes, zoned
from tocsin.app import System
from tocsin.model import IncidentStatus, KeyScope, Record, Severity
from tocsin.store.casework import IncidentStore
from tocsin.store.incident_pages import IncidentDetail, IncidentFilter, IncidentPage


class Why(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a change: why it is made."""

    reason: str = ""


class Some(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a change of some alerts."""

    alerts: tuple[Name, ...]
    reason: str = ""


class Other(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a merge: the incident whose alerts this one takes over."""

    incident_id: Name
    reason: str = ""


class Assignee(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an assignment; None: nobody."""

    assigned_to: str | None
    reason: str = ""


class SplitOff(Record, frozen=True, kw_only=True):
    """The answer to a split: the new incident."""

    incident_id: str


@get(
    "/",
    guards=[needs(KeyScope.READ)],
    summary="List incidents",
    description="The one that changed last first; pages by `cursor`. Incidents that were merged "
    "into others are listed only with `merged=true`.",
)
async def list_incidents(
    request: Request[Any, Any, Any],
    status: FromQuery[IncidentStatus | None] = None,
    severity: FromQuery[Severity | None] = None,
    assigned_to: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    merged: FromQuery[bool] = False,
    limit: PageSize = 50,
    cursor: FromQuery[str | None] = None,
) -> IncidentPage:
    """A page of incidents."""
    system: System = request.app.state.system
    zoned("since", since)
    wanted = IncidentFilter(status, severity, assigned_to, since, merged)
    return await system.store.incident_pages.page(wanted, limit=limit, cursor=cursor)


@get(
    "/{incident_id:str}",
    guards=[needs(KeyScope.READ)],
    summary="Read one incident",
    description="Its alerts in the order of time, each with the link that brought it and the "
    "reasons of that; what they share; and what was done to the incident.",
)
async def read_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str]
) -> IncidentDetail:
    """One incident."""
    return await _detail(request, incident_id)


@changes(
    "/{incident_id:str}/split",
    summary="Split alerts off into an incident of their own",
    description="At least one alert stays. The pipeline never puts the others back.",
)
async def split_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> SplitOff:
    """Split an incident; gives the new one's id."""
    casework, who = _casework(request)
    return SplitOff(
        incident_id=await casework.split(incident_id, data.alerts, actor=who, reason=data.reason)
    )


@changes(
    "/{incident_id:str}/merge",
    summary="Take over another incident's alerts",
    description="The other incident is closed and says into which it was merged.",
)
async def merge_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Other]
) -> IncidentDetail:
    """Merge another incident into this one."""
    casework, who = _casework(request)
    await casework.merge(incident_id, data.incident_id, actor=who, reason=data.reason)
    return await _detail(request, incident_id)


@changes(
    "/{incident_id:str}/alerts",
    summary="Put alerts into an incident",
    description="Out of whichever incidents they are in.",
)
async def add_alerts(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> IncidentDetail:
    """Add alerts."""
    casework, who = _casework(request)
    await casework.add(incident_id, data.alerts, actor=who, reason=data.reason)
    return await _detail(request, incident_id)


@changes(
    "/{incident_id:str}/remove",
    summary="Take alerts out of an incident",
    description="The pipeline never puts them back into this incident.",
)
async def remove_alerts(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> IncidentDetail:
    """Remove alerts."""
    casework, who = _casework(request)
    await casework.remove(incident_id, data.alerts, actor=who, reason=data.reason)
    return await _detail(request, incident_id)


@changes(
    "/{incident_id:str}/close",
    summary="Close an incident",
    description="No alert goes in any more; its alerts keep their verdicts and statuses.",
)
async def close_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Close."""
    casework, who = _casework(request)
    await casework.close(incident_id, actor=who, reason=why(data))
    return await _detail(request, incident_id)


@changes("/{incident_id:str}/reopen", summary="Open a closed incident again")
async def reopen_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Reopen."""
    casework, who = _casework(request)
    await casework.reopen(incident_id, actor=who, reason=why(data))
    return await _detail(request, incident_id)


@changes("/{incident_id:str}/assign", summary="Say who looks after an incident")
async def assign_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Assignee]
) -> IncidentDetail:
    """Assign."""
    casework, who = _casework(request)
    await casework.assign(incident_id, data.assigned_to, actor=who, reason=data.reason)
    return await _detail(request, incident_id)


@changes(
    "/{incident_id:str}/undo",
    summary="Take the last change back",
    description="409 when things have changed since, so that it cannot be taken back.",
)
async def undo_change(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Undo."""
    casework, who = _casework(request)
    await casework.undo(incident_id, actor=who, reason=why(data))
    return await _detail(request, incident_id)


def why(data: Why | None) -> str:
    """The reason of a change whose body may be left out."""
    return "" if data is None else data.reason


def _casework(request: Request[Any, Any, Any]) -> tuple[IncidentStore, str]:
    """Where incidents are changed, and in whose name."""
    system: System = request.app.state.system
    return system.store.incidents, actor_of(request)


async def _detail(request: Request[Any, Any, Any], incident_id: str) -> IncidentDetail:
    """The incident as it is now."""
    system: System = request.app.state.system
    return await system.store.incident_pages.detail(incident_id)


router = Router(
    path="/api/v1/incidents",
    route_handlers=[
        list_incidents,
        read_incident,
        split_incident,
        merge_incident,
        add_alerts,
        remove_alerts,
        close_incident,
        reopen_incident,
        assign_incident,
        undo_change,
    ],
    tags=["incidents"],
)
