"""The policy as new as the database's, without asking it for every batch; and the work with it."""

import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from tocsin import logs
from tocsin.closing.decision import decide
from tocsin.errors import Unavailable
from tocsin.model import Closing, ClosingMode, ClosingPolicy, Dossier
from tocsin.ports import ClosingPolicies, Resources

log = logs.get("closing")
Close = Callable[[Sequence[Dossier]], Awaitable[list[Dossier]]]


class FreshPolicy:
    """The current policy; asks for its version at most every `interval` seconds.

    A policy that cannot be read closes nothing. One that was changed within the interval does no
    harm either: what it decides is checked against the database in the transaction that saves it.
    """

    def __init__(
        self,
        policies: ClosingPolicies,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies = policies
        self._interval = interval
        self._clock = clock
        self._due = 0.0
        self._version = -1
        self._policy: ClosingPolicy | None = None

    async def current(self) -> ClosingPolicy | None:
        """The policy; None while nothing is to be closed or drawn."""
        if self._clock() < self._due:
            return self._policy
        self._due = self._clock() + self._interval
        try:
            version = await self._policies.version()
            if version != self._version:
                policy = await self._policies.policy()
                active = policy is not None and policy.mode is not ClosingMode.OFF
                self._policy = policy if active else None
                self._version = version
        except Unavailable as error:
            self._policy, self._version = None, -1
            log.warning("closing.policy_unavailable", reason=error.reason)
        return self._policy


def build(resources: Resources) -> Close | None:
    """What fills `closing` of each triaged dossier that the policy looks at; None without one."""
    if resources.closing is None:
        return None
    fresh = FreshPolicy(resources.closing, resources.settings.autoclose_refresh)

    async def close(batch: Sequence[Dossier]) -> list[Dossier]:
        policy = await fresh.current()
        if policy is None:
            return list(batch)
        return [_with_closing(policy, dossier) for dossier in batch]

    return close


def _with_closing(policy: ClosingPolicy, dossier: Dossier) -> Dossier:
    try:
        closing: Closing = decide(policy, dossier)
    except Exception:  # the edge: whatever it is, the alert stays open
        log.exception("closing.failed", alert_id=dossier.alert_id)
        return dossier
    if closing.class_name not in policy.rules.classes:
        return dossier
    return structs.replace(dossier, closing=closing)
