"""What the events of alerts of no declared source show, with a limit on how much it may lower."""

from collections.abc import Callable, Sequence

import msgspec

from tocsin.model import Evidence
from tocsin.triage import changes, claims, identity, outcome
from tocsin.triage.case import Case
from tocsin.triage.evidence import entry

PARTS: tuple[Callable[[Case], Sequence[Evidence]], ...] = (
    claims.claimed,
    outcome.ended,
    changes.reading,
    changes.contrary,
    identity.actor,
    identity.origin,
    identity.proof,
    changes.settings,
    changes.deed,
    changes.volume,
)


def observed(case: Case) -> Sequence[Evidence]:
    """All that the payload's event shows; what lowers does so up to a limit in sum."""
    payload = case.payload
    if not payload.event and not payload.cut:
        return ()
    found = [item for part in PARTS for item in part(case)]
    limit = case.weights.observed["limit"].weight
    if sum([item.weight for item in found if item.weight < 0]) < limit:
        found = list(_limited(found, limit))
    if payload.cut:
        found.append(
            entry(
                "payload.too_long",
                "The alert is longer or deeper than what is read of it.",
                case.alert_pointer + "/title",
                case.alert.title,
                case.weights.observed["too_long"].weight,
                tainted=True,
            )
        )
    return found


def _limited(found: Sequence[Evidence], left: float) -> Sequence[Evidence]:
    """The evidence with what lowers cut down in its order, once the limit is reached."""
    kept = []
    for item in found:
        if item.weight >= 0:
            kept.append(item)
            continue
        weight = round(max(item.weight, left), 3)
        left -= weight
        if weight < 0:
            kept.append(msgspec.structs.replace(item, weight=weight))
    return kept
