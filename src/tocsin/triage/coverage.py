"""How sure the verdict can be: which checks could be made, of those that apply to the alert."""

from functools import lru_cache

from tocsin.model import Gap, GapReason, NetworkDirection, ObservableType
from tocsin.triage.case import Case
from tocsin.triage.weights import Weights

UNRECOGNISED = Gap(
    step="triage",
    subject="rule",
    reason=GapReason.NOT_FOUND,
    detail="what the rule looks for is not told by its words",
)
# Whether each of these was done: yes, no, or None where it does not apply to the alert.
CHECKS = ("rule", "time", "asset", "user", "direction", "intelligence", "history")
MOST_FURTHER = 10  # gaps that the confidence counts beside the shares


class Coverage:
    """The shares of the section `confidence`, added up once for each combination of checks."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights.confidence
        self._cached = lru_cache(maxsize=4096)(self._sure)

    def confidence(self, case: Case) -> float:
        """The share (0 to 1) of the applicable checks that were made, less for further gaps."""
        alert, gaps = case.alert, case.unchecked
        addressed = alert.source.ip is not None or alert.destination.ip is not None
        checks = (
            _rule_recognised(case),
            alert.event.time is not None,
            case.asset is not None and "asset" not in gaps.subjects,
            case.user is not None and "user" not in gaps.subjects if case.names_account else None,
            _direction_known(case) if addressed else None,
            _intelligence_asked(case),
            _has_history(case),
        )
        return self._cached(checks, min(gaps.further, MOST_FURTHER))

    def _sure(self, checks: tuple[bool | None, ...], further: int) -> float:
        weights = self._weights
        made = possible = 0.0
        for name, done in zip(CHECKS, checks, strict=True):
            if done is not None:
                share = weights[name].weight
                possible += share
                if done:
                    made += share
        sure = made / possible + weights["further_gap"].weight * further
        return round(max(min(sure, 1.0), weights["least"].weight), 4)


def further_gaps(case: Case) -> tuple[Gap, ...]:
    """What triage itself could not tell."""
    if not _rule_recognised(case):
        return (UNRECOGNISED,)
    return ()


def _rule_recognised(case: Case) -> bool:
    """By what its vendor wrote: text of the event must not make a verdict look surer."""
    return case.family.vouched is not None or (case.declared and bool(case.tactics))


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
