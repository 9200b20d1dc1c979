"""Looks for drift again and again while a policy is on."""

import asyncio

from tocsin import logs, metrics
from tocsin.closing.life import Autoclose
from tocsin.closing.report import Finding
from tocsin.model import ClosingMode, PolicyState
from tocsin.ports import ClosingBook

STATES = ("off", "shadow", "on", "tripped")

log = logs.get("closing")


class Watch:
    """One look every `interval` seconds; several processes may watch the same policy."""

    def __init__(self, book: ClosingBook, interval: float) -> None:
        self._autoclose = Autoclose(book)
        self._interval = interval

    async def run(self) -> None:
        """Watch until cancelled; a look that fails is logged, and the next one comes."""
        while True:
            try:
                show(*await self._autoclose.check())
            except Exception as error:  # the edge: watching must go on
                log.exception("closing.check_failed", reason=metrics.reason_of(error))
            await asyncio.sleep(self._interval)


def show(state: PolicyState | None, findings: tuple[Finding, ...]) -> None:
    """Set the metrics."""
    now = "off"
    if state is not None:
        now = "tripped" if state.tripped else state.policy.mode.value
    for name in STATES:
        metrics.AUTOCLOSE_STATE.labels(name).set(name == now)
    if now != ClosingMode.ON:
        metrics.AUTOCLOSE_DRIFT.clear()
    for found in findings:
        metrics.AUTOCLOSE_DRIFT.labels(found.class_name, found.test).set(found.value / found.limit)
