"""Anthropic's interface."""

from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import msgspec

from tocsin.errors import ProviderFailure
from tocsin.http import library_client
from tocsin.llm.provider import DETAIL, MOST_BYTES, Answer, Question
from tocsin.llm.vendor import NO_KEY, Errors, VendorChat
from tocsin.settings import ModelProvider, Settings

ERRORS = Errors(
    anthropic.APITimeoutError,
    anthropic.APIConnectionError,
    anthropic.APIStatusError,
    anthropic.AnthropicError,
)
HEADERS = frozenset({"authorization", "x-api-key", "anthropic-version"})
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


class AnthropicChat(VendorChat):
    """See `llm.provider.Provider`; there is no seed, and temperature only on older models."""

    forms: tuple[str, ...] = ("schema", "text")
    schema_parameter = "output_config"

    def __init__(self, config: ModelProvider, key: str, settings: Settings) -> None:
        client = anthropic.AsyncAnthropic(
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
        super().__init__(config, key, client, ERRORS)

    @property
    def _create(self) -> Callable[..., Any]:
        create: Callable[..., Any] = self._client.messages.with_raw_response.create
        return create

    def _parameters(self, question: Question, dropped: set[str]) -> dict[str, Any]:
        turns = [m for m in question.messages if m["role"] != "system"]
        system = "\n\n".join(m["content"] for m in question.messages if m["role"] == "system")
        wanted: dict[str, Any] = {"temperature": min(question.temperature, 1.0)}
        if question.schema is not None and question.form == "schema":
            wanted[self.schema_parameter] = {
                "format": {"type": "json_schema", "schema": dict(question.schema)}
            }
        given = {
            "model": self._config.model,
            "max_tokens": question.max_tokens,
            "messages": turns or [{"role": "user", "content": FIRST_TURN}],
            "extra_body": {n: value for n, value in wanted.items() if n not in dropped},
        }
        return {**given, "system": system} if system else given

    def _unwanted(self, failure: ProviderFailure, parameters: Mapping[str, Any]) -> str | None:
        return next((n for n in parameters["extra_body"] if n in failure.detail), None)

    def _said(self, error: Any) -> str:
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error")
        said = inner.get("message") if isinstance(inner, dict) else None
        return said if isinstance(said, str) else str(error.response.text)

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


def _sum(first: Any, *others: Any) -> int | None:
    """All together; None where the first is no whole number."""
    if not isinstance(first, int) or isinstance(first, bool):
        return None
    return first + sum(o for o in others if isinstance(o, int) and not isinstance(o, bool))
