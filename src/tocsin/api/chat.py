"""`/v1`: the router of language models as OpenAI's chat completions, for other tools."""

import re
import time
import uuid
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_200_OK

from tocsin.api.access import needs
from tocsin.api.model_errors import on_any_error, on_http_error, on_tocsin_error
from tocsin.app import System
from tocsin.errors import InputError, TocsinError, Unavailable
from tocsin.llm import Discreet
from tocsin.llm import Router as ModelRouter
from tocsin.model import KeyScope
from tocsin.ports import ChatMessage, ChatModel, ChatReply, ChatRequest
from tocsin.redaction import Scope

MOST_BYTES = 4 * 1024 * 1024
MAX_TOKENS = 1024
PURPOSE = "api"
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z")
_JSON_OBJECT: dict[str, Any] = {"type": "object"}


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _JsonSchema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class Completion(msgspec.Struct):
    """The body of a request; what is not here is either without effect on us or refused."""

    messages: list[_Turn]
    model: str = ""
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    response_format: _ResponseFormat | None = None
    n: int | None = None
    stop: Any = None
    tools: Any = None
    functions: Any = None
    logprobs: bool | None = None
    audio: Any = None


UNSUPPORTED = ("stop", "tools", "functions", "logprobs", "audio")
_decode = msgspec.json.Decoder(Completion).decode
_encode = msgspec.json.Encoder().encode


@post(
    "/chat/completions",
    guards=[needs(KeyScope.MODEL)],
    status_code=HTTP_200_OK,
    summary="Ask a language model",
    description="As OpenAI's chat completions: `model` is `tocsin` (any, in order of priority), a "
    "provider's name or a model's. Text only; no tools, `n` or `stop`. Without `temperature` it is "
    "0. The headers X-Tocsin-Run and X-Tocsin-Purpose name the budget and the account; X-Tocsin-"
    "Provider, -Cached, -Cost-Usd and -Estimated of the answer say who answered and what it cost. "
    "Needs a key with the scope model.",
    media_type="application/json",
)
async def complete(request: Request[Any, Any, Any]) -> Response[bytes]:
    """One reply; with `stream`, the same in Server-Sent Events, once it is whole."""
    if request.app.state.draining.is_set():
        raise Unavailable("the server is stopping", retry_after=5.0)
    asked = _read(await request.body())
    reply = await _model(request).complete(
        ChatRequest(
            messages=tuple(_message(turn, place) for place, turn in enumerate(asked.messages)),
            schema=_schema(asked.response_format),
            max_tokens=asked.max_completion_tokens or asked.max_tokens or MAX_TOKENS,
            seed=asked.seed,
            run=_header(request, "x-tocsin-run", _RUN),
            purpose=_header(request, "x-tocsin-purpose", _WORD) or PURPOSE,
            temperature=asked.temperature or 0.0,
            model=asked.model,
        )
    )
    head = _head(reply)
    if not asked.stream:
        return Response(
            _encode(_whole(head, reply)), media_type="application/json", headers=_headers(reply)
        )
    wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
    return Response(
        _events(head, reply, wants_usage),
        media_type="text/event-stream",
        headers={**_headers(reply), "Cache-Control": "no-store"},
    )


@get("/models", guards=[needs(KeyScope.MODEL)], summary="List the models that may be asked")
async def list_models(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """`tocsin`, which is any of them, and each provider by its name."""
    members = _router(request).members
    names = [("tocsin", "tocsin"), *((m.name, m.config.kind.value) for m in members)]
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in names
    ]
    return {"object": "list", "data": listed if members else []}


def _model(request: Request[Any, Any, Any]) -> ChatModel:
    """The router, told pseudonyms unless the settings say otherwise."""
    router, settings = _router(request), request.app.state.system.settings
    return Discreet(router, Scope.of(settings)) if settings.llm_pseudonyms else router


def _router(request: Request[Any, Any, Any]) -> ModelRouter:
    system: System = request.app.state.system
    assert system.models is not None  # these routes are there only with a router
    return system.models


def _read(body: bytes) -> Completion:
    try:
        asked = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"the body is not a request for a chat completion: {error}") from error
    wrong = [name for name in UNSUPPORTED if getattr(asked, name)]
    if (asked.n or 1) != 1:
        wrong.append("n")
    if wrong:
        raise InputError(f"{', '.join(wrong)}: not supported here; leave it out")
    return asked


def _message(turn: _Turn, place: int) -> ChatMessage:
    role = "system" if turn.role == "developer" else turn.role
    if isinstance(turn.content, list):
        if other := next((part.type for part in turn.content if part.type != "text"), None):
            raise InputError(f"messages[{place}].content: only text, not {other[:40]}")
        return ChatMessage(role=role, content="".join(part.text for part in turn.content))
    return ChatMessage(role=role, content=turn.content or "")


def _schema(wanted: _ResponseFormat | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return _JSON_OBJECT
    if (
        wanted.type == "json_schema"
        and wanted.json_schema
        and wanted.json_schema.schema is not None
    ):
        return wanted.json_schema.schema
    raise InputError("response_format: text, json_object, or json_schema with its schema")


def _header(request: Request[Any, Any, Any], name: str, form: "re.Pattern[str]") -> str:
    value = request.headers.get(name, "")
    if value and not form.match(value):
        raise InputError(f"{name}: must match {form.pattern.removesuffix(chr(92) + 'Z')}")
    return value


def _head(reply: ChatReply) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": reply.model,
    }


def _usage(reply: ChatReply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _whole(head: dict[str, Any], reply: ChatReply) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish_reason,
        "logprobs": None,
    }
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(reply)}


def _events(head: dict[str, Any], reply: ChatReply, wants_usage: bool) -> bytes:
    """The chunks of a stream: who speaks, the text, how it ended, and the usage if asked for."""
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": reply.text}, None),
        ({}, reply.finish_reason),
    ]
    chunks = [[{"index": 0, "delta": delta, "finish_reason": reason}] for delta, reason in deltas]
    events = [{**head, "object": "chat.completion.chunk", "choices": c} for c in chunks]
    if wants_usage:
        last = {"object": "chat.completion.chunk", "choices": [], "usage": _usage(reply)}
        events.append({**head, **last})
    return b"".join(b"data: %s\n\n" % line for line in (*map(_encode, events), b"[DONE]"))


def _headers(reply: ChatReply) -> dict[str, str]:
    return {
        "X-Tocsin-Provider": reply.provider,
        "X-Tocsin-Cached": str(reply.cached).lower(),
        "X-Tocsin-Cost-Usd": f"{reply.cost_usd:.6f}",
        "X-Tocsin-Estimated": str(reply.estimated).lower(),
        "OpenAI-Processing-Ms": str(round(reply.seconds * 1000)),
    }


router = Router(
    path="/v1",
    route_handlers=[complete, list_models],
    tags=["models"],
    request_max_body_size=MOST_BYTES,
    exception_handlers={
        TocsinError: on_tocsin_error,
        HTTPException: on_http_error,
        Exception: on_any_error,
    },
)
