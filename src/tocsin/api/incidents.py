"""`/api/v1/incidents`: alerts that belong together, and what people do with them."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from tocsin.api.access import actor_of, needs
from tocsin.app import System
from tocsin.errors import InputError
from tocsin.model import IncidentStatus, KeyScope, Record, Severity
from tocsin.store.incident_pages import IncidentDetail, IncidentFilter, IncidentPage


class Why(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a change: why it is made."""

    reason: str = ""


class Some(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a change of some alerts."""

    alerts: tuple[str, ...]
    reason: str = ""


class Other(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a merge: the incident whose alerts this one takes over."""

    incident_id: str
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
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
    cursor: FromQuery[str | None] = None,
) -> IncidentPage:
    """A page of incidents."""
    system: System = request.app.state.system
    if since is not None and since.tzinfo is None:
        raise InputError("since: give the time with its zone, e.g. 2026-03-04T12:00:00Z")
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
    system: System = request.app.state.system
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/split",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Split alerts off into an incident of their own",
    description="At least one alert stays. The pipeline never puts the others back.",
)
async def split_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> SplitOff:
    """Split an incident; gives the new one's id."""
    system: System = request.app.state.system
    new = await system.store.incidents.split(
        incident_id, data.alerts, actor=actor_of(request), reason=data.reason
    )
    return SplitOff(incident_id=new)


@post(
    "/{incident_id:str}/merge",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Take over another incident's alerts",
    description="The other incident is closed and says into which it was merged.",
)
async def merge_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Other]
) -> IncidentDetail:
    """Merge another incident into this one."""
    system: System = request.app.state.system
    await system.store.incidents.merge(
        incident_id, data.incident_id, actor=actor_of(request), reason=data.reason
    )
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/alerts",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Put alerts into an incident",
    description="Out of whichever incidents they are in.",
)
async def add_alerts(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> IncidentDetail:
    """Add alerts."""
    system: System = request.app.state.system
    await system.store.incidents.add(
        incident_id, data.alerts, actor=actor_of(request), reason=data.reason
    )
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/remove",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Take alerts out of an incident",
    description="The pipeline never puts them back into this incident.",
)
async def remove_alerts(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Some]
) -> IncidentDetail:
    """Remove alerts."""
    system: System = request.app.state.system
    await system.store.incidents.remove(
        incident_id, data.alerts, actor=actor_of(request), reason=data.reason
    )
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/close",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Close an incident",
    description="No alert goes in any more; its alerts keep their verdicts and statuses.",
)
async def close_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Close."""
    system: System = request.app.state.system
    await system.store.incidents.close(incident_id, actor=actor_of(request), reason=why(data))
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/reopen",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Open a closed incident again",
)
async def reopen_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Reopen."""
    system: System = request.app.state.system
    await system.store.incidents.reopen(incident_id, actor=actor_of(request), reason=why(data))
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/assign",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Say who looks after an incident",
)
async def assign_incident(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Assignee]
) -> IncidentDetail:
    """Assign."""
    system: System = request.app.state.system
    await system.store.incidents.assign(
        incident_id, data.assigned_to, actor=actor_of(request), reason=data.reason
    )
    return await system.store.incident_pages.detail(incident_id)


@post(
    "/{incident_id:str}/undo",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Take the last change back",
    description="409 when things have changed since, so that it cannot be taken back.",
)
async def undo_change(
    request: Request[Any, Any, Any], incident_id: FromPath[str], data: JSONBody[Why | None] = None
) -> IncidentDetail:
    """Undo."""
    system: System = request.app.state.system
    await system.store.incidents.undo(incident_id, actor=actor_of(request), reason=why(data))
    return await system.store.incident_pages.detail(incident_id)


def why(data: Why | None) -> str:
    """The reason of a change whose body may be left out."""
    return "" if data is None else data.reason


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
