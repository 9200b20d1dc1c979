"""`/api/v1/remediation`: proposed actions, approved or rejected; nothing is executed yet."""

from datetime import timedelta
from typing import Any

from litestar import Request, Router, get
from litestar.params import FromPath, FromQuery, JSONBody

from tocsin.api.access import actor_of, needs
from tocsin.api.asked import PageSize, changes
from tocsin.app import System
from tocsin.model import KeyScope, Record, Remediation, RemediationStatus
from tocsin.store.remediation import RemediationFilter, RemediationPage

NOTHING_RUNS = (
    "Tocsin does not execute actions yet: a decision is a record of who, why and when, and "
    "changes no system."
)


class Approval(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an approval: what exactly is approved (as read), and why."""

    digest: str
    reason: str


class Rejection(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a rejection; with a digest it is bound to what was read."""

    reason: str
    digest: str | None = None


@get(
    "/",
    guards=[needs(KeyScope.READ)],
    summary="List proposed actions",
    description="The newest proposal first; pages by `cursor`. An approval that ran out counts "
    "as proposed again. " + NOTHING_RUNS,
)
async def list_actions(
    request: Request[Any, Any, Any],
    status: FromQuery[RemediationStatus | None] = None,
    alert_id: FromQuery[str | None] = None,
    incident_id: FromQuery[str | None] = None,
    entity_type: FromQuery[str | None] = None,
    entity: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    limit: PageSize = 50,
    cursor: FromQuery[str | None] = None,
) -> RemediationPage:
    """A page of actions."""
    system: System = request.app.state.system
    wanted = RemediationFilter(status, alert_id, incident_id, entity_type, entity, action)
    return await system.store.remediation.page(wanted, limit=limit, cursor=cursor)


@get("/{action_id:str}", guards=[needs(KeyScope.READ)], summary="Read one proposed action")
async def read_action(request: Request[Any, Any, Any], action_id: FromPath[str]) -> Remediation:
    """One action."""
    system: System = request.app.state.system
    return await system.store.remediation.read(action_id)


@changes(
    "/{action_id:str}/approve",
    summary="Approve a proposed action",
    description="`digest` is that of the action as it was read: what is approved is exactly that. "
    "409 when it is not proposed any more or is something else. The approval ends after "
    "TOCSIN_APPROVAL_HOURS. " + NOTHING_RUNS,
)
async def approve_action(
    request: Request[Any, Any, Any], action_id: FromPath[str], data: JSONBody[Approval]
) -> Remediation:
    """Approve."""
    system: System = request.app.state.system
    return await system.store.remediation.approve(
        action_id,
        data.digest,
        lifetime=timedelta(hours=system.settings.approval_hours),
        actor=actor_of(request),
        reason=data.reason,
    )


@changes(
    "/{action_id:str}/reject",
    summary="Reject a proposed action, or take its approval back",
    description="409 when it was rejected already. " + NOTHING_RUNS,
)
async def reject_action(
    request: Request[Any, Any, Any], action_id: FromPath[str], data: JSONBody[Rejection]
) -> Remediation:
    """Reject."""
    system: System = request.app.state.system
    return await system.store.remediation.reject(
        action_id, data.digest, actor=actor_of(request), reason=data.reason
    )


router = Router(
    path="/api/v1/remediation",
    route_handlers=[list_actions, read_action, approve_action, reject_action],
    tags=["remediation"],
)
