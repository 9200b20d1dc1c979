"""What a preview is put together from: counts by rule, attacks that people know, the digest."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import structs

from tocsin.closing.decision import decide
from tocsin.closing.report import KnownAttack, WouldClose
from tocsin.model import (
    ClassBound,
    Closing,
    ClosingAction,
    ClosingMode,
    ClosingPolicy,
    Dossier,
)


def enabled(
    policy: ClosingPolicy, bounds: Sequence[ClassBound], model_version: str
) -> ClosingPolicy:
    """The policy as it would be, enabled with these bounds."""
    proven = {b.class_name: b.threshold for b in bounds if b.threshold is not None}
    return structs.replace(
        policy, mode=ClosingMode.ON, thresholds=proven, model_version=model_version
    )


def only_drawn(closing: Closing) -> bool:
    """Whether nothing but the draw for people keeps the alert open."""
    return (
        closing.action is ClosingAction.SAMPLED
        and closing.closable
        and closing.threshold is not None
        and closing.probability <= closing.threshold
    )


def rule_of(dossier: Dossier) -> str:
    """What the alert's rule is called."""
    alert = dossier.alert
    return "" if alert is None else (alert.rule.id or alert.rule.name or alert.title)


def digest_of(
    version: int, bounds: Sequence[ClassBound], model: str, attacks: Sequence[KnownAttack]
) -> str:
    """What a preview showed, in 16 hexadecimal digits; new alerts do not change it."""
    shown = (version, model, bounds, [attack.alert_id for attack in attacks])
    return sha256(msgspec.json.encode(shown, order="sorted")).hexdigest()[:16]


def total(counts: Counter[tuple[str, str, ClosingAction]], action: ClosingAction) -> int:
    """How many alerts the policy did this with."""
    return sum(count for (_, _, done), count in counts.items() if done is action)


def by_rule(counts: Counter[tuple[str, str, ClosingAction]]) -> tuple[WouldClose, ...]:
    """By class and rule, those that would close most first."""
    alerts: Counter[tuple[str, str]] = Counter()
    closed: Counter[tuple[str, str]] = Counter()
    for (name, rule, action), count in counts.items():
        alerts[name, rule] += count
        closed[name, rule] += count if action is ClosingAction.CLOSED else 0
    order = sorted(alerts, key=lambda key: (-closed[key], -alerts[key], key))
    return tuple(
        WouldClose(class_name=key[0], rule=key[1], alerts=alerts[key], would_close=closed[key])
        for key in order
    )


def known_attacks(acting: ClosingPolicy, dossiers: Sequence[Dossier]) -> tuple[KnownAttack, ...]:
    """Those of these dossiers, of alerts that people call attacks, that the policy would close."""
    found = []
    for dossier in dossiers:
        closing = decide(acting, dossier)
        if closing.action is ClosingAction.CLOSED or only_drawn(closing):
            found.append(
                KnownAttack(
                    alert_id=dossier.alert_id,
                    class_name=closing.class_name,
                    rule=rule_of(dossier),
                    title=dossier.alert.title if dossier.alert else "",
                    probability=closing.probability,
                    drawn=closing.action is ClosingAction.SAMPLED,
                )
            )
    return tuple(sorted(found, key=lambda attack: attack.alert_id))
