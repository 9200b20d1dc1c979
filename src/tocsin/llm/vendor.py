"""Asking through a vendor's library: what is alike in all of them, which are made alike."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from tocsin.errors import InputError, ProviderFailure
from tocsin.llm.provider import DETAIL, Answer, Question, failure_of_status, hidden
from tocsin.settings import ModelProvider

NO_KEY = "none"  # local servers take any


class Errors(NamedTuple):
    """The exceptions of a vendor's library; `every` is the root of the others."""

    timeout: type[Exception]
    connection: type[Exception]
    status: type[Exception]
    every: type[Exception]


class VendorChat(ABC):
    """See `llm.provider.Provider`; a vendor says how its requests, replies and complaints look.

    Args:
        config: the provider.
        key: its key; empty for none.
        client: the library's client.
        errors: the library's exceptions.
    """

    forms: tuple[str, ...]
    schema_parameter: str
    """The parameter without which a reply has no schema: refused, the next form is tried."""

    def __init__(self, config: ModelProvider, key: str, client: Any, errors: Errors) -> None:
        self._config = config
        self._key = key
        self._client = client
        self._errors = errors
        self._dropped: set[str] = set()  # parameters that the model was found not to take

    async def ask(self, question: Question, seconds: float) -> Answer:
        """See `llm.provider.Provider.ask`."""
        tried: set[str] = set()
        while True:
            parameters = self._parameters(question, self._dropped | tried)
            try:
                raw = await self._send(partial(self._create, **parameters, timeout=seconds))
            except ProviderFailure as failure:
                refused = failure.status in (400, 422)
                name = self._unwanted(failure, parameters) if refused else None
                if name is None:
                    raise
                if name == self.schema_parameter:
                    raise ProviderFailure(self._config.name, "form_refused") from None
                tried.add(name)
                continue
            self._dropped |= tried
            return self._read(raw)

    async def reach(self, seconds: float) -> None:
        """See `llm.provider.Provider.reach`; a server without a list of models answers too."""
        try:
            await self._send(partial(self._client.models.with_raw_response.list, timeout=seconds))
        except ProviderFailure as failure:
            if failure.code not in ("refused", "rate_limited"):
                raise

    async def close(self) -> None:
        """See `llm.provider.Provider.close`."""
        await self._client.close()

    @property
    @abstractmethod
    def _create(self) -> Callable[..., Any]:
        """The library's function that asks, and answers with the raw response."""

    @abstractmethod
    def _parameters(self, question: Question, dropped: set[str]) -> dict[str, Any]:
        """What `_create` is given, without the optional parameters that are dropped."""

    @abstractmethod
    def _said(self, error: Any) -> str:
        """The server's words in an error of its status."""

    @abstractmethod
    def _unwanted(self, failure: ProviderFailure, parameters: Mapping[str, Any]) -> str | None:
        """The optional parameter that a refusal complains of, if it is one that was sent."""

    @abstractmethod
    def _read(self, content: bytes) -> Answer:
        """The answer in a reply.

        Raises:
            ProviderFailure: there is none.
        """

    async def _send(self, call: Callable[[], Any]) -> bytes:
        """One request, whatever it answers as bytes or as a `ProviderFailure`."""
        name, errors = self._config.name, self._errors
        try:
            raw = await call()
            content: bytes = raw.http_response.content
        except errors.timeout:
            raise ProviderFailure(name, "timeout") from None
        except errors.connection as error:
            cause = error.__cause__  # its words are of the network, never of the request
            code = "broken" if isinstance(cause, InputError) else "unreachable"
            raise ProviderFailure(name, code, detail=str(cause)[:DETAIL]) from None
        except InputError as error:  # from our transport: too large, packed, not allowed
            raise ProviderFailure(name, "broken", detail=str(error)) from None
        except errors.status as error:
            raise self._refusal(error) from None
        except (errors.every, ValueError):
            raise ProviderFailure(name, "broken") from None
        return content

    def _refusal(self, error: Any) -> ProviderFailure:
        return failure_of_status(
            self._config.name,
            error.status_code,
            error.response.headers.get("retry-after"),
            hidden(self._said(error), self._key),
        )
