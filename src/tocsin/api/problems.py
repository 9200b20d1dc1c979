"""Errors as `application/problem+json` (RFC 9457), with a bounded `reason`."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from tocsin import logs
from tocsin.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    Overloaded,
    PayloadError,
    TocsinError,
    Unavailable,
)

PROBLEM = "application/problem+json"
STATUS: tuple[tuple[type[TocsinError], int], ...] = (
    (Overloaded, 429),
    (Unavailable, 503),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PayloadError, 400),
    (InputError, 422),
)
PAYLOAD_STATUS = {"too_large": 413, "unsupported_encoding": 415}

log = logs.get("api")


def problem(
    status: int,
    reason: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response[bytes]:
    """One problem document; `more` becomes members of it."""
    body = {
        "type": "about:blank",
        "title": reason.replace("_", " "),
        "status": status,
        "reason": reason,
        "detail": detail,
        **more,
    }
    return Response(
        msgspec.json.encode(body), status_code=status, media_type=PROBLEM, headers=headers
    )


def on_tocsin_error(_: Request[Any, Any, Any], error: TocsinError) -> Response[bytes]:
    """What Tocsin raises on purpose."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    reason = error.reason
    if isinstance(error, PayloadError):
        status, reason = PAYLOAD_STATUS.get(error.code, status), error.code
    headers = None
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(max(1, round(error.retry_after)))}
    return problem(status, reason, _clean(str(error)), headers=headers)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework raises: no such page, wrong method, bad parameter."""
    more: dict[str, Any] = {}
    if isinstance(error, ValidationException) and error.extra:
        more["errors"] = error.extra
    reason = {
        401: "unauthorized",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        413: "too_large",
    }.get(error.status_code, "bad_request")
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "www-authenticate"}
    return problem(error.status_code, reason, _clean(error.detail), headers=headers, **more)


def on_bad_encoding(_: Request[Any, Any, Any], __: UnicodeDecodeError) -> Response[bytes]:
    """A JSON body that is not UTF-8, which the framework's decoder meets."""
    return problem(400, "invalid_encoding", "the body is not UTF-8")


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A defect: logged with its trace, told to nobody."""
    log.error("request.failed", path=request.url.path, exc_info=error)
    return problem(
        HTTP_500_INTERNAL_SERVER_ERROR, "internal", "this is a defect in Tocsin; the log says more"
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()[:2000]


__all__ = [
    "PROBLEM",
    "on_any_error",
    "on_bad_encoding",
    "on_http_error",
    "on_tocsin_error",
    "problem",
]
