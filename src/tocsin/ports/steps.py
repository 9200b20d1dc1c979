"""The lines of the pipeline: what a step is, what it is handed, and how it fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tocsin.model import Dossier
from tocsin.ports.casework import Incidents
from tocsin.ports.closing import ClosingPolicies
from tocsin.ports.learning import Models
from tocsin.ports.questions import DetectionSource, History, IndicatorSource, Inventory
from tocsin.settings import Settings


class Work(Protocol):
    """A step's function: a batch of dossiers in, the same batch out, one field filled.

    The result has the same length and order. A check that could not be made becomes a `Gap`;
    an exception means that the batch holds a poisoned alert (or that the step is broken), and
    the runner splits the batch to find it.
    """

    async def __call__(self, batch: Sequence[Dossier]) -> list[Dossier]:
        """Work on a batch."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What `app.py` hands to every step."""

    settings: Settings
    inventory: Inventory
    history: History
    indicators: IndicatorSource
    incidents: Incidents
    closing: ClosingPolicies | None = None
    detections: DetectionSource | None = None
    models: Models | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One alert that a step could not work on; `final` ones are parked without another try."""

    alert_id: str
    step: str
    error: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the map in `pipeline.py`.

    `name` is the folder, the role on the command line, the metric label and the value of
    `alert_work.step`. `takes` and `gives` are queue names. `fills` is the dossier's field. `work`
    builds the step's function. `batch` is the most alerts it takes at once. `lease` is the
    seconds after which a dead worker's batch is free; a living one renews it.
    `wants` is there for a step that follows a verdict: it says for which alerts. Such a step begins
    a chain of its own, and work that waits for it is a follow-up: the alert is triaged already.
    """

    name: str
    takes: str
    gives: str
    fills: str
    work: Callable[[Resources], Work]
    batch: int
    lease: float
    wants: Callable[[Dossier], bool] | None = None
