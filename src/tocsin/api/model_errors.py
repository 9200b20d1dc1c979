"""Errors of `/v1` in the shape that clients of OpenAI's interface read."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from tocsin import logs
from tocsin.errors import (
    BudgetSpent,
    InputError,
    ModelRefused,
    ReplyUnusable,
    SettingsError,
    TocsinError,
    Unavailable,
)

KINDS: tuple[tuple[type[TocsinError], int, str], ...] = (
    (BudgetSpent, 429, "insufficient_quota"),
    (ModelRefused, 400, "invalid_request_error"),
    (ReplyUnusable, 502, "server_error"),
    (InputError, 400, "invalid_request_error"),
    (Unavailable, 503, "server_error"),
)
HTTP_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
RETRY = "x-should-retry"  # the official clients obey it
MOST = 2000

log = logs.get("api")


def on_tocsin_error(request: Request[Any, Any, Any], error: TocsinError) -> Response[bytes]:
    """What Tocsin raises on purpose."""
    if isinstance(error, SettingsError):
        log.error("request.failed", path=request.url.path, error=str(error))
    status, kind = next(
        ((status, kind) for type_, status, kind in KINDS if isinstance(error, type_)),
        (500, "server_error"),
    )
    headers = {RETRY: "false"}
    if isinstance(error, Unavailable):
        headers = {RETRY: "true", "Retry-After": str(max(1, round(error.retry_after)))}
    detail = error.detail if isinstance(error, ModelRefused) else ""
    code = "insufficient_quota" if isinstance(error, BudgetSpent) else error.reason
    return _shaped(status, kind, code, f"{error}: {detail}" if detail else error.told, headers)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework raises: no key, wrong method, too large."""
    kind = HTTP_KINDS.get(error.status_code, "invalid_request_error")
    code = {401: "invalid_api_key", 403: "missing_scope"}.get(error.status_code, "bad_request")
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "www-authenticate"}
    return _shaped(error.status_code, kind, code, error.detail, headers)


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A defect: logged with its trace, told to nobody."""
    log.error("request.failed", path=request.url.path, exc_info=error)
    return _shaped(
        500, "server_error", "internal", "this is a defect in Tocsin; the log says more", {}
    )


def _shaped(
    status: int, kind: str, code: str, message: str, headers: dict[str, str]
) -> Response[bytes]:
    text = message.encode("utf-8", "backslashreplace").decode()[:MOST]
    body = {"error": {"message": text, "type": kind, "param": None, "code": code}}
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )
