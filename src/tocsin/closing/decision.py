"""What a policy does with one alert: a pure function of the policy and the dossier."""

from hashlib import sha256
from hmac import digest
from math import exp, fsum
from typing import Final

from tocsin.model import (
    EDGES,
    AssetContext,
    Closing,
    ClosingAction,
    ClosingMode,
    ClosingPolicy,
    ClosingRules,
    Criticality,
    Disposition,
    Dossier,
    GapReason,
    ThreatLevel,
    UserContext,
    Verdict,
    ceiling_bin,
)

FAMILY: Final = "prior.family."
OTHER: Final = "other"
DECISIONS: Final = "prior.decisions"  # and what begins so
DRAWN: Final = "drawn at random for people to judge"
MODEL_EVIDENCE: Final = ("model.", "narrator.", "llm.", "opinion.")
"""How the names of evidence begin that came from a language model."""


def class_of(dossier: Dossier) -> str:
    """The class of an alert: its source, and the kind of activity that its rule looks for.

    The kind is taken from what the detector's vendor wrote. Where only text that an attacker can
    write tells the kind, the class is `SOURCE/other`, so that nobody can choose a class.
    """
    source = dossier.source or "unknown"
    if dossier.verdict is not None:
        for item in dossier.verdict.evidence:
            if item.name.startswith(FAMILY) and not item.tainted:
                return source + "/" + item.name[len(FAMILY) :]
    return source + "/" + OTHER


def score(verdict: Verdict) -> float:
    """The probability without what people's decisions have moved at once.

    The bound is about a score that means the same for the first sample as for the last. Decisions,
    those on the samples among them, would change it while it is calibrated; everything else in it
    stays as long as the version of the model does.
    """
    if not any(item.name.startswith(DECISIONS) for item in verdict.evidence):
        return verdict.probability
    kept = [item.weight for item in verdict.evidence if not item.name.startswith(DECISIONS)]
    total = fsum(kept)
    return 1 / (1 + exp(-max(min(total, 20.0), -20.0)))


def drawn(policy: ClosingPolicy, alert_id: str) -> bool:
    """Whether the alert is in the random share for people.

    A keyed hash (HMAC-SHA256) of its id and the policy's version: nobody without the key can tell
    before, and everybody with it can tell again.
    """
    return share_of(policy, alert_id) < policy.rules.sample_rate


def share_of(policy: ClosingPolicy, alert_id: str) -> float:
    """The alert's place between 0 and 1, spread evenly."""
    text = f"{policy.version}:{alert_id}".encode("utf-8", "backslashreplace")
    return int.from_bytes(digest(bytes.fromhex(policy.seed), text, "sha256")[:7]) / 2**56


def decide(policy: ClosingPolicy, dossier: Dossier) -> Closing:
    """Close the alert, draw it for people, or leave it as it is; and why.

    An alert that was drawn is never closed. Everything else is closed only when no guard keeps it
    open and its probability is at most the threshold that its class has been proven for.
    """
    verdict = dossier.verdict
    name = class_of(dossier)
    if policy.mode is ClosingMode.OFF:
        return _left(policy, name, verdict, "the policy is off")
    if verdict is None:
        return _left(policy, name, verdict, "there is no verdict")
    if name not in policy.rules.classes:
        return _left(policy, name, verdict, "the policy does not name its class")
    chance = score(verdict)
    guard = guarded(policy.rules, dossier, verdict, chance)
    chosen = drawn(policy, dossier.alert_id)
    why = DRAWN if chosen else guard or _above(policy, name, verdict, chance)
    if chosen:
        action = ClosingAction.SAMPLED
    elif why is not None:
        action = ClosingAction.LEFT
    elif policy.mode is ClosingMode.ON:
        action = ClosingAction.CLOSED
    else:
        action = ClosingAction.WOULD_CLOSE
    return Closing(
        action=action,
        class_name=name,
        probability=chance,
        policy_version=policy.version,
        why=why or "its probability is at most the threshold of its class",
        threshold=policy.thresholds.get(name),
        closable=guard is None,
        revision=policy.revision,
        likeness=likeness(dossier) if chosen else "",
        model_version=verdict.model_version,
    )


def _above(policy: ClosingPolicy, name: str, verdict: Verdict, chance: float) -> str | None:
    """Why an alert that nothing else keeps open stays so; None when it may be closed."""
    threshold = policy.thresholds.get(name)
    if threshold is None:
        return "no threshold is proven for its class"
    if policy.model_version and verdict.model_version != policy.model_version:
        return "the model is not the one that was calibrated"
    if not chance <= threshold:  # also for what is no number
        return "its probability is above the threshold"
    return None


def guarded(rules: ClosingRules, dossier: Dossier, verdict: Verdict, chance: float) -> str | None:
    """Why the alert stays open whatever its class has been proven for; None when nothing does."""
    return _by_verdict(rules, verdict, chance) or _by_facts(rules, dossier)


def _by_verdict(rules: ClosingRules, verdict: Verdict, chance: float) -> str | None:
    highest = EDGES[ceiling_bin(rules.ceiling)]
    undetermined = verdict.verdict is Disposition.UNDETERMINED
    why = None
    if verdict.verdict is Disposition.TRUE_POSITIVE:
        why = "triage calls it an attack"
    elif undetermined and not rules.undetermined:
        why = "triage does not call it harmless"
    elif verdict.requires_human_review and not undetermined:
        why = "triage asks for a person"
    elif not verdict.confidence >= rules.least_confidence:
        why = "the verdict is not sure enough"
    elif not (chance <= highest and verdict.probability <= highest):
        why = "its probability is above the ceiling"
    elif any(e.weight < 0 and e.name.startswith(MODEL_EVIDENCE) for e in verdict.evidence):
        why = "a language model's evidence lowers it"
    return why


def _by_facts(rules: ClosingRules, dossier: Dossier) -> str | None:
    for fact in dossier.context:
        data = fact.data
        if isinstance(data, AssetContext):
            if data.asset is not None and data.asset.criticality is Criticality.CRITICAL:
                return "the asset is critical"
        elif isinstance(data, UserContext) and data.user is not None and not data.user.enabled:
            return "the account is disabled"
    if any(sighting.threat_level is not ThreatLevel.UNKNOWN for sighting in dossier.intel):
        return "intelligence knows one of its indicators"
    if sum(gap.reason is not GapReason.ABSENT for gap in dossier.gaps) > rules.max_gaps:
        return "too much could not be checked"
    return None


def likeness(dossier: Dossier) -> str:
    """16 hexadecimal digits, equal for alerts of one rule about the same things."""
    alert = dossier.alert
    if alert is None:
        return ""
    parts = (
        alert.rule.id or alert.rule.name or alert.title,
        alert.host.id or alert.host.name,
        alert.user.id or alert.user.name,
        alert.source.ip,
        alert.destination.ip,
    )
    text = "\x1f".join(part or "" for part in parts)
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _left(policy: ClosingPolicy, name: str, verdict: Verdict | None, why: str) -> Closing:
    return Closing(
        action=ClosingAction.LEFT,
        class_name=name,
        probability=0.0 if verdict is None else verdict.probability,
        policy_version=policy.version,
        why=why,
        revision=policy.revision,
    )
