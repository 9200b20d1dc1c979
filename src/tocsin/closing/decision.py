"""What a policy does with one alert: a pure function of the policy and the dossier."""

from hashlib import sha256
from hmac import digest
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
    guard = guarded(policy.rules, dossier, verdict)
    if drawn(policy, dossier.alert_id):
        return Closing(
            action=ClosingAction.SAMPLED,
            class_name=name,
            probability=verdict.probability,
            policy_version=policy.version,
            why="drawn at random for people to judge",
            threshold=policy.thresholds.get(name),
            closable=guard is None,
            revision=policy.revision,
            likeness=likeness(dossier),
            model_version=verdict.model_version,
        )
    if guard is not None:
        return _left(policy, name, verdict, guard)
    threshold = policy.thresholds.get(name)
    open_because = None
    if threshold is None:
        open_because = "no threshold is proven for its class"
    elif policy.model_version and verdict.model_version != policy.model_version:
        open_because = "the model is not the one that was calibrated"
    elif not verdict.probability <= threshold:  # also for what is no number
        open_because = "its probability is above the threshold"
    if open_because is not None:
        return _left(policy, name, verdict, open_because, closable=True)
    on = policy.mode is ClosingMode.ON
    return Closing(
        action=ClosingAction.CLOSED if on else ClosingAction.WOULD_CLOSE,
        class_name=name,
        probability=verdict.probability,
        policy_version=policy.version,
        why="its probability is at most the threshold of its class",
        threshold=threshold,
        closable=True,
        revision=policy.revision,
        model_version=verdict.model_version,
    )


def guarded(rules: ClosingRules, dossier: Dossier, verdict: Verdict) -> str | None:  # noqa: PLR0911
    """Why the alert stays open whatever its class has been proven for; None when nothing does."""
    if verdict.verdict is Disposition.TRUE_POSITIVE:
        return "triage calls it an attack"
    undetermined = verdict.verdict is Disposition.UNDETERMINED
    if undetermined and not rules.undetermined:
        return "triage does not call it harmless"
    if verdict.requires_human_review and not undetermined:
        return "triage asks for a person"
    for fact in dossier.context:
        data = fact.data
        if isinstance(data, AssetContext):
            if data.asset is not None and data.asset.criticality is Criticality.CRITICAL:
                return "the asset is critical"
        elif isinstance(data, UserContext) and data.user is not None and not data.user.enabled:
            return "the account is disabled"
    for sighting in dossier.intel:
        if sighting.threat_level is not ThreatLevel.UNKNOWN:
            return "intelligence knows one of its indicators"
    if sum(gap.reason is not GapReason.ABSENT for gap in dossier.gaps) > rules.max_gaps:
        return "too much could not be checked"
    if not verdict.confidence >= rules.least_confidence:
        return "the verdict is not sure enough"
    for item in verdict.evidence:
        if item.weight < 0 and item.name.startswith(MODEL_EVIDENCE):
            return "a language model's evidence lowers it"
    if not verdict.probability <= EDGES[ceiling_bin(rules.ceiling)]:
        return "its probability is above the ceiling"
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


def _left(
    policy: ClosingPolicy, name: str, verdict: Verdict | None, why: str, *, closable: bool = False
) -> Closing:
    return Closing(
        action=ClosingAction.LEFT,
        class_name=name,
        probability=0.0 if verdict is None else verdict.probability,
        policy_version=policy.version,
        why=why,
        threshold=policy.thresholds.get(name),
        closable=closable,
        revision=policy.revision,
    )
