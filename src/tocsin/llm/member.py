"""One provider as the router sees it: how it is doing, how fast it may be asked, what it did."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tocsin import logs, metrics
from tocsin.errors import ProviderFailure
from tocsin.http import Breaker
from tocsin.llm.pace import Pace
from tocsin.llm.provider import Answer, Provider, Question
from tocsin.settings import ModelProvider

HEALTHY = ("refused", "form_refused", "filtered", "rate_limited")
"""Outcomes of a provider that lives: they say something of the request, or of its speed."""
PAUSE = 1.0
REMEMBERED = 256

log = logs.get("llm")


@dataclass(slots=True)
class Member:
    """A provider with its limits and its health."""

    config: ModelProvider
    provider: Provider
    breaker: Breaker
    pace: Pace
    places: asyncio.Semaphore
    quiet_until: float = 0.0
    lowered: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.config.name

    def forms(self, schema: str) -> tuple[str, ...]:
        """The forms that may work for a schema, best first; `schema` is its digest."""
        every = self.provider.forms
        return tuple(f for f in every if f"{f} {schema}" not in self.lowered) or every[-1:]

    def lower(self, form: str, schema: str) -> None:
        """Remember that a form does not work for a schema."""
        if len(self.lowered) >= REMEMBERED:
            self.lowered.clear()
        self.lowered.add(f"{form} {schema}")

    @asynccontextmanager
    async def place(self, tokens: int, patience: float) -> AsyncIterator[None]:
        """A place among the requests that it has in hand.

        Args:
            tokens: what the request may use.
            patience: seconds to wait for a place.

        Raises:
            ProviderFailure: it may not be asked now; `retry_after` says when.
        """
        if self.breaker.wait > 0:
            raise ProviderFailure(self.name, "open", retry_after=self.breaker.wait)
        quiet = self.quiet_until - time.monotonic()
        if quiet > 0:
            raise ProviderFailure(self.name, "paced", retry_after=quiet)
        try:
            async with asyncio.timeout(patience):
                await self.places.acquire()
        except TimeoutError:
            raise ProviderFailure(self.name, "busy", retry_after=PAUSE) from None
        try:
            if not self.breaker.admit():
                raise ProviderFailure(self.name, "open", retry_after=self.breaker.wait)
            try:
                wait = self.pace.take(tokens)
                if wait > 0:
                    raise ProviderFailure(self.name, "paced", retry_after=wait)
                yield
            finally:
                self.breaker.abandoned()
        finally:
            self.places.release()

    async def ask(self, question: Question, seconds: float) -> Answer:
        """Ask once, within `seconds`, and remember how it went.

        Raises:
            ProviderFailure: there is no reply.
        """
        started = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                answer = await self.provider.ask(question, seconds)
        except TimeoutError:
            self._note("timeout")
            raise ProviderFailure(self.name, "timeout") from None
        except ProviderFailure as failure:
            if failure.code == "rate_limited":
                pause = PAUSE if failure.retry_after is None else failure.retry_after
                self.quiet_until = time.monotonic() + pause
            self._note(failure.code)
            raise
        else:
            self._note(metrics.MODEL_ANSWERED)
            return answer
        finally:
            metrics.MODEL_SECONDS.labels(self.name).observe(time.perf_counter() - started)

    def _note(self, outcome: str) -> None:
        was_well = self.breaker.state == "closed"
        if outcome == metrics.MODEL_ANSWERED or outcome in HEALTHY:
            self.breaker.succeeded()
        else:
            self.breaker.failed()
        is_well = self.breaker.state == "closed"
        if was_well and not is_well:
            log.warning("llm.provider_down", provider=self.name, reason=outcome)
        elif is_well and not was_well:
            log.info("llm.provider_up", provider=self.name)
        metrics.MODEL_UP.labels(self.name).set(is_well)
