"""From the sum to a verdict: probability, disposition, and whether a person must look."""

import math
from collections.abc import Sequence

from tocsin.model import Criticality, Disposition, Evidence, ThreatLevel
from tocsin.triage.case import Case

LEAST, MOST = 0.001, 0.999
_SERIOUS = frozenset({ThreatLevel.HIGH, ThreatLevel.CRITICAL})


def probability(evidence: Sequence[Evidence]) -> float:
    """The logistic function of the sum of all weights, kept away from certainty.

    The sum is exact to nine places (weights have three), so neither the order of the evidence nor
    how a sum is split among its pieces matters.
    """
    total = round(math.fsum([item.weight for item in evidence]), 9)
    if total < -20:
        return LEAST
    return min(max(1 / (1 + math.exp(-total)), LEAST), MOST)


def disposition(
    case: Case, evidence: Sequence[Evidence], chance: float, sure: float
) -> Disposition:
    """What the alert is taken to be; what is not sure enough stays undetermined."""
    limits = case.weights.threshold
    if chance >= limits["true_positive"].weight:
        return Disposition.TRUE_POSITIVE
    if sure < limits["closing_confidence"].weight:
        return Disposition.UNDETERMINED
    if (
        case.asset is not None  # only the inventory authorises
        and chance <= limits["benign_positive"].weight
        and any(item.weight < 0 and item.name.startswith("authorised.") for item in evidence)
    ):
        return Disposition.BENIGN_POSITIVE
    if chance <= limits["false_positive"].weight:
        return Disposition.FALSE_POSITIVE
    return Disposition.UNDETERMINED


def review_reasons(
    case: Case, verdict: Disposition, evidence: Sequence[Evidence], risk: float, sure: float
) -> list[str]:
    """Why a person must look; nobody needs to when the list is empty."""
    limits = case.weights.threshold
    reasons = []
    if verdict is Disposition.UNDETERMINED:
        reasons.append("what is known does not decide it")
    if verdict is Disposition.TRUE_POSITIVE and risk >= limits["review_risk"].weight:
        reasons.append("an attack of this risk is confirmed by a person")
    if sure < limits["review_confidence"].weight:
        reasons.append("too little could be checked")
    critical = case.asset is not None and case.asset.criticality is Criticality.CRITICAL
    if critical and risk >= limits["review_critical"].weight:
        reasons.append("the asset is critical")
    if verdict is not Disposition.TRUE_POSITIVE:
        known, account = case.known_indicators, case.user
        if known and any(sighting.threat_level in _SERIOUS for sighting in known):
            reasons.append("intelligence lists one of its indicators as a serious threat")
        disabled = account is not None and not account.enabled
        if disabled and any(item.name == "user.disabled" for item in evidence):
            reasons.append("a disabled account is involved")
    return reasons
