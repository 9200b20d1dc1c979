"""The worker behind the queue of second opinions: never on an alert's way, never fatal."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tocsin import logs, metrics
from tocsin.errors import BudgetSpent, TocsinError, Unavailable
from tocsin.model import ModelReply, Opinion, OpinionStatus
from tocsin.narrate.claims import check
from tocsin.narrate.merging import change
from tocsin.narrate.talk import Around, Talk, begin, hold
from tocsin.narrate.value import value
from tocsin.ports import ChatModel, Inventory, Lookups, Opinions, OpinionWork
from tocsin.redaction import Scope
from tocsin.settings import Settings

GRACE = 30.0  # seconds between an opinion's end and the moment its lease runs out
LONGEST_ERROR = 300
LONGEST_PAUSE = 3600.0
_NOTHING: Mapping[str, str] = {}

log = logs.get("narrator")


class Narrator:
    """Takes wanted opinions and asks a model for each, several at once.

    Args:
        model: who is asked.
        opinions: the queue, and where opinions end.
        lookups: what a model may ask of our store.
        inventory: assets and users.
        settings: all settings.
    """

    def __init__(
        self,
        model: ChatModel,
        opinions: Opinions,
        lookups: Lookups,
        inventory: Inventory,
        settings: Settings,
    ) -> None:
        self._around = Around(model, lookups, inventory, settings, Scope.of(settings))
        self._opinions = opinions
        self._settings = settings

    async def run(self) -> None:
        """Work until cancelled; whatever happens, it goes on."""
        log.info("narrator.started", parallel=self._settings.narrator_parallel)
        free = asyncio.Semaphore(self._settings.narrator_parallel)
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                work = await self._next()
                task = group.create_task(self._one(work))
                task.add_done_callback(lambda _: free.release())

    async def _next(self) -> OpinionWork:
        """Wait for an opinion that is wanted."""
        lease = self._settings.narrator_timeout + GRACE
        while True:
            try:
                found = await self._opinions.lease(1, lease)
                if found:
                    return found[0]
            except Exception as error:  # noqa: BLE001  # an edge: the narrator outlives everything
                log.warning("narrator.waits", error=_words(error))
                await asyncio.sleep(5 * self._settings.narrator_interval)
            await asyncio.sleep(self._settings.narrator_interval)

    async def _one(self, work: OpinionWork) -> None:
        started = time.perf_counter()
        try:
            status = await self.work(work)
        except Exception as error:  # noqa: BLE001  # an edge: its lease runs out, and it comes again
            log.warning("opinion.lost", alert_id=work.dossier.alert_id, error=_words(error))
            return
        seconds = time.perf_counter() - started
        metrics.OPINIONS.labels(status.value).inc()
        metrics.OPINION_SECONDS.observe(seconds)
        log.info(
            "opinion.ended",
            alert_id=work.dossier.alert_id,
            status=status.value,
            ms=round(seconds * 1000, 1),
        )

    async def work(self, work: OpinionWork) -> OpinionStatus:
        """Form one opinion and record what became of it.

        Raises:
            StoreUnavailable: the database does not answer; the work comes back.
        """
        dossier, verdict = work.dossier, work.dossier.verdict
        if verdict is None or dossier.alert is None:
            return await self._end(work, OpinionStatus.SKIPPED, "the alert has no verdict")
        if work.decided:
            return await self._end(
                work, OpinionStatus.SKIPPED, "not asked: a person has decided it"
            )
        now = value(dossier, verdict, self._settings)
        if not now.wanted:
            return await self._end(work, OpinionStatus.SKIPPED, now.why)
        talk = await asyncio.to_thread(begin, dossier, self._around)  # texts may be long
        try:
            async with asyncio.timeout(self._settings.narrator_timeout):
                reply = await hold(talk, dossier, self._around)
        except Exception as error:  # noqa: BLE001  # an edge: a model's client may raise anything
            return await self._without(work, error, talk)
        opinion = await asyncio.to_thread(formed, work, talk, reply)
        await self._opinions.finish(opinion, talk.names.mapping)
        return opinion.status

    async def _without(self, work: OpinionWork, error: Exception, talk: Talk) -> OpinionStatus:
        """No opinion came of it: for good, or until the next try."""
        if isinstance(error, BudgetSpent):
            return await self._end(work, OpinionStatus.BUDGET, _words(error), talk)
        if isinstance(error, Unavailable | TimeoutError):
            return await self._again(work, error, talk)
        if not isinstance(error, TocsinError):
            log.warning("opinion.defect", alert_id=work.dossier.alert_id, error=_words(error))
        return await self._end(work, OpinionStatus.FAILED, _words(error), talk)

    async def _again(self, work: OpinionWork, error: Exception, talk: Talk) -> OpinionStatus:
        """Try again later, a few times."""
        attempts = work.attempts + 1
        if attempts >= self._settings.narrator_attempts:
            return await self._end(work, OpinionStatus.FAILED, _words(error), talk)
        pause = min(self._settings.narrator_pause * 4 ** (attempts - 1), LONGEST_PAUSE)
        await self._opinions.postpone(work.dossier.alert_id, pause, _words(error))
        return OpinionStatus.PENDING

    async def _end(
        self, work: OpinionWork, status: OpinionStatus, why: str, talk: Talk | None = None
    ) -> OpinionStatus:
        """Record that there is no opinion; the verdict stays as it was."""
        opinion = Opinion(
            alert_id=work.dossier.alert_id,
            status=status,
            why=why if status is OpinionStatus.SKIPPED else work.why,
            value=work.value,
            attempts=work.attempts + 1,
            finished_at=datetime.now(UTC),
            error=None if status is OpinionStatus.SKIPPED else why,
            **({} if talk is None else _costs(talk)),
        )
        await self._opinions.finish(opinion, _NOTHING if talk is None else talk.names.mapping)
        return status


def formed(work: OpinionWork, talk: Talk, reply: ModelReply) -> Opinion:
    """The opinion that a reply makes once code has checked it."""
    verdict = work.dossier.verdict
    assert verdict is not None
    checked = check(reply, talk.shown, talk.results, talk.names)
    notes = list(checked.notes)
    if reply.tool_requests:
        notes.append("look-ups beyond the last round were not made")
    if reply.raise_to is not None and not checked.grounded:
        notes.append("it would raise the risk, but no claim of it rests on evidence")
    elif reply.raise_to is not None and reply.raise_to < verdict.probability:
        notes.append("it would lower the probability, which no opinion can")
    return Opinion(
        alert_id=work.dossier.alert_id,
        status=OpinionStatus.DONE,
        why=work.why,
        value=work.value,
        attempts=work.attempts + 1,
        finished_at=datetime.now(UTC),
        assessment=reply.assessment,
        summary=checked.summary,
        claims=checked.claims,
        questions=checked.questions,
        notes=tuple(notes),
        ask_review=reply.ask_review,
        raise_to=reply.raise_to,
        change=change(verdict, reply, grounded=checked.grounded),
        **_costs(talk),
    )


def _costs(talk: Talk) -> dict[str, Any]:
    return {
        "model": talk.model or None,
        "prompt_tokens": sum(step.prompt_tokens for step in talk.ledger),
        "completion_tokens": sum(step.completion_tokens for step in talk.ledger),
        "cost_usd": sum(step.cost_usd for step in talk.ledger),
        "ledger": tuple(talk.ledger),
    }


def _words(error: BaseException) -> str:
    """An error as one bounded line."""
    text = f"{type(error).__name__}: {error}".replace("\0", " ")[:LONGEST_ERROR]
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())
