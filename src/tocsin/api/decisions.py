"""`/api/v1/alerts/ID/disposition` and `/api/v1/dispositions`: what people decide, and undo."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, get
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from tocsin import metrics
from tocsin.api.access import actor_of, needs
from tocsin.api.asked import PageSize, changes, zoned
from tocsin.app import System
from tocsin.errors import InputError, NotFoundError, TocsinError
from tocsin.model import AlertStatus, Disposition, KeyScope, Record, RiskLevel, Severity
from tocsin.store.bulk_decisions import BulkDecision, Match, described
from tocsin.store.decided import Decision
from tocsin.store.decisions import REASON_LIMIT
from tocsin.store.queries import AlertFilter

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_LIMIT)]


class NewDecision(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says that an alert was, and why."""

    disposition: Disposition
    reason: Reason


class Decided(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A stored decision; `superseded` is what stood before."""

    disposition_id: str
    alert_id: str
    disposition: Disposition
    superseded: Disposition | None


class History(Record, frozen=True, kw_only=True, omit_defaults=False):
    """All decisions on one alert, newest first."""

    dispositions: tuple[Decision, ...]


class Filter(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of the list of alerts; what is left out narrows nothing."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    verdict: Disposition | None = None
    risk_level: RiskLevel | None = None
    min_risk: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    requires_human_review: bool | None = None
    source: str | None = None
    source_ip: str | None = None
    destination_ip: str | None = None
    host_name: str | None = None
    asset_id: str | None = None
    user_name: str | None = None
    rule_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class NewBulk(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many alerts to be decided at once; with `preview` nothing is changed."""

    filter: Filter
    disposition: Disposition
    reason: Reason
    preview: bool = False
    token: str | None = None


class Bulk(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A preview (`match`), or what was done; `filter` is as it was used."""

    filter: dict[str, Any]
    disposition: Disposition
    match: Match | None = None
    bulk_id: str | None = None
    decided: int = 0


class Bulks(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Bulk decisions, newest first."""

    bulks: tuple[BulkDecision, ...]


@changes(
    "/alerts/{alert_id:str}/disposition",
    summary="Decide an alert",
    description="true_positive, benign_positive (the rule was right, the activity is allowed) and "
    "false_positive close the alert; undetermined leaves it open. A later decision supersedes an "
    "earlier one. Priors move at once.",
)
async def decide(
    request: Request[Any, Any, Any], alert_id: FromPath[str], data: JSONBody[NewDecision]
) -> Decided:
    """Decide one alert."""
    system: System = request.app.state.system
    outcome = await system.store.decisions.decide(
        alert_id, data.disposition, _reason(data.reason), actor=actor_of(request)
    )
    metrics.DECISIONS.labels("decided", data.disposition.value).inc()
    return Decided(
        disposition_id=outcome.order.disposition_id,
        alert_id=alert_id,
        disposition=data.disposition,
        superseded=outcome.superseded,
    )


@get(
    "/alerts/{alert_id:str}/dispositions",
    guards=[needs(KeyScope.READ)],
    summary="Read how an alert was decided",
    description="Who decided what, when and why, newest first; what was undone stays in it.",
)
async def history(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> History:
    """An alert's decisions."""
    system: System = request.app.state.system
    found = await system.store.decided.history(alert_id)
    if found is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return History(dispositions=tuple(found))


@delete(
    "/dispositions/{disposition_id:str}",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Undo a decision",
    description="What stood before it stands again: an earlier decision, or the open alert.",
)
async def undo(request: Request[Any, Any, Any], disposition_id: FromPath[str]) -> dict[str, str]:
    """Undo one decision."""
    system: System = request.app.state.system
    alert_id = await system.store.decisions.undo(disposition_id, actor=actor_of(request))
    metrics.DECISIONS.labels("undone", "any").inc()
    return {"disposition_id": disposition_id, "alert_id": alert_id}


@changes(
    "/dispositions/bulk",
    summary="Decide many alerts at once",
    description="First with preview: true, which changes nothing and answers with the count, a "
    "sample, counts by rule, source and verdict, the filter as it was used and a token. Then with "
    "that filter and token; 409 if other alerts match by then. At most 100,000 alerts.",
)
async def decide_many(request: Request[Any, Any, Any], data: JSONBody[NewBulk]) -> Bulk:
    """Preview or decide what a filter matches."""
    system: System = request.app.state.system
    bulks, actor, reason = system.store.bulk_decisions, actor_of(request), _reason(data.reason)
    wanted = filter_of(msgspec.structs.asdict(data.filter))
    if data.preview:
        match = await bulks.match(wanted)
        return Bulk(filter=described(wanted), disposition=data.disposition, match=match)
    if not data.token:
        raise InputError("token: ask with preview: true first, then send the token it answers with")
    bulk_id, ids = await bulks.begin(wanted, data.token, data.disposition, reason, actor=actor)
    decided = 0
    async for count in bulks.portions(bulk_id, ids, data.disposition, reason, actor=actor):
        decided += count
        metrics.DECISIONS.labels("decided", data.disposition.value).inc(count)
    return Bulk(
        filter=described(wanted), disposition=data.disposition, bulk_id=bulk_id, decided=decided
    )


@get(
    "/dispositions/bulk",
    guards=[needs(KeyScope.READ)],
    summary="List bulk decisions",
    description="Newest first: what was decided at once, by whom, over which filter.",
)
async def list_bulks(
    request: Request[Any, Any, Any],
    limit: PageSize = 50,
) -> Bulks:
    """The last bulk decisions."""
    system: System = request.app.state.system
    return Bulks(bulks=tuple(await system.store.bulk_decisions.newest(limit)))


@delete(
    "/dispositions/bulk/{bulk_id:str}",
    guards=[needs(KeyScope.WRITE)],
    status_code=HTTP_200_OK,
    summary="Undo a bulk decision",
    description="Every decision of it that was not undone yet.",
)
async def undo_bulk(
    request: Request[Any, Any, Any], bulk_id: FromPath[str]
) -> dict[str, str | int]:
    """Undo many decisions that were made at once."""
    system: System = request.app.state.system
    undone = 0
    async for count in system.store.bulk_decisions.undo(bulk_id, actor=actor_of(request)):
        undone += count
        metrics.DECISIONS.labels("undone", "any").inc(count)
    return {"bulk_id": bulk_id, "undone": undone}


def filter_of(given: dict[str, Any]) -> AlertFilter:
    """A filter for many alerts at once; without `until`, it ends now.

    Raises:
        InputError: it narrows nothing, or a time has no zone.
    """
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise InputError("filter: give at least one field, e.g. rule_id; an empty one matches all")
    for name in ("since", "until"):
        zoned(name, fields.get(name))
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = named(value, InputError(f"{name}: no value holds the character NUL"))
    fields.setdefault("until", datetime.now(UTC))
    return AlertFilter(**fields)


def named(text: str, wrong: TocsinError) -> str:
    """The text, if a database can be asked for it.

    Raises:
        TocsinError: `wrong`; no stored name holds the character NUL or half a character.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise wrong
    return text


def _reason(reason: str) -> str:
    if not reason.strip():
        raise InputError("reason: say why, in a few words; it is shown to whoever looks next")
    return reason


router = Router(
    path="/api/v1",
    route_handlers=[decide, history, undo, decide_many, list_bulks, undo_bulk],
    tags=["decisions"],
)
