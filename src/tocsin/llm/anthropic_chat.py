"""Anthropic's interface."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anthropic
import msgspec

from tocsin.errors import InputError, ProviderFailure
from tocsin.http import library_client
from tocsin.llm.provider import (
    DETAIL,
    MOST_BYTES,
    Answer,
    Question,
    failure_of_status,
    hidden,
)
from tocsin.settings import ModelProvider, Settings

HEADERS = frozenset({"authorization", "x-api-key", "anthropic-version"})
NO_KEY = "none"
FIRST_TURN = "Answer as the instructions above ask."


class _Block(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None


class _Message(msgspec.Struct):
    content: list[_Block]
    model: str | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Message).decode


class AnthropicChat:
    """See `llm.provider.Provider`; there is no seed, and temperature only on older models."""

    forms: tuple[str, ...] = ("schema", "text")

    def __init__(self, config: ModelProvider, key: str, settings: Settings) -> None:
        self._config = config
        self._key = key
        self._dropped: set[str] = set()  # parameters that the model was found not to take
        self._client = anthropic.AsyncAnthropic(
            base_url=config.url.rstrip("/").removesuffix("/v1"),  # the library adds it
            api_key=key or NO_KEY,
            max_retries=0,
            open_telemetry=False,
            default_headers={"Authorization": f"Bearer {key or NO_KEY}"},  # not the environment's
            http_client=library_client(
                settings,
                seconds=config.timeout,
                most_bytes=MOST_BYTES,
                connections=config.max_concurrent,
                headers=HEADERS,
            ),
        )

    async def ask(self, question: Question, seconds: float) -> Answer:
        """See `llm.provider.Provider.ask`."""
        create: Callable[..., Any] = self._client.messages.with_raw_response.create
        tried: set[str] = set()
        while True:
            parameters = self._parameters(question, tried)
            try:
                raw = await self._send(partial(create, **parameters, timeout=seconds))
            except ProviderFailure as failure:
                name = _unwanted(failure, parameters["extra_body"])
                if name is None:
                    raise
                if name == "output_config":
                    raise ProviderFailure(self._config.name, "form_refused") from None
                tried.add(name)
                continue
            self._dropped |= tried
            return self._read(raw)

    async def reach(self, seconds: float) -> None:
        """See `llm.provider.Provider.reach`."""
        try:
            await self._send(partial(self._client.models.with_raw_response.list, timeout=seconds))
        except ProviderFailure as failure:
            if failure.code not in ("refused", "rate_limited"):
                raise

    async def close(self) -> None:
        """See `llm.provider.Provider.close`."""
        await self._client.close()

    def _parameters(self, question: Question, tried: set[str]) -> dict[str, Any]:
        dropped = self._dropped | tried
        turns = [m for m in question.messages if m["role"] != "system"]
        system = "\n\n".join(m["content"] for m in question.messages if m["role"] == "system")
        wanted: dict[str, Any] = {"temperature": min(question.temperature, 1.0)}
        if question.schema is not None and question.form == "schema":
            wanted["output_config"] = {
                "format": {"type": "json_schema", "schema": dict(question.schema)}
            }
        given = {
            "model": self._config.model,
            "max_tokens": question.max_tokens,
            "messages": turns or [{"role": "user", "content": FIRST_TURN}],
            "extra_body": {n: value for n, value in wanted.items() if n not in dropped},
        }
        return {**given, "system": system} if system else given

    async def _send(self, call: Callable[[], Any]) -> bytes:
        name = self._config.name
        try:
            raw = await call()
            content: bytes = raw.http_response.content
        except anthropic.APITimeoutError:
            raise ProviderFailure(name, "timeout") from None
        except anthropic.APIConnectionError as error:
            cause = error.__cause__  # its words are of the network, never of the request
            code = "broken" if isinstance(cause, InputError) else "unreachable"
            raise ProviderFailure(name, code, detail=str(cause)[:DETAIL]) from None
        except InputError as error:  # from our transport: too large, packed, not allowed
            raise ProviderFailure(name, "broken", detail=str(error)) from None
        except anthropic.APIStatusError as error:
            raise failure_of_status(
                name,
                error.status_code,
                error.response.headers.get("retry-after"),
                hidden(_said(error), self._key),
            ) from None
        except (anthropic.AnthropicError, ValueError):
            raise ProviderFailure(name, "broken") from None
        return content

    def _read(self, content: bytes) -> Answer:
        name = self._config.name
        try:
            message = _decode(content)
        except (msgspec.DecodeError, ValueError) as error:
            raise ProviderFailure(name, "broken", detail=str(error)[:DETAIL]) from None
        if message.stop_reason == "refusal":
            raise ProviderFailure(name, "filtered")
        usage = message.usage or _Usage()
        cut = message.stop_reason in ("max_tokens", "model_context_window_exceeded")
        return Answer(
            text="".join(b.text for b in message.content if b.type == "text" and b.text),
            model=(message.model or self._config.model)[:200],
            finish_reason="length" if cut else "stop",
            prompt_tokens=_sum(
                usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens
            ),
            completion_tokens=_sum(usage.output_tokens),
        )


def _unwanted(failure: ProviderFailure, sent: dict[str, Any]) -> str | None:
    """The optional parameter that the server refuses, if that is why it refused."""
    if failure.status not in (400, 422):
        return None
    return next((name for name in sent if name in failure.detail), None)


def _said(error: anthropic.APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error")
    said = inner.get("message") if isinstance(inner, dict) else None
    return said if isinstance(said, str) else error.response.text


def _sum(first: Any, *others: Any) -> int | None:
    """All together; None where the first is no whole number."""
    if not isinstance(first, int) or isinstance(first, bool):
        return None
    return first + sum(o for o in others if isinstance(o, int) and not isinstance(o, bool))
