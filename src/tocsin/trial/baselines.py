"""What anybody could predict without a model: the bar that a model must clear."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from tocsin.model import Dossier, Example, ModelMetrics
from tocsin.trial.measures import measures
from tocsin.trial.noise import is_attack

PRIOR_WEIGHT = 2.0  # decisions that the overall share counts as in each cell of a table


def baselines(learned: Sequence[Example], held: Sequence[Example]) -> dict[str, ModelMetrics]:
    """The measures on `held` of tables made from `learned`.

    Always: the share of attacks. Severity: that share by the source's own severity. Signature: by
    the rule. Cells with few decisions lean towards the overall share.
    """
    truths = [is_attack(example.disposition) for example in held]
    found = {}
    for name, key in (("always", _nothing), ("severity", _severity), ("signature", rule_of)):
        chance = _table(learned, key)
        found[name] = measures([chance(example.dossier) for example in held], truths)
    return found


def rule_of(dossier: Dossier) -> Hashable:
    """The rule that fired; the title where the source names no rule."""
    alert = dossier.alert
    if alert is None:
        return (dossier.source, None)
    return (dossier.source, alert.rule.id or alert.rule.name or alert.title)


def _table(
    learned: Sequence[Example], key: Callable[[Dossier], Hashable]
) -> Callable[[Dossier], float]:
    attacks: dict[Hashable, int] = defaultdict(int)
    counts: dict[Hashable, int] = defaultdict(int)
    for example in learned:
        cell = key(example.dossier)
        counts[cell] += 1
        attacks[cell] += is_attack(example.disposition)
    overall = (sum(attacks.values()) + 0.5) / (len(learned) + 1)

    def chance(dossier: Dossier) -> float:
        cell = key(dossier)
        found = attacks.get(cell, 0) + PRIOR_WEIGHT * overall
        return found / (counts.get(cell, 0) + PRIOR_WEIGHT)

    return chance


def _nothing(_: Dossier) -> Hashable:
    return None


def _severity(dossier: Dossier) -> Hashable:
    return dossier.alert.event.severity if dossier.alert else None
