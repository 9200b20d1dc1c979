"""What threat intelligence and warning lists say of the alert's indicators."""

from collections.abc import Sequence

from tocsin.knowledge.warninglists import SHARED
from tocsin.model import (
    Evidence,
    NetworkDirection,
    ObservableRole,
    ObservableType,
    Sighting,
    ThreatLevel,
)
from tocsin.triage.case import Case
from tocsin.triage.evidence import entry, quoted

MOST_HITS = 8
MEASURED = frozenset({ObservableRole.SOURCE, ObservableRole.DESTINATION})
FACTOR = {
    ObservableRole.FILE: "file",
    ObservableRole.PROCESS: "file",
    ObservableRole.URL: "url",
    ObservableRole.DNS: "name",
    ObservableRole.HOST: "name",
    ObservableRole.SENDER: "mail",
    ObservableRole.RECIPIENT: "mail",
    ObservableRole.USER: "mail",
    ObservableRole.MENTION: "mention",
}
ROLE_WORDS = {
    ObservableRole.SOURCE: "the source",
    ObservableRole.DESTINATION: "the destination",
    ObservableRole.HOST: "the host",
    ObservableRole.FILE: "the file",
    ObservableRole.PROCESS: "the process",
    ObservableRole.URL: "the address that was requested",
    ObservableRole.DNS: "the name that was asked for",
    ObservableRole.SENDER: "the sender",
    ObservableRole.RECIPIENT: "the recipient",
    ObservableRole.USER: "the account",
    ObservableRole.MENTION: "mentioned in the alert",
}


def listed(case: Case) -> Sequence[Evidence]:
    """Indicators that intelligence knows; each further one counts for less than the last."""
    if not case.known_indicators:
        return ()
    weighed = sorted(
        ((_weight(case, sighting), sighting) for sighting in case.known_indicators),
        key=lambda pair: -pair[0],
    )
    further = case.weights.intel.factor["further_hit"].weight
    return [
        _hit(sighting, weight * further**rank)
        for rank, (weight, sighting) in enumerate(weighed[:MOST_HITS])
    ]


def well_known(case: Case) -> Sequence[Evidence]:
    """The remote end of our own connection stands on lists of well-known services."""
    if case.direction is not NetworkDirection.OUTBOUND or not case.declared:
        return ()
    for sighting in case.dossier.intel:
        if (
            sighting.benign_lists
            and sighting.role is ObservableRole.DESTINATION
            and sighting.type is ObservableType.IP
            and known_good(sighting)
            and sighting.threat_level is ThreatLevel.UNKNOWN
            and sighting.value == case.alert.destination.ip
            and not _written(case, sighting)
        ):
            return (
                entry(
                    "intel.well_known_destination",
                    "The destination "
                    + quoted(sighting.value)
                    + " is a well-known service: "
                    + _names(known_good(sighting))
                    + ".",
                    _pointer(sighting, "/benign_lists"),
                    sighting.benign_lists,
                    case.weights.intel.limit["known_good_destination"].weight,
                ),
            )
    return ()


def known_good(sighting: Sighting) -> tuple[str, ...]:
    """The warning lists that vouch for a value.

    Lists of what strangers share (clouds, content networks) do not: attackers rent there too.
    """
    return tuple(name for name in sighting.benign_lists if name not in SHARED)


def _written(case: Case, sighting: Sighting) -> bool:
    return any(
        observable.tainted
        for observable in case.alert.observables
        if observable.value == sighting.value
    )


def _weight(case: Case, sighting: Sighting) -> float:
    intel = case.weights.intel
    confidence = max(min(sighting.confidence, 1.0), intel.limit["least_confidence"].weight)
    weight = (
        intel.level[sighting.threat_level].weight
        * intel.factor[_factor(case, sighting.role)].weight
        * confidence
    )
    if sighting.matched is not None and sighting.matched != sighting.value:
        weight *= intel.factor["wider_match"].weight
    if known_good(sighting):
        return min(weight, intel.limit["known_good_cap"].weight)
    return weight


def _factor(case: Case, role: ObservableRole) -> str:
    if role is ObservableRole.DESTINATION:
        outbound = case.direction is NetworkDirection.OUTBOUND
        return "outbound_destination" if outbound else "destination"
    if role is ObservableRole.SOURCE:
        inbound = case.direction is NetworkDirection.INBOUND
        return "inbound_source" if inbound else "source"
    return FACTOR[role]


def _hit(sighting: Sighting, weight: float) -> Evidence:
    wider = sighting.matched is not None and sighting.matched != sighting.value
    statement = (
        quoted(sighting.value)
        + ", "
        + ROLE_WORDS[sighting.role]
        + ", is listed as a threat of level "
        + sighting.threat_level
        + (" through " + quoted(sighting.matched or "") if wider else "")
        + (" by " + _names(sighting.sources) if sighting.sources else "")
        + ", confidence "
        + str(round(sighting.confidence, 2))
        + ("; it is also a well-known service" if known_good(sighting) else "")
        + "."
    )
    return entry(
        "intel." + sighting.role + "_" + sighting.type + "_listed",
        statement,
        _pointer(sighting, "/threat_level"),
        sighting.threat_level,
        weight,
        tainted=sighting.role not in MEASURED and sighting.type is not ObservableType.HASH,
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(quoted(name, 60) for name in names[:3])
    return shown + " and others" if len(names) > 3 else shown


def _pointer(sighting: Sighting, path: str) -> str:
    return "threat_intel/" + sighting.type + "/" + sighting.value + "#" + path
