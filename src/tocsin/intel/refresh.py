"""Keeps the index in memory as new as the indicator store, without stopping the event loop."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tocsin import logs
from tocsin.errors import Unavailable
from tocsin.intel.index import IndicatorIndex
from tocsin.intel.lookup import Lookup, OwnNetworks
from tocsin.knowledge import warninglists
from tocsin.knowledge.warninglists import WarningLists
from tocsin.ports import IndicatorSource

log = logs.get("intel")

SLICE = 1000
"""Indicators taken in before other work gets its turn: some two milliseconds."""

BUILD_SHARE = 4.0
"""A new look waits at least so many times as long as the last build took, because an import in
progress changes the store all the time."""


class FreshLookup:
    """The current `Lookup`; looks for changed indicators at most every `interval` seconds.

    The batch that finds the store changed builds the new index and then uses it. Batches beside it
    keep the old one, which is swapped in one assignment.
    """

    def __init__(
        self,
        source: IndicatorSource,
        own: OwnNetworks,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._own = own
        self._interval = interval
        self._clock = clock
        self._due = 0.0
        self._lock = asyncio.Lock()
        self._lookup: Lookup | None = None

    async def current(self) -> Lookup:
        """The newest lookup there is.

        Raises:
            StoreUnavailable: there is none yet and the store does not answer.
        """
        lookup = self._lookup
        if lookup is not None and (self._clock() < self._due or self._lock.locked()):
            return lookup
        async with self._lock:
            lookup = self._lookup
            if lookup is None or self._clock() >= self._due:
                lookup = self._lookup = await self._refreshed(lookup)
        return lookup

    async def _refreshed(self, known: Lookup | None) -> Lookup:
        started = self._clock()
        self._due = started + self._interval
        if known is None:
            lists = await asyncio.to_thread(warninglists.load)
            return await self._build(lists, await self._source.version())
        try:
            version = await self._source.version()
            if version == known.index.version:
                return known
            return await self._build(await asyncio.to_thread(warninglists.load), version)
        except Unavailable as error:
            log.warning("intel.refresh_failed", reason=error.reason, version=known.index.version)
            return known

    async def _build(self, lists: WarningLists, version: int) -> Lookup:
        started = self._clock()
        index = IndicatorIndex(version)
        async for chunk in self._source.scan(datetime.now(UTC)):
            for start in range(0, len(chunk), SLICE):
                index.add(chunk[start : start + SLICE])
                await asyncio.sleep(0)
        index.finish()
        seconds = self._clock() - started
        self._due = self._clock() + max(self._interval, BUILD_SHARE * seconds)
        log.info(
            "intel.index_built", version=version, indicators=len(index), ms=round(seconds * 1000)
        )
        return Lookup(index, lists, self._own)
