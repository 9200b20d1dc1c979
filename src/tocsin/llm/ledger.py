"""What each call is charged to: budgets before it, accounts and metrics after it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tocsin import logs, metrics
from tocsin.errors import BudgetSpent, ProviderFailure, TocsinError
from tocsin.llm.estimate import cost, used
from tocsin.llm.member import Member
from tocsin.llm.provider import Answer
from tocsin.ports import Budget, ChatReply, ChatRequest, ModelAccounts, ModelCall
from tocsin.settings import ModelProvider, Settings

SENT = ("timeout", "broken", "abandoned")
"""Outcomes after which the provider may well bill what it read."""

log = logs.get("llm")


@dataclass(slots=True)
class Charge:
    """One call while it runs: what it is going to be booked as."""

    config: ModelProvider
    prompt: int
    max_tokens: int
    outcome: str = "abandoned"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    estimated: bool = False

    def answered(self, answer: Answer) -> None:
        """There is a reply, which costs what it used, whether or not it is of use."""
        self._use(*used(answer, self.prompt, self.max_tokens))

    def failed(self, code: str) -> None:
        """There is none, or none of use."""
        self.outcome = code
        if code in SENT and not self.prompt_tokens:
            self._use(self.prompt, 0, True)

    def onto(self, call: ModelCall) -> ModelCall:
        """The call, as it went."""
        return replace(
            call,
            outcome=self.outcome,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost_usd=self.cost_usd,
            estimated=self.estimated,
        )

    def _use(self, prompt: int, completion: int, estimated: bool) -> None:
        self.prompt_tokens, self.completion_tokens, self.estimated = prompt, completion, estimated
        self.cost_usd = cost(self.config, prompt, completion)


class Ledger:
    """Budgets, accounts and metrics of all calls."""

    def __init__(self, accounts: ModelAccounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings

    @asynccontextmanager
    async def charge(
        self, member: Member, request: ChatRequest, prompt: int
    ) -> AsyncIterator[Charge]:
        """Reserve the most that a call can cost, and book what it did cost, however it ends.

        Raises:
            ProviderFailure: `budget_spent`; a cheaper provider may still be affordable.
        """
        day = today()
        budgets = self.budgets(day, request.run)
        most = prompt + request.max_tokens
        charge = Charge(member.config, prompt, request.max_tokens)
        call = ModelCall(
            day=day,
            provider=member.name,
            purpose=request.purpose,
            run=request.run,
            outcome=charge.outcome,
            prompt_tokens=0,
            completion_tokens=0,
            cost_usd=0.0,
            estimated=False,
            reserved_tokens=most,
            reserved_usd=cost(member.config, prompt, request.max_tokens),
        )
        try:
            await self._reserve(call, budgets)
        except BudgetSpent as spent:
            member.pace.settle(most, 0)
            raise ProviderFailure(
                member.name, "budget_spent", detail=f"{spent.scope} {spent}"
            ) from None
        try:
            yield charge
        except ProviderFailure as failure:
            charge.failed(failure.code)
            raise
        except asyncio.CancelledError:
            charge.failed("abandoned")
            raise
        finally:
            member.pace.settle(most, charge.prompt_tokens + charge.completion_tokens)
            await _to_the_end(self._book(charge.onto(call), budgets))

    async def _reserve(self, call: ModelCall, budgets: tuple[Budget, ...]) -> None:
        """Reserve; where the request is cancelled meanwhile, what was taken is given back."""
        if not budgets:
            return
        taking = asyncio.create_task(
            self._accounts.reserve(budgets, call.reserved_tokens, call.reserved_usd)
        )
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait([taking])
            if taking.exception() is None:
                await self._book(call, budgets)
            raise

    async def reused(self, kept: ChatReply, request: ChatRequest) -> ChatReply:
        """Book a kept reply, which costs nothing now."""
        call = ModelCall(
            day=today(),
            provider=kept.provider,
            purpose=request.purpose,
            run=request.run,
            outcome=metrics.MODEL_CACHED,
            prompt_tokens=0,
            completion_tokens=0,
            cost_usd=0.0,
            estimated=False,
            reserved_tokens=0,
            reserved_usd=0.0,
        )
        await self._book(call, ())
        return replace(kept, cached=True, cost_usd=0.0, seconds=0.0)

    def budgets(self, day: str, run: str) -> tuple[Budget, ...]:
        """The budgets that a call is charged to; scopes without a limit are left out."""
        limits = self._settings
        found = [Budget(f"day:{day}", limits.llm_day_tokens, limits.llm_day_usd)]
        if run:
            found.append(Budget(f"run:{run}", limits.llm_run_tokens, limits.llm_run_usd))
        return tuple(b for b in found if b.tokens is not None or b.cost_usd is not None)

    async def left(self) -> dict[str, float]:
        """What today's budget still holds, by unit; units without a limit are left out."""
        limits = {"tokens": self._settings.llm_day_tokens, "usd": self._settings.llm_day_usd}
        if all(limit is None for limit in limits.values()):
            return {}
        tokens, usd = await self._accounts.spent(f"day:{today()}")
        spent = {"tokens": tokens, "usd": usd}
        return {
            unit: max(0.0, limit - spent[unit])
            for unit, limit in limits.items()
            if limit is not None
        }

    async def _book(self, call: ModelCall, budgets: tuple[Budget, ...]) -> None:
        metrics.MODEL_REQUESTS.labels(call.provider, call.outcome).inc()
        metrics.MODEL_TOKENS.labels(call.provider, "prompt").inc(call.prompt_tokens)
        metrics.MODEL_TOKENS.labels(call.provider, "completion").inc(call.completion_tokens)
        metrics.MODEL_COST.labels(call.provider).inc(call.cost_usd)
        log.info(
            "llm.called",
            provider=call.provider,
            purpose=call.purpose,
            outcome=call.outcome,
            tokens=call.prompt_tokens + call.completion_tokens,
            cost_usd=round(call.cost_usd, 6),
            estimated=call.estimated,
        )
        try:
            await self._accounts.settle(call, budgets)
        except TocsinError as error:  # the reservation stays: too much is charged, not too little
            log.warning("llm.not_booked", provider=call.provider, reason=error.reason)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Work that is done before a cancelled request ends: what is booked must be right by then."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def today() -> str:
    """The UTC day that a call is charged to, as an ISO date."""
    return datetime.now(UTC).date().isoformat()
