"""THE MAP: the journey of one alert, in order.

ingest ─ alert.raw ─► normalize ─ alert.normalized ─► context ─ alert.enriched ─► intel
       ─ alert.contextualized ─► triage ─ alert.result ─►

How steps are grouped into processes is deployment: `chain` gives any run of neighbours, which the
runner then works through without a queue or a load between them.
"""

from collections.abc import Sequence

from tocsin import context, intel, normalize, triage
from tocsin.errors import SettingsError
from tocsin.ports import Step

STEPS: tuple[Step, ...] = (
    Step(
        name="normalize",
        takes="alert.raw",
        gives="alert.normalized",
        fills="alert",
        work=normalize.build,
        batch=500,
        lease=30.0,
    ),
    Step(
        name="context",
        takes="alert.normalized",
        gives="alert.enriched",
        fills="context",
        work=context.build,
        batch=500,
        lease=30.0,
    ),
    Step(
        name="intel",
        takes="alert.enriched",
        gives="alert.contextualized",
        fills="intel",
        work=intel.build,
        batch=500,
        lease=30.0,
    ),
    Step(
        name="triage",
        takes="alert.contextualized",
        gives="alert.result",
        fills="verdict",
        work=triage.build,
        batch=500,
        lease=30.0,
    ),
)

FIRST = STEPS[0]


def chain(names: Sequence[str]) -> tuple[Step, ...]:
    """The steps of these names, in the order of the map.

    Raises:
        SettingsError: a name is unknown, or the steps are not neighbours.
    """
    known = [step.name for step in STEPS]
    for name in names:
        if name not in known:
            raise SettingsError(f"there is no step {name}; there are: {', '.join(known)}")
    places = sorted({known.index(name) for name in names})
    if not places or places != list(range(places[0], places[-1] + 1)):
        raise SettingsError("steps that run as one chain must be neighbours in the pipeline")
    return STEPS[places[0] : places[-1] + 1]


def filled_before(step: Step) -> tuple[str, ...]:
    """The dossier's fields that the steps before this one have filled."""
    return tuple(s.fills for s in STEPS[: _place(step)])


def step_after(step: Step) -> Step | None:
    """The next step, or None after the last."""
    place = _place(step) + 1
    return STEPS[place] if place < len(STEPS) else None


def _place(step: Step) -> int:
    return [s.name for s in STEPS].index(step.name)
