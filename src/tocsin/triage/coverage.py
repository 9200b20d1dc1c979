"""How sure the verdict can be: which checks could be made, of those that apply to the alert."""

from tocsin.model import Gap, GapReason, NetworkDirection, ObservableType
from tocsin.triage.case import Case

# Gaps about these are counted by their own share below, not as further ones.
COUNTED = frozenset({"asset", "user", "network", "threat_intel", "event.time", "rule", "history"})


def confidence(case: Case) -> float:
    """The share (0 to 1) of the applicable checks that were made, less a little for other gaps."""
    weights = case.weights.confidence
    made = possible = 0.0
    for name, applies, done in (
        ("rule", True, _rule_recognised(case)),
        ("time", True, case.alert.event.time is not None),
        ("asset", True, case.asset is not None and not case.lacks("asset")),
        ("user", case.names_account, case.user is not None and not case.lacks("user")),
        ("direction", _has_address(case), _direction_known(case)),
        ("intelligence", True, _intelligence_asked(case)),
        ("history", True, _has_history(case)),
    ):
        if applies:
            share = weights[name].weight
            possible += share
            if done:
                made += share
    others = sum(gap.subject.partition(":")[0] not in COUNTED for gap in case.dossier.gaps)
    sure = made / possible + weights["further_gap"].weight * min(others, 10)
    return round(max(min(sure, 1.0), weights["least"].weight), 4)


def further_gaps(case: Case) -> tuple[Gap, ...]:
    """What triage itself could not tell."""
    if not _rule_recognised(case):
        return (
            Gap(
                step="triage",
                subject="rule",
                reason=GapReason.NOT_FOUND,
                detail="what the rule looks for is not told by its words",
            ),
        )
    return ()


def _rule_recognised(case: Case) -> bool:
    """By what its vendor wrote: text of the event must not make a verdict look surer."""
    return case.family.vouched is not None or (case.declared and bool(case.tactics))


def _has_address(case: Case) -> bool:
    return case.alert.source.ip is not None or case.alert.destination.ip is not None


def _direction_known(case: Case) -> bool:
    return case.direction is not NetworkDirection.UNKNOWN and not case.lacks("network")


def _intelligence_asked(case: Case) -> bool:
    """Somebody was asked about the alert's indicators, or it has none to ask about."""
    if case.lacks("threat_intel"):
        return False
    return bool(case.dossier.intel) or all(
        observable.type is ObservableType.IP for observable in case.alert.observables
    )


def _has_history(case: Case) -> bool:
    return case.network is not None and bool(case.network.prevalence) and not case.lacks("history")
