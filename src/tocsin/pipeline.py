"""THE MAP: the journey of one alert, in order.

ingest ─ alert.raw ─► normalize ─ alert.normalized ─► context ─ alert.enriched ─► intel
       ─ alert.contextualized ─► triage ─ alert.result ─► after

How steps are grouped into processes is deployment: `chain` gives any run of neighbours, which the
runner then works through without a queue or a load between them. Only a step that follows the
verdict begins a chain of its own (`chains`): an alert is triaged whatever happens after.
"""

from collections.abc import Sequence

from tocsin import after, context, intel, normalize, triage
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
    Step(
        name="after",
        takes="alert.result",
        gives="alert.followed",
        fills="links",
        work=after.build,
        batch=100,
        lease=120.0,
        wants=after.wants,
    ),
)

FIRST = STEPS[0]
FOLLOW_UPS = frozenset(step.name for step in STEPS if step.wants is not None)
"""The steps that follow a verdict: what waits for them is triaged already."""


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


def chains(steps: Sequence[Step]) -> tuple[tuple[Step, ...], ...]:
    """These steps as chains: a step that follows a verdict begins one of its own."""
    parts: list[list[Step]] = []
    for step in steps:
        if not parts or step.wants is not None:
            parts.append([])
        parts[-1].append(step)
    return tuple(tuple(part) for part in parts)


TO_VERDICT = chains(STEPS)[0]
"""The steps that lead to a verdict."""


def filled_before(step: Step) -> tuple[str, ...]:
    """The dossier's fields that the steps before this one have filled."""
    return tuple(s.fills for s in STEPS[: _place(step)])


def step_after(step: Step) -> Step | None:
    """The next step, or None after the last."""
    place = _place(step) + 1
    return STEPS[place] if place < len(STEPS) else None


def _place(step: Step) -> int:
    return [s.name for s in STEPS].index(step.name)
