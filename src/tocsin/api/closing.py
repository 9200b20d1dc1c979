"""`/api/v1/autoclose`: the policy that closes alerts, its bounds, and its kill switch."""

from collections import Counter
from typing import Annotated, Any

from litestar import Request, Router, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from tocsin.api.access import actor_of, needs
from tocsin.api.asked import changes
from tocsin.app import System
from tocsin.closing import Autoclose, ClosingPreview, ClosingReport
from tocsin.errors import NotFoundError
from tocsin.model import AlertStatus, ClosingRules, KeyScope, Record
from tocsin.store.samples import QueuedSample

SAID_LIMIT = 1000


class Enabling(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What enabling takes: the digest that the preview gave."""

    digest: str


class Disabling(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is switched off; it is shown until the next policy."""

    reason: str = ""


class SamplePage(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The samples that wait, oldest first, and how many wait in each class."""

    samples: tuple[QueuedSample, ...]
    outstanding: dict[str, int]


@get(
    "/",
    guards=[needs(KeyScope.READ)],
    summary="Read the closing policy",
    description="The rules, the state, what is proven for each class, the samples that wait for "
    "people, and how near the drift tests are to switching it off.",
)
async def read_policy(request: Request[Any, Any, Any]) -> ClosingReport:
    """The policy as it stands."""
    return await _autoclose(request).report()


@put(
    "/",
    guards=[needs(KeyScope.ADMIN)],
    status_code=HTTP_200_OK,
    summary="Begin a closing policy",
    description="New rules begin a new policy in shadow mode: it draws random samples and closes "
    "nothing. What was proven for the policy before is gone, for its samples were drawn by others.",
)
async def begin_policy(
    request: Request[Any, Any, Any], data: JSONBody[ClosingRules]
) -> ClosingReport:
    """Begin anew."""
    autoclose = _autoclose(request)
    await autoclose.begin(data, actor=actor_of(request))
    return await autoclose.report()


@get(
    "/classes",
    guards=[needs(KeyScope.READ)],
    summary="List classes",
    description="How many of the newest triaged alerts each class SOURCE/KIND has; the `limit` "
    "largest ones.",
)
async def list_classes(
    request: Request[Any, Any, Any],
    alerts: Annotated[int, QueryParameter(ge=1, le=1_000_000)] = 20_000,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 100,
) -> dict[str, int]:
    """The classes, largest first."""
    found: Counter[str] = await _autoclose(request).classes(alerts)
    return dict(found.most_common(limit))


@changes(
    "/preview",
    summary="What would it have closed?",
    description="What the samples prove, what the policy would have closed of the newest alerts, "
    "and every alert among them that people call an attack. Closes nothing.",
)
async def preview(
    request: Request[Any, Any, Any],
    alerts: Annotated[int, QueryParameter(ge=1, le=1_000_000)] = 20_000,
) -> ClosingPreview:
    """A preview and its digest."""
    return await _autoclose(request).preview(actor=actor_of(request), alerts=alerts)


@post(
    "/enable",
    guards=[needs(KeyScope.ADMIN)],
    status_code=HTTP_200_OK,
    summary="Let it close alerts",
    description="Takes the digest of a preview; refused when what would be closed has changed.",
)
async def enable(request: Request[Any, Any, Any], data: JSONBody[Enabling]) -> ClosingReport:
    """From shadow, or off, to on."""
    autoclose = _autoclose(request)
    await autoclose.enable(data.digest, actor=actor_of(request))
    return await autoclose.report()


@changes(
    "/disable",
    summary="Kill switch",
    description="When this is answered no alert is closed any more, in any process.",
)
async def disable(
    request: Request[Any, Any, Any], data: JSONBody[Disabling | None] = None
) -> dict[str, str | bool]:
    """Off, at once; the answer waits for batches under way."""
    reason = (data.reason if data else "")[:SAID_LIMIT] or "switched off by a person"
    changed = await _autoclose(request).disable(reason, actor=actor_of(request))
    return {"mode": "off", "changed": changed}


@get(
    "/samples",
    guards=[needs(KeyScope.READ)],
    summary="List samples to judge",
    description="Alerts drawn at random that nobody has judged, oldest first: what is proven "
    "waits for the oldest. all=true adds those that would stay open whatever is proven.",
)
async def list_samples(
    request: Request[Any, Any, Any],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    everything: Annotated[bool, QueryParameter(name="all")] = False,
    version: Annotated[int | None, QueryParameter(ge=0, le=2**31 - 1)] = None,
) -> SamplePage:
    """The queue of the policy that holds, or of an earlier one."""
    system: System = request.app.state.system
    if version is None:
        state = await system.store.closing.state()
        version = 0 if state is None else state.policy.version
    found = await system.store.closing.queue(version, limit=limit, everything=everything)
    return SamplePage(
        samples=tuple(found), outstanding=dict(await system.store.closing.outstanding(version))
    )


@changes(
    "/{alert_id:str}/reopen",
    summary="Reopen an alert that the policy closed",
    description="On an alert that people have decided on, undo their decision instead.",
)
async def reopen_alert(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> dict[str, str]:
    """Give an alert that was closed back to people."""
    system: System = request.app.state.system
    if not await system.store.dossiers.reopen(alert_id, actor=actor_of(request)):
        raise NotFoundError(f"the policy has not closed {alert_id}, or people decided on it")
    return {"alert_id": alert_id, "status": AlertStatus.TRIAGED.value}


def _autoclose(request: Request[Any, Any, Any]) -> Autoclose:
    system: System = request.app.state.system
    return Autoclose(system.store.closing)


router = Router(
    path="/api/v1/autoclose",
    route_handlers=[
        read_policy,
        begin_policy,
        list_classes,
        preview,
        enable,
        disable,
        list_samples,
    ],
    tags=["autoclose"],
)
