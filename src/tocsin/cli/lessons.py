"""Learning on a schedule: a process of its own, so that the server stays small."""

import asyncio
import sys
import time
from contextlib import suppress

import msgspec

from tocsin import logs
from tocsin.cli.learn import LEASE, LEASE_SECONDS, Outcome
from tocsin.errors import TocsinError
from tocsin.settings import Settings, environment_of
from tocsin.store.leases import LeaseStore

HOUR = 3600.0
LONGEST_POLL = 60.0
SHORTEST_POLL = 0.5
PAUSE_AFTER_FAILURE = 600.0  # seconds; or the interval, where that is shorter
TAIL = 500
BUSY = 4  # the exit code of a process that found somebody else learning

log = logs.get("lessons")


class Lessons:
    """Starts `tocsin learn` whenever it is due; replicas on one database take turns by a lease."""

    def __init__(self, settings: Settings, leases: LeaseStore) -> None:
        self._settings = settings
        self._leases = leases
        self._interval = settings.learn_interval * HOUR
        self._tried_at = -PAUSE_AFTER_FAILURE

    async def run(self) -> None:
        """Look now and then whether it is time, until cancelled."""
        poll = min(max(self._interval / 10, SHORTEST_POLL), LONGEST_POLL)
        while True:
            if await self._due():
                self._tried_at = time.monotonic()
                try:
                    await self._learn()
                except (OSError, msgspec.MsgspecError) as error:  # the next time may do better
                    log.exception("learn.failed", error=str(error))
            await asyncio.sleep(poll)

    async def _due(self) -> bool:
        pause = min(self._interval, PAUSE_AFTER_FAILURE)
        if time.monotonic() - self._tried_at < pause:
            return False
        try:
            return await self._leases.since_done(LEASE) >= self._interval
        except TocsinError:
            return False  # others say what is wrong; the next look is soon enough

    async def _learn(self) -> None:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tocsin", "learn", "--scheduled", "--json"),
            env=environment_of(self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            told, complaint = await asyncio.wait_for(process.communicate(), LEASE_SECONDS)
        except TimeoutError:
            await _end(process)
            log.warning("learn.failed", error=f"it did not end within {LEASE_SECONDS:g} s")
            return
        except asyncio.CancelledError:
            await _end(process)
            raise
        seconds = round(time.monotonic() - started, 1)
        if process.returncode == BUSY:
            log.info("learn.busy", seconds=seconds)
        elif process.returncode:
            tail = complaint.decode("utf-8", "replace")[-TAIL:]
            log.error("learn.failed", code=process.returncode, error=tail, seconds=seconds)
        else:
            outcome = msgspec.json.decode(told, type=Outcome)
            log.info(
                "learn.done",
                outcome=outcome.outcome,
                version=outcome.version,
                why=outcome.why,
                seconds=seconds,
            )


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
