"""The intel step: a sighting for each indicator in an alert, and gaps where nobody can be asked."""

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tocsin.intel.lookup import Lookup, OwnNetworks
from tocsin.intel.refresh import FreshLookup
from tocsin.model import Dossier, Gap, GapReason, Sighting
from tocsin.ports import Resources, Work

NAME = "intel"
SUBJECT = "threat_intel"

NOBODY_TO_ASK = Gap(
    step=NAME,
    subject=SUBJECT,
    reason=GapReason.NOT_CONFIGURED,
    detail="the local store holds no indicators",
)
NOTHING_TO_ASK = Gap(
    step=NAME,
    subject=SUBJECT,
    reason=GapReason.ABSENT,
    detail="the alert carries no indicator outside the own networks",
)


class Intelligence:
    """The step's work: asks the index in memory, one batch at a time."""

    def __init__(self, lookups: FreshLookup, clock: Callable[[], float] = time.time) -> None:
        self._lookups = lookups
        self._clock = clock

    async def __call__(self, batch: Sequence[Dossier]) -> list[Dossier]:
        """The same dossiers with `intel` filled.

        Raises:
            StoreUnavailable: the indicators have never been read and the store does not answer.
        """
        lookup = await self._lookups.current()
        now = self._clock()
        return [with_sightings(dossier, lookup, now) for dossier in batch]


def build(resources: Resources) -> Work:
    """The step over what `app.py` hands it.

    Raises:
        SettingsError: an internal network is not a network.
    """
    settings = resources.settings
    own = OwnNetworks(settings.internal_networks)
    return Intelligence(FreshLookup(resources.indicators, own, settings.indicator_refresh))


def with_sightings(dossier: Dossier, lookup: Lookup, now: float) -> Dossier:
    """One dossier with its sightings, replacing those of an earlier delivery of the same alert."""
    observables = dossier.alert.observables if dossier.alert is not None else ()
    found: list[Sighting] = []
    for observable in observables:
        sighting = lookup.sighting(observable, now)
        if sighting is not None:
            found.append(sighting)
    gaps = dossier.gaps
    if gaps:
        gaps = tuple(gap for gap in gaps if gap.step != NAME)
    if not found:
        gaps = (*gaps, NOTHING_TO_ASK)
    elif not lookup.index.size:
        gaps = (*gaps, NOBODY_TO_ASK)
    return replace(dossier, intel=tuple(found), gaps=gaps)
