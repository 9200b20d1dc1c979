"""What triage says: evidence, recommended actions and the verdict."""

from tocsin.model.record import Record, Score, Share
from tocsin.model.words import Disposition, EvidenceDirection, ResponsePhase, RiskLevel


class Evidence(Record, frozen=True, kw_only=True):
    """One reason: a statement, where it stands, and what it is worth.

    `pointer` is `TABLE/KEY#JSON-POINTER` into what is stored; `value_hash` is the first 16 hex
    digits of the SHA-256 of the pointed value's canonical JSON. `weight` is in log-odds (natural
    logarithm). `tainted` says that an attacker can have written the value; such evidence never
    lowers a verdict.
    """

    name: str  # stable code, e.g. "intel.destination_ip_listed"
    statement: str
    pointer: str
    value_hash: str
    direction: EvidenceDirection
    weight: float
    tainted: bool = False
    technique: str | None = None


class Action(Record, frozen=True, kw_only=True):
    """A recommended action, bound to the entity it concerns.

    `evidence` holds the pointers of the verdict's evidence that speaks for it; `mitigations` are
    ids of ATT&CK (M1037), `countermeasures` ids of D3FEND (D3-NI). `undo` says how to take it
    back, and is empty where nothing was changed.
    """

    action: str  # stable code, e.g. "isolate_host"
    title: str  # what to do, with the concrete host, account or address
    entity_type: str  # host, user, ip, domain, url, file, email, alert
    entity: str
    reason: str
    priority: int  # 1 is first
    phase: ResponsePhase = ResponsePhase.DETECTION_AND_ANALYSIS
    evidence: tuple[str, ...] = ()
    undo: str = ""
    effort: str = ""  # in words, e.g. "minutes"
    blast_radius: str = ""  # in words: what else it touches
    mitigations: tuple[str, ...] = ()
    countermeasures: tuple[str, ...] = ()


class Verdict(Record, frozen=True, kw_only=True):
    """What triage says of an alert. `risk_score` = 100 × probability × impact."""

    verdict: Disposition
    probability: Share  # of true_positive
    impact: Share
    risk_score: Score
    risk_level: RiskLevel
    confidence: Share  # from how much of the evidence could be looked at
    requires_human_review: bool
    analysis: str
    evidence: tuple[Evidence, ...] = ()
    recommended_actions: tuple[Action, ...] = ()
    model_version: str = ""


def risk_level(score: float) -> RiskLevel:
    """The level of a risk score of 0–100; the thresholds are those of `RiskLevel`."""
    if score >= 90:
        return RiskLevel.CRITICAL
    if score >= 70:
        return RiskLevel.HIGH
    if score >= 40:
        return RiskLevel.MEDIUM
    if score >= 20:
        return RiskLevel.LOW
    return RiskLevel.INFO
