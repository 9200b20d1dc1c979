"""What the router needs of a provider, and what all providers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from tocsin.errors import ProviderFailure
from tocsin.ports import ChatMessage

MOST_BYTES = 4 * 1024 * 1024
DETAIL = 300
UNAUTHORIZED = (401, 403)


@dataclass(frozen=True, slots=True)
class Question:
    """What one provider is asked once; `form` is how its reply is brought into a schema's form."""

    messages: tuple[ChatMessage, ...]
    schema: Mapping[str, Any] | None
    form: str
    max_tokens: int
    seed: int | None
    temperature: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What it said; tokens are None where it did not say."""

    text: str
    model: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Provider(Protocol):
    """One provider, spoken to through its vendor's library."""

    forms: tuple[str, ...]
    """How it can be made to answer in a schema's form, best first: `schema`, `json`, `text`."""

    async def ask(self, question: Question, seconds: float) -> Answer:
        """Ask once, without trying again.

        Raises:
            ProviderFailure: there is no reply; says why.
        """
        ...

    async def reach(self, seconds: float) -> None:
        """See whether it answers and takes the key, without asking the model anything.

        Raises:
            ProviderFailure: it does not.
        """
        ...

    async def close(self) -> None:
        """Let go of its connections."""
        ...


def digest(schema: Mapping[str, Any] | None) -> str:
    """A short name for a schema."""
    return sha256(msgspec.json.encode(schema, order="sorted")).hexdigest()[:16]


def failure_of_status(
    name: str, status: int, retry_after: str | None, said: str
) -> ProviderFailure:
    """What an HTTP status says about the provider and the request."""
    if status == 429:
        code = "rate_limited"
    elif status >= 500 or status in (408, 409):
        code = "overloaded"
    elif status in UNAUTHORIZED:
        code = "unauthorized"
    elif status == 413:
        code = "too_large"
    else:
        code = "refused"
    return ProviderFailure(
        name, code, status=status, retry_after=seconds_of(retry_after), detail=said[:DETAIL]
    )


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After in seconds; dates are rare among model providers and count as not given."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def hidden(said: str, key: str) -> str:
    """What a provider said, without our key: some repeat a wrong one."""
    return said.replace(key, "(key)") if key else said
