"""How fast one provider may be asked: requests and tokens a minute, as buckets that refill."""

import time
from collections.abc import Callable

MINUTE = 60.0


class Pace:
    """The limits of one provider within this process.

    A bucket holds one minute's worth and refills evenly. A request for more tokens than a bucket
    holds goes when it is full. What a request really used is settled afterwards.

    Args:
        requests: a minute; 0 is no limit.
        tokens: a minute; 0 is no limit.
        clock: seconds that only grow.
    """

    def __init__(
        self, requests: int, tokens: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._limits = (float(requests), float(tokens))
        self._left = [float(requests), float(tokens)]
        self._at = clock()

    def take(self, tokens: int) -> float:
        """Take a request of so many tokens; gives 0, or the seconds until it could be taken."""
        self._refill()
        asked = (1.0, float(tokens))
        waits = [
            (min(need, limit) - left) * MINUTE / limit
            for limit, left, need in zip(self._limits, self._left, asked, strict=True)
            if limit and left < min(need, limit)
        ]
        if waits:
            return max(waits)
        self._left = [left - need for left, need in zip(self._left, asked, strict=True)]
        return 0.0

    def settle(self, taken: int, used: int) -> None:
        """Put back what a request did not use."""
        self._left[1] = min(self._left[1] + taken - used, self._limits[1])

    def _refill(self) -> None:
        now = self._clock()
        share = (now - self._at) / MINUTE
        self._at = now
        self._left = [
            min(limit, left + limit * share)
            for limit, left in zip(self._limits, self._left, strict=True)
        ]
