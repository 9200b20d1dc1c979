"""OpenAI's interface, which Azure, vLLM, Ollama, llama.cpp, LM Studio and many others speak."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import openai

from tocsin.errors import ProviderFailure
from tocsin.http import library_client
from tocsin.llm.provider import DETAIL, MOST_BYTES, Answer, Question
from tocsin.llm.vendor import NO_KEY, Errors, VendorChat
from tocsin.model import ProviderKind
from tocsin.settings import ModelProvider, Settings

ERRORS = Errors(
    openai.APITimeoutError, openai.APIConnectionError, openai.APIStatusError, openai.OpenAIError
)
HEADERS = frozenset({"authorization", "api-key"})
OPTIONAL = ("response_format", "max_tokens", "temperature", "seed")
JSON_SCHEMA_NAME = "reply"


class _Message(msgspec.Struct):
    content: str | list[Any] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Completion).decode


class OpenAIChat(VendorChat):
    """See `llm.provider.Provider`; for kinds `openai` and `azure`."""

    forms: tuple[str, ...] = ("schema", "json", "text")
    schema_parameter = "response_format"

    def __init__(self, config: ModelProvider, key: str, settings: Settings) -> None:
        http = library_client(
            settings,
            seconds=config.timeout,
            most_bytes=MOST_BYTES,
            connections=config.max_concurrent,
            headers=HEADERS,
        )
        client: openai.AsyncOpenAI
        if config.kind is ProviderKind.AZURE:
            client = openai.AsyncAzureOpenAI(
                azure_endpoint=config.url.rstrip("/").removesuffix("/openai"),
                azure_deployment=config.deployment or config.model,
                api_version=config.api_version,
                api_key=key or NO_KEY,
                max_retries=0,
                http_client=http,
            )
        else:
            client = openai.AsyncOpenAI(
                base_url=config.url, api_key=key or NO_KEY, max_retries=0, http_client=http
            )
        super().__init__(config, key, client, ERRORS)

    @property
    def _create(self) -> Callable[..., Any]:
        create: Callable[..., Any] = self._client.chat.completions.with_raw_response.create
        return create

    def _parameters(self, question: Question, dropped: set[str]) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "temperature": question.temperature,
            "seed": question.seed,
            self.schema_parameter: _response_format(question),
        }
        kept = {
            name: value
            for name, value in wanted.items()
            if value is not None and name not in dropped
        }
        limit = "max_completion_tokens" if "max_tokens" in dropped else "max_tokens"
        return {
            "model": self._config.model,
            "messages": list(question.messages),
            limit: question.max_tokens,
            **kept,
        }

    def _unwanted(self, failure: ProviderFailure, parameters: Mapping[str, Any]) -> str | None:
        named, _, said = failure.detail.partition("\n")
        sent = [name for name in OPTIONAL if name in parameters]
        if named:
            return next((name for name in sent if named.partition(".")[0] == name), None)
        return next((name for name in sent if name in said), None)

    def _said(self, error: Any) -> str:
        """The parameter that the server complains of, if it names one, and its words."""
        body = error.body if isinstance(error.body, dict) else {}
        named = body.get("param")
        said = body.get("message")  # others have shapes of their own
        said = said if isinstance(said, str) else error.response.text
        return f"{named if isinstance(named, str) else ''}\n{said}"

    def _read(self, content: bytes) -> Answer:
        name = self._config.name
        try:
            completion = _decode(content)
        except (msgspec.DecodeError, ValueError) as error:
            raise ProviderFailure(name, "broken", detail=str(error)[:DETAIL]) from None
        if not completion.choices:
            raise ProviderFailure(name, "broken", detail="the reply has no choices")
        choice = completion.choices[0]
        text = _text(choice.message.content)
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise ProviderFailure(name, "filtered")
        usage = completion.usage if isinstance(completion.usage, dict) else {}
        return Answer(
            text=text,
            model=(completion.model or self._config.model)[:200],
            finish_reason="length" if choice.finish_reason == "length" else "stop",
            prompt_tokens=_whole(usage.get("prompt_tokens")),
            completion_tokens=_whole(usage.get("completion_tokens")),
        )


def _response_format(question: Question) -> dict[str, Any] | None:
    if question.schema is None or question.form == "text":
        return None
    if question.form == "json":
        return {"type": "json_object"}
    schema = {"name": JSON_SCHEMA_NAME, "schema": dict(question.schema), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content or ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
