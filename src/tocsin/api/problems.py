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
    SettingsError,
    TocsinError,
    Unavailable,
)
from tocsin.model import Disposition

PROBLEM = "application/problem+json"
STATUS: tuple[tuple[type[TocsinError], int], ...] = (
    (Overloaded, 429),
    (Unavailable, 503),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PayloadError, 400),
    (InputError, 422),
)
ENUMERATIONS = {"disposition": [word.value for word in Disposition]}  # fields of bodies
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


def on_tocsin_error(request: Request[Any, Any, Any], error: TocsinError) -> Response[bytes]:
    """What Tocsin raises on purpose."""
    if isinstance(error, SettingsError):
        log.error("request.failed", path=request.url.path, error=str(error))
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    reason = error.reason
    if isinstance(error, PayloadError):
        status, reason = PAYLOAD_STATUS.get(error.code, status), error.code
    headers = None
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(max(1, round(error.retry_after)))}
    return problem(status, reason, _clean(error.told), headers=headers)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework raises: no such page, wrong method, bad parameter."""
    more: dict[str, Any] = {}
    if isinstance(error, ValidationException) and error.extra:
        more["errors"] = error.extra
        if said := _about_body(error.extra):
            return problem(422, InputError.reason, _clean(said), **more)
    reason = {
        401: "unauthorized",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        413: "too_large",
    }.get(error.status_code, "bad_request")
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "www-authenticate"}
    return problem(error.status_code, reason, _clean(error.detail), headers=headers, **more)


def on_undecodable(request: Request[Any, Any, Any], error: UnicodeDecodeError) -> Response[bytes]:
    """A JSON body that is no text; bytes that we read elsewhere would be a defect."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    reader = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__"))
    if not reader.startswith("litestar.serialization"):
        return on_any_error(request, error)
    return problem(400, "invalid_encoding", f"the body is not UTF-8: {error.reason}")


def on_too_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[bytes]:
    """A JSON body with thousands of brackets; our own recursion would be a defect."""
    if "deserializing" not in str(error):
        return on_any_error(request, error)
    return problem(400, "bad_request", "the body is nested too deeply")


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A defect: logged with its trace, told to nobody."""
    log.error("request.failed", path=request.url.path, exc_info=error)
    return problem(
        HTTP_500_INTERNAL_SERVER_ERROR, "internal", "this is a defect in Tocsin; the log says more"
    )


def _about_body(errors: Any) -> str:
    """What is wrong with the fields of a JSON body; empty when something else is wrong."""
    listed = errors if isinstance(errors, list) else []
    wrong = [each for each in listed if isinstance(each, dict) and each.get("source") == "body"]
    return "; ".join(f"{each.get('key') or 'body'}: {_message(each)}" for each in wrong)


def _message(wrong: dict[str, Any]) -> str:
    """What is wrong; with the words that are right, where one of a few is needed."""
    told = str(wrong.get("message"))
    words = (
        ENUMERATIONS.get(str(wrong.get("key"))) if told.startswith("Invalid enum value") else None
    )
    return f"{told}; one of {', '.join(words)}" if words else told


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()[:2000]


__all__ = [
    "PROBLEM",
    "on_any_error",
    "on_http_error",
    "on_tocsin_error",
    "on_too_deep",
    "on_undecodable",
    "problem",
]
