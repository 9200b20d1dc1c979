"""The model that is live, as new as the database's, without asking it for every batch."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin import logs
from tocsin.errors import Unavailable
from tocsin.model import Learned
from tocsin.ports import Models

if TYPE_CHECKING:
    from tocsin.triage import Model

log = logs.get("triage")


class Champion:
    """The expert model, with what was learned on top where a learned model is live.

    It asks for the registry's version at most every `interval` seconds. While the registry does not
    answer, the model stays as it was.
    """

    def __init__(
        self,
        shipped: "Model",
        with_learned: "Callable[[Learned], Model]",
        models: Models | None,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shipped = shipped
        self._with_learned = with_learned
        self._models = models
        self._interval = interval
        self._clock = clock
        self._due = 0.0
        self._version: int | None = None
        self._model = shipped

    async def current(self) -> "Model":
        """The model by which the next batch is judged."""
        if self._models is None or self._clock() < self._due:
            return self._model
        self._due = self._clock() + self._interval
        try:
            version = await self._models.version()
            if version == self._version:
                return self._model
            learned = await self._models.champion()
        except Unavailable as error:
            log.warning("triage.models_unavailable", reason=error.reason)
            return self._model
        self._model = self._shipped if learned is None else self._with_learned(learned)
        self._version = version
        log.info("triage.model_live", model=self._model.version)
        return self._model
