"""Language models: what they are asked, what they answer, what that costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypedDict


class ChatMessage(TypedDict):
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a language model is asked.

    `schema` is a JSON schema that the reply's text must fit, as JSON. `run` names the budget that
    the call is charged to beside the day's (empty: the day's alone); `purpose` is a word for the
    accounts, such as `narrator`. `model` names one provider or model (empty: any, in order of
    priority). `deadline` is in seconds, all tries and providers together (None: the setting).
    """

    messages: tuple[ChatMessage, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    seed: int | None = None
    run: str = ""
    purpose: str = "other"
    temperature: float = 0.0
    model: str = ""
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What it answered, and what that cost.

    `cached`: it was answered before, and this time cost nothing. `finish_reason` is `stop`,
    `length` or `content_filter`. `seconds` is how long the provider took. `estimated`: the
    provider gave no believable usage, so the tokens (and the cost) are our estimate.
    """

    text: str
    model: str
    provider: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    cached: bool
    finish_reason: str
    seconds: float
    estimated: bool = False


class ChatModel(Protocol):
    """A language model, or several behind one router. It is never trusted, only listened to."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Ask, and wait for the whole reply.

        Raises:
            ModelUnavailable: no provider answered in time, or none is configured.
            BudgetSpent: the run's or the day's budget does not allow the call.
            ModelRefused: every provider that was asked refuses this request.
            ReplyUnusable: no reply fits the schema.
        """
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in one scope, `day:2026-03-04` or `run:…`; None is no limit."""

    scope: str
    tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a provider, for the accounts.

    `reserved_tokens` and `reserved_usd` were taken from the budgets before it; the difference to
    what it used is given back. `outcome` is one of `metrics.MODEL_OUTCOMES`.
    """

    day: str
    provider: str
    purpose: str
    run: str
    outcome: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    estimated: bool
    reserved_tokens: int
    reserved_usd: float


class ModelAccounts(Protocol):
    """What models cost, and what they still may; shared by all processes of an installation."""

    async def reserve(self, budgets: Sequence[Budget], tokens: int, cost_usd: float) -> None:
        """Take the most that a call can cost from every budget, or from none.

        Raises:
            BudgetSpent: one of them does not hold it.
        """
        ...

    async def settle(self, call: ModelCall, budgets: Sequence[Budget]) -> None:
        """Book a call, and give back to the budgets what it did not use."""
        ...

    async def spent(self, scope: str) -> tuple[int, float]:
        """Tokens and US dollars that are used or reserved in a scope."""
        ...


class ReplyCache(Protocol):
    """Replies by the content of their requests."""

    async def find(self, keys: Sequence[bytes], now: datetime) -> ChatReply | None:
        """The reply that was kept under the first of these keys that has one still."""
        ...

    async def keep(self, key: bytes, reply: ChatReply, expires: datetime, most: int) -> None:
        """Keep a reply, and at most `most` in all: the oldest go."""
        ...
