"""`/api/v1/alerts`: send alerts, list them, read one whole."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from tocsin import metrics, traces
from tocsin.api.access import actor_of, needs
from tocsin.api.asked import PageSize, changes, zoned
from tocsin.api.closing import reopen_alert
from tocsin.api.problems import problem
from tocsin.api.proofs import read_bundle, verify_alert
from tocsin.app import System
from tocsin.errors import InputError, NotFoundError, PayloadError, Unavailable
from tocsin.ingest import BodyKind, Item, Limits, read_body, unzip
from tocsin.model import AlertStatus, Disposition, Dossier, KeyScope, Record, RiskLevel, Severity
from tocsin.narrate import unasked
from tocsin.normalize import to_ecs, to_ocsf
from tocsin.pipeline import FIRST, STEPS
from tocsin.ports import Accepted
from tocsin.runner import ring
from tocsin.store.queries import SORTS, AlertFilter, AlertPage

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_encoder = msgspec.json.Encoder()
GZIP_MAGIC = b"\x1f\x8b"


class SentAlert(Record, frozen=True, kw_only=True):
    """What became of one alert of a request; `status` is accepted, duplicate or refused."""

    index: int
    status: str
    alert_id: str | None = None
    note: str | None = None
    error: dict[str, str] | None = None


class Receipt(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The answer to a request; `alert_id` is there when it held exactly one alert."""

    accepted: int
    duplicates: int
    refused: int
    alerts: tuple[SentAlert, ...]
    alert_id: str | None = None


@post(
    "/",
    guards=[needs(KeyScope.INGEST)],
    status_code=HTTP_202_ACCEPTED,
    summary="Send alerts",
    description="One JSON object, a JSON array, NDJSON (application/x-ndjson) or lines of text "
    "(text/plain: CEF, syslog); gzip with Content-Encoding: gzip. 202 means: stored for good. The "
    "answer has an id for each alert, or its error; the same alert sent again gets the same id. "
    "A traceparent header (W3C Trace Context) names the trace that the pipeline's log lines carry; "
    "the answer's traceresponse says which it is.",
    media_type="application/json",
)
async def send_alerts(
    request: Request[Any, Any, Any],
    source: Annotated[
        str | None,
        QueryParameter(
            description="Name of the source, kept where no definition recognises the payload; "
            "detected if left out."
        ),
    ] = None,
) -> Response[bytes]:
    """Accept alerts; see the route's description."""
    system: System = request.app.state.system
    if request.app.state.draining.is_set():
        raise Unavailable("the server is stopping", retry_after=5.0)
    if source is not None and not _SOURCE.match(source):
        raise InputError("source: 1–64 letters, digits and `_.-`")
    settings = system.settings
    encoding = request.headers.get("content-encoding", "")
    kind = BodyKind.of(request.headers.get("content-type", ""))
    try:
        body = _plain(await request.body(), encoding, settings.max_body_bytes)
        items = read_body(body, kind, Limits(settings.max_alert_bytes, settings.max_depth))
    except PayloadError:
        metrics.RECEIVED.labels("refused").inc()
        raise
    good = [item for item in items if not isinstance(item, PayloadError)]
    trace = traces.read(request.headers.get(traces.HEADER)) or traces.begin()
    answers = iter(await system.door.submit(good, source, trace) if good else ())
    sent = tuple(
        _refused(index, item)
        if isinstance(item, PayloadError)
        else _taken(index, item, next(answers))
        for index, item in enumerate(items)
    )
    answer = _answer(sent)
    answer.headers["traceresponse"] = trace
    return answer


@get(
    "/",
    guards=[needs(KeyScope.READ)],
    summary="List alerts",
    description="Newest first, or riskiest first with sort=risk_score; pages by `cursor`.",
)
async def list_alerts(
    request: Request[Any, Any, Any],
    status: FromQuery[AlertStatus | None] = None,
    severity: FromQuery[Severity | None] = None,
    verdict: FromQuery[Disposition | None] = None,
    risk_level: FromQuery[RiskLevel | None] = None,
    min_risk: Annotated[float | None, QueryParameter(ge=0, le=100)] = None,
    requires_human_review: FromQuery[bool | None] = None,
    source: FromQuery[str | None] = None,
    source_ip: FromQuery[str | None] = None,
    destination_ip: FromQuery[str | None] = None,
    host_name: FromQuery[str | None] = None,
    asset_id: FromQuery[str | None] = None,
    user_name: FromQuery[str | None] = None,
    rule_id: FromQuery[str | None] = None,
    closed_by: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    sort: FromQuery[str] = "received_at",
    limit: PageSize = 50,
    cursor: FromQuery[str | None] = None,
) -> AlertPage:
    """A page of alerts."""
    system: System = request.app.state.system
    if sort not in SORTS:
        raise InputError(f"sort: one of {', '.join(SORTS)}")
    zoned("since", since)
    zoned("until", until)
    wanted = AlertFilter(
        status=status,
        severity=severity,
        verdict=verdict,
        risk_level=risk_level,
        min_risk=min_risk,
        requires_human_review=requires_human_review,
        source=source,
        source_ip=source_ip,
        destination_ip=destination_ip,
        host_name=host_name,
        asset_id=asset_id,
        user_name=user_name,
        rule_id=rule_id,
        closed_by=closed_by,
        since=since,
        until=until,
    )
    return await system.store.queries.page(wanted, sort=sort, limit=limit, cursor=cursor)


@get(
    "/{alert_id:str}",
    guards=[needs(KeyScope.READ)],
    summary="Read one alert",
    description="The whole dossier, with a model's second opinion where one was wanted; "
    "format=ecs (Elastic Common Schema) or format=ocsf (Detection "
    "Finding, class 2004) for exports.",
)
async def read_alert(
    request: Request[Any, Any, Any],
    alert_id: FromPath[str],
    export: Annotated[str, QueryParameter(name="format")] = "dossier",
) -> Response[bytes]:
    """One dossier."""
    system: System = request.app.state.system
    fields = tuple(step.fills for step in STEPS)
    found = await system.store.dossiers.load([alert_id], fields)
    if not found:
        raise NotFoundError(f"there is no alert {alert_id}")
    closing = await system.store.closing.closing_of(alert_id)
    dossier = found[0] if closing is None else msgspec.structs.replace(found[0], closing=closing)
    if export == "dossier":
        opinion = await system.store.opinions.of(alert_id) or unasked(dossier, system.settings)
        dossier = msgspec.structs.replace(dossier, opinion=opinion)
        return Response(_encoder.encode(dossier), media_type="application/json")
    return Response(_encoder.encode(exported(dossier, export)), media_type="application/json")


@changes("/{alert_id:str}/retry", summary="Try a parked alert again")
async def retry_alert(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> dict[str, str]:
    """Give a parked alert its attempts back and ring for it."""
    system: System = request.app.state.system
    status = await system.store.dossiers.unpark(alert_id, actor=actor_of(request))
    if status is None:
        raise NotFoundError(f"there is no parked alert {alert_id}")
    await ring(system.bus, FIRST.takes, [alert_id])  # a later step hears of it from the sweeper
    return {"alert_id": alert_id, "status": status.value}


def exported(dossier: Dossier, form: str) -> dict[str, Any]:
    """A dossier in one of the standard schemas.

    Raises:
        InputError: the form is unknown, or the alert is not normalised yet.
    """
    if form not in ("ecs", "ocsf"):
        raise InputError("format: one of dossier, ecs, ocsf")
    if dossier.alert is None:
        raise InputError("the alert has not been normalised yet; try again in a moment")
    export = to_ecs if form == "ecs" else to_ocsf
    return export(
        dossier.alert,
        alert_id=dossier.alert_id,
        source=dossier.source,
        received_at=dossier.received_at,
        original=dossier.payload,
    )


def _plain(body: bytes, encoding: str, limit: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") and not body.startswith(GZIP_MAGIC):
        if len(body) > limit:
            raise PayloadError("too_large", f"the body may have {limit} bytes")
        return body
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise PayloadError("unsupported_encoding", "Content-Encoding may be gzip or left out")
    return unzip(body, limit)


def _taken(index: int, item: Item, answer: Accepted) -> SentAlert:
    return SentAlert(
        index=index,
        status="duplicate" if answer.duplicate else "accepted",
        alert_id=answer.alert_id,
        note="the alert_id sent names another alert; this one was stored under a new id"
        if answer.renamed
        else item.note,
    )


def _refused(index: int, error: PayloadError) -> SentAlert:
    return SentAlert(
        index=index, status="refused", error={"reason": error.code, "detail": str(error)}
    )


def _answer(sent: tuple[SentAlert, ...]) -> Response[bytes]:
    counts = {"accepted": 0, "duplicate": 0, "refused": 0}
    for alert in sent:
        counts[alert.status] += 1
    for outcome, count in counts.items():
        if count:
            metrics.RECEIVED.labels(outcome).inc(count)
    if counts["refused"] == len(sent):
        first = sent[0].error or {}
        status = 413 if first.get("reason") == "too_large" else 422
        detail = first.get("detail", "") if len(sent) == 1 else "none of the alerts can be used"
        return problem(status, first.get("reason", "payload"), detail, alerts=sent)
    receipt = Receipt(
        accepted=counts["accepted"],
        duplicates=counts["duplicate"],
        refused=counts["refused"],
        alerts=sent,
        alert_id=sent[0].alert_id if len(sent) == 1 else None,
    )
    return Response(
        _encoder.encode(receipt), status_code=HTTP_202_ACCEPTED, media_type="application/json"
    )


router = Router(
    path="/api/v1/alerts",
    route_handlers=[
        send_alerts,
        list_alerts,
        read_alert,
        retry_alert,
        reopen_alert,
        verify_alert,
        read_bundle,
    ],
    tags=["alerts"],
)
