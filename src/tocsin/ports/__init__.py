"""The shapes that others plug into.

Steps see the rest of the system only through these protocols; `app.py` decides which adapter
stands behind each. Everything works on batches: one call per batch, never one per alert.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypedDict

from tocsin.model import (
    AssetRecord,
    Detection,
    Dossier,
    Example,
    Indicator,
    Learned,
    ModelMetrics,
    ObservableType,
    Prevalence,
    UserRecord,
)
from tocsin.ports.casework import (
    Extent,
    Grouping,
    Incidents,
    Met,
    Move,
    Placed,
    Trail,
)
from tocsin.ports.closing import ClosingBook, ClosingPolicies
from tocsin.ports.opinions import Lookups, OpinionRequest, Opinions, OpinionWork, PastAlert
from tocsin.settings import Settings
from tocsin.traces import NONE, Traces

# --- steps ----------------------------------------------------------------------------------


class Work(Protocol):
    """A step's function: a batch of dossiers in, the same batch out, one field filled.

    The result has the same length and order. A check that could not be made becomes a `Gap`;
    an exception means that the batch holds a poisoned alert (or that the step is broken), and
    the runner splits the batch to find it.
    """

    async def __call__(self, batch: Sequence[Dossier]) -> list[Dossier]:
        """Work on a batch."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One alert that a step could not work on; `final` ones are parked without another try."""

    alert_id: str
    step: str
    error: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the map in `pipeline.py`.

    `name` is the folder, the role on the command line, the metric label and the value of
    `alert_work.step`. `takes` and `gives` are queue names. `fills` is the dossier's field. `work`
    builds the step's function. `batch` is the most alerts it takes at once. `lease` is the
    seconds after which a dead worker's batch is free; a living one renews it.
    `wants` is there for a step that follows a verdict: it says for which alerts. Such a step begins
    a chain of its own, and work that waits for it is a follow-up: the alert is triaged already.
    """

    name: str
    takes: str
    gives: str
    fills: str
    work: Callable[["Resources"], Work]
    batch: int
    lease: float
    wants: Callable[[Dossier], bool] | None = None


# --- what steps may ask ---------------------------------------------------------------------


class EntityKey(NamedTuple):
    """A value to look up, with the kind of name it is.

    Kinds: `asset_id`, `hostname`, `ip` for assets; `user_id`, `user_name`, `email` for users;
    `rule`, `source_ip`, `destination_ip`, `host`, `user`, `rule_host` for the history.
    """

    kind: str
    value: str


RULE_HOST = "rule_host"


def rule_host(rule: str, host: str) -> EntityKey:
    """The key of a rule on one machine, of which only decisions are counted."""
    return EntityKey(RULE_HOST, rule + "\u001f" + host)


class Inventory(Protocol):
    """The organisation's assets and users."""

    async def assets(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, AssetRecord]:
        """The assets that answer to these keys; keys nobody answers to are left out."""
        ...

    async def users(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, UserRecord]:
        """The users that answer to these keys; keys nobody answers to are left out."""
        ...

    async def counts(self) -> tuple[int, int]:
        """How many assets and users are recorded."""
        ...


class History(Protocol):
    """What this installation has seen before."""

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        """How many alerts had each value, and how people decided them.

        Every key is answered, unseen ones with zeros.
        """
        ...


class IndicatorSource(Protocol):
    """The local indicator store, read in bulk into memory."""

    async def version(self) -> int:
        """A number that changes whenever the stored indicators change; cheap to ask."""
        ...

    def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        """All indicators that have not expired at `now`, in chunks."""
        ...


class DetectionSource(Protocol):
    """The local catalogues of detections, read in bulk into memory."""

    async def version(self) -> int:
        """A number that changes whenever the stored detections change; cheap to ask."""
        ...

    def scan(self) -> AsyncIterator[Sequence[Detection]]:
        """All detections, in chunks."""
        ...


class Models(Protocol):
    """The registry of learned models."""

    async def version(self) -> int:
        """A number that changes whenever the champion changes; cheap to ask."""
        ...

    async def champion(self) -> Learned | None:
        """The model that is live; None stands for the expert model that ships with Tocsin."""
        ...


class Learner(Protocol):
    """The mathematics of learning; what has it is loaded only where something is learned."""

    def fit(self, examples: Sequence[Example], *, seed: int = 0) -> Learned:
        """A model of these decisions; the same decisions and seed give the same bytes."""
        ...

    def assess(self, learned: Learned | None, examples: Sequence[Example]) -> ModelMetrics:
        """How good a model is on decisions; None stands for the expert model that ships."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What `app.py` hands to every step."""

    settings: Settings
    inventory: Inventory
    history: History
    indicators: IndicatorSource
    incidents: Incidents
    closing: ClosingPolicies | None = None
    detections: DetectionSource | None = None
    models: "Models | None" = None


# --- the bus --------------------------------------------------------------------------------


class Delivery(Protocol):
    """An envelope of alert ids from one queue."""

    @property
    def ids(self) -> Sequence[str]:
        """The alerts that it speaks of."""
        ...

    @property
    def traces(self) -> Traces:
        """The traces of those alerts that have one; it may hold others too."""
        ...

    async def acknowledge(self) -> None:
        """The work is committed; the bus may forget the envelope."""
        ...


class Bus(Protocol):
    """A bell: it says that there is work, and for which ids. Losing it costs a delay only."""

    async def ring(self, queue: str, ids: Sequence[str], traces: Traces = NONE) -> None:
        """Say that these alerts wait in `queue`, with their traces; waits while it is full.

        Raises:
            BusUnavailable: the bus did not take the message.
        """
        ...

    async def take(self, queue: str, limit: int) -> Sequence[Delivery]:
        """Wait for a delivery from `queue`, then take what waits, up to about `limit` ids.

        An empty answer says that the bus was stopped.
        """
        ...

    async def check(self) -> None:
        """Ask the bus whether it lives.

        Raises:
            BusUnavailable: it does not.
        """
        ...

    async def stop(self) -> None:
        """Give out nothing more; what was taken can still be acknowledged."""
        ...

    async def close(self) -> None:
        """Leave; what was not acknowledged comes again."""
        ...


# --- accepting alerts -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert that was read and found acceptable, not yet stored.

    `digest` (16 bytes) identifies the content. `key` (16 bytes) identifies the alert over all
    time: it stands for the id that the sender chose, or else is the digest. `fallback_id` is the
    id that the alert gets when `alert_id` is a chosen one that names another alert already.
    """

    alert_id: str
    key: bytes
    digest: bytes
    payload: str
    source: str | None
    received_at: datetime
    fallback_id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer for one `NewAlert`, in order.

    `duplicate`: the same alert is stored under this id already. `renamed`: the chosen id names
    another alert, so this one was stored under a new id.
    """

    alert_id: str
    duplicate: bool = False
    renamed: bool = False


class Intake(Protocol):
    """Where accepted alerts are made durable."""

    async def accept(self, alerts: Sequence[NewAlert]) -> list[Accepted]:
        """Commit the alerts and their work rows in one transaction; returns when durable.

        Raises:
            StoreUnavailable: nothing was committed; the sender should try again.
        """
        ...

    async def in_flight(self) -> int:
        """How many alerts wait for a step now."""
        ...


# --- language models ------------------------------------------------------------------------


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


__all__ = [
    "RULE_HOST",
    "Accepted",
    "Budget",
    "Bus",
    "ChatMessage",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ClosingBook",
    "ClosingPolicies",
    "Delivery",
    "DetectionSource",
    "EntityKey",
    "Extent",
    "Failure",
    "Grouping",
    "History",
    "Incidents",
    "IndicatorSource",
    "Intake",
    "Inventory",
    "Learner",
    "Lookups",
    "Met",
    "ModelAccounts",
    "ModelCall",
    "Models",
    "Move",
    "NewAlert",
    "ObservableType",
    "OpinionRequest",
    "OpinionWork",
    "Opinions",
    "PastAlert",
    "Placed",
    "ReplyCache",
    "Resources",
    "Step",
    "Trail",
    "Work",
    "rule_host",
]
