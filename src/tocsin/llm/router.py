"""One model in front of many: the first provider that is well, allowed and affordable answers."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import stamina

from tocsin import logs
from tocsin.errors import (
    BudgetSpent,
    ModelRefused,
    ModelUnavailable,
    ProviderFailure,
    ReplyUnusable,
    TocsinError,
)
from tocsin.llm.content import content_key
from tocsin.llm.estimate import prompt_tokens
from tocsin.llm.ledger import Ledger
from tocsin.llm.member import Member
from tocsin.llm.provider import digest
from tocsin.llm.question import check, question_of
from tocsin.llm.structure import fitted
from tocsin.metrics import MODEL_ANSWERED
from tocsin.ports import ChatReply, ChatRequest, ReplyCache
from tocsin.settings import Settings

ANY = ("", "tocsin", "auto")
TRIES = 3
REACH_SECONDS = 3.0
REACHED_SECONDS = 10.0
NONE_CONFIGURED = "no language model is configured; docs/models.md says how to add one"
REFUSALS = {"refused", "form_refused", "filtered", "too_large"}
WAITING = {"paced", "busy"}
PASSING = {"timeout", "unreachable", "rate_limited", "overloaded", "broken"}

log = logs.get("llm")


class _NobodyAnswered(TocsinError):
    """A pass over all providers gave no reply; `wait` is in seconds, None after the last pass."""

    def __init__(self, failures: dict[str, ProviderFailure], wait: float | None) -> None:
        super().__init__("; ".join(str(failure) for failure in failures.values()))
        self.failures = failures
        self.wait = wait


class Router:
    """See `ports.ChatModel`; the members are in order of priority."""

    def __init__(
        self, members: Sequence[Member], ledger: Ledger, cache: ReplyCache, settings: Settings
    ) -> None:
        self.members = tuple(members)
        self.ledger = ledger
        self._cache = cache
        self._settings = settings
        self._reaching = asyncio.Lock()
        self._reached: dict[str, ProviderFailure | None] = {}
        self._reached_until = 0.0

    async def complete(self, request: ChatRequest) -> ChatReply:
        """See `ports.ChatModel.complete`.

        Raises:
            InputError: the request makes no sense, whoever would be asked.
        """
        check(request)
        members = self._named(request.model)
        keeps = self._settings.llm_cache_hours > 0 and request.temperature == 0
        if keeps and (kept := await self._find(request, members)) is not None:
            return kept
        reply, member = await self._ask(request, members)
        if keeps:
            await self._keep(request, member, reply)
        return reply

    async def try_out(self, name: str, request: ChatRequest) -> ChatReply:
        """Ask one provider, whether or not it was asked the same before."""
        reply, _ = await self._ask(request, self._named(name))
        return reply

    async def reach(self) -> dict[str, ProviderFailure | None]:
        """See which providers answer, all at once; None is well.

        What was found is good for a while, so that who asks for our health often does not make us
        ask for theirs as often.
        """
        async with self._reaching:
            if time.monotonic() >= self._reached_until:
                self._reached = await self._reach()
                self._reached_until = time.monotonic() + REACHED_SECONDS
            return self._reached

    async def _reach(self) -> dict[str, ProviderFailure | None]:

        async def one(member: Member) -> ProviderFailure | None:
            try:
                async with asyncio.timeout(REACH_SECONDS):
                    await member.provider.reach(REACH_SECONDS)
            except TimeoutError:
                return ProviderFailure(member.name, "timeout")
            except ProviderFailure as failure:
                return failure
            return None

        found = await asyncio.gather(*(one(member) for member in self.members))
        return dict(zip((member.name for member in self.members), found, strict=True))

    async def close(self) -> None:
        """Let go of all connections."""
        for member in self.members:
            await member.provider.close()

    def _named(self, wanted: str) -> tuple[Member, ...]:
        if not self.members:
            raise ModelUnavailable(NONE_CONFIGURED, retry_after=60.0)
        if wanted in ANY:
            return self.members
        found = tuple(m for m in self.members if wanted in (m.name, m.config.model))
        if not found:
            known = ", ".join(member.name for member in self.members)
            raise ModelRefused(f"there is no such model; there are: tocsin (any of them), {known}")
        return found

    async def _ask(
        self, request: ChatRequest, members: tuple[Member, ...]
    ) -> tuple[ChatReply, Member]:
        """Passes over the providers until one answers or the deadline has come."""
        seconds = request.deadline or self._settings.llm_deadline
        end = time.monotonic() + seconds
        tries: Counter[str] = Counter()

        def pause(error: Exception) -> bool | float:
            if not isinstance(error, _NobodyAnswered) or error.wait is None:
                return False
            return error.wait if time.monotonic() + error.wait < end else False

        try:
            async with asyncio.timeout(seconds):
                async for attempt in stamina.retry_context(
                    on=pause, attempts=None, timeout=seconds
                ):
                    with attempt:
                        return await self._pass(request, members, tries, end)
        except TimeoutError:
            raise ModelUnavailable(f"no language model answered within {seconds:g} s") from None
        except _NobodyAnswered as error:
            raise _why(error.failures) from None
        raise AssertionError("unreachable: the last attempt raises")

    async def _pass(
        self, request: ChatRequest, members: tuple[Member, ...], tries: "Counter[str]", end: float
    ) -> tuple[ChatReply, Member]:
        """Each provider once, in order.

        Raises:
            _NobodyAnswered: none gave a reply.
        """
        failures: dict[str, ProviderFailure] = {}
        for place, member in enumerate(members):
            after = members[place + 1 :]
            seconds = _share(end - time.monotonic(), after)
            try:
                return await self._ask_one(request, member, seconds, not after), member
            except ProviderFailure as failure:
                failures[member.name] = failure
                tries[member.name] += failure.code in PASSING
                log.info(
                    "llm.passed_over",
                    provider=member.name,
                    reason=failure.code,
                    status=failure.status,
                    purpose=request.purpose,
                )
        waits = [
            failure.retry_after if failure.retry_after is not None else 0.25 * 2 ** tries[name]
            for name, failure in failures.items()
            if failure.code in WAITING or (failure.code in PASSING and tries[name] < TRIES)
        ]
        raise _NobodyAnswered(failures, min(waits, default=None))

    async def _ask_one(
        self, request: ChatRequest, member: Member, seconds: float, last: bool
    ) -> ChatReply:
        """One provider, in each form that it can give a schema's reply in, until one fits.

        Args:
            request: what is asked.
            member: who is asked.
            seconds: its share of the time that is left.
            last: whether nobody could be asked after it, so that waiting for a place pays.
        """
        schema = digest(request.schema) if request.schema is not None else ""
        forms = member.forms(schema) if schema else ("text",)
        failure = ProviderFailure(member.name, "invalid_reply")
        end = time.monotonic() + seconds
        for form in forms:
            try:
                return await self._call(request, member, form, end, last)
            except ProviderFailure as error:
                failure = error
                if error.code not in ("invalid_reply", "form_refused") or form == forms[-1]:
                    raise
                member.lower(form, schema)
        raise failure

    async def _call(
        self, request: ChatRequest, member: Member, form: str, end: float, last: bool
    ) -> ChatReply:
        question = question_of(request, form)
        prompt = prompt_tokens(question.messages, question.schema)
        most = prompt + request.max_tokens
        patience = end - time.monotonic() if last else 0.05
        async with (
            member.place(most, max(0.0, patience)),
            self.ledger.charge(member, request, prompt) as charge,
        ):
            started = time.perf_counter()
            seconds = max(0.05, min(member.config.timeout, end - time.monotonic()))
            answer = await member.ask(question, seconds)
            charge.answered(answer)
            text = answer.text
            if request.schema is not None:
                fit = fitted(text, request.schema)
                if fit is None:
                    raise ProviderFailure(member.name, "invalid_reply")
                text = fit
            charge.outcome = MODEL_ANSWERED
            return ChatReply(
                text=text,
                model=answer.model,
                provider=member.name,
                prompt_tokens=charge.prompt_tokens,
                completion_tokens=charge.completion_tokens,
                cost_usd=charge.cost_usd,
                cached=False,
                finish_reason=answer.finish_reason,
                seconds=round(time.perf_counter() - started, 4),
                estimated=charge.estimated,
            )

    async def _find(self, request: ChatRequest, members: tuple[Member, ...]) -> ChatReply | None:
        keys = [content_key(request, member.config) for member in members]
        kept = await self._cache.find(keys, datetime.now(UTC))
        return None if kept is None else await self.ledger.reused(kept, request)

    async def _keep(self, request: ChatRequest, member: Member, reply: ChatReply) -> None:
        if reply.finish_reason != "stop":
            return  # more tokens, or another day, may bring the whole
        expires = datetime.now(UTC) + timedelta(hours=self._settings.llm_cache_hours)
        key = content_key(request, member.config)
        try:
            await self._cache.keep(key, reply, expires, self._settings.llm_cache_replies)
        except TocsinError as error:
            log.warning("llm.not_kept", provider=member.name, reason=error.reason)


def _share(left: float, after: Sequence[Member]) -> float:
    """How much of the seconds that are left one provider gets before others.

    All that they would not need themselves, but at least an equal part.
    """
    needed = sum(member.config.timeout for member in after)
    return max(left / (len(after) + 1), left - needed)


def _why(failures: dict[str, ProviderFailure]) -> TocsinError:
    """The error that says best why nobody answered."""
    codes = {failure.code for failure in failures.values()}
    told = "; ".join(str(failure) for failure in failures.values())
    if codes == {"budget_spent"}:
        first = next(iter(failures.values()))
        return BudgetSpent(first.detail.partition(" ")[0], first.detail.partition(" ")[2])
    if codes == {"invalid_reply"}:
        return ReplyUnusable(f"no reply fits the schema: {told}")
    if codes <= REFUSALS:
        detail = "; ".join(f.detail.strip() for f in failures.values() if f.detail.strip())
        return ModelRefused(f"the request was refused: {told}", detail)
    waits = [f.retry_after for f in failures.values() if f.retry_after is not None]
    return ModelUnavailable(
        f"no language model answered: {told}", retry_after=math.ceil(min(waits, default=5.0))
    )
