"""From decided alerts to the rows that are learned from.

Repeats of one thing (the same rule on the same machine in the same hour) are one observation,
however many alerts they made: of each, the first few are kept and share a weight of one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tocsin.errors import InputError
from tocsin.model import Decided, Disposition, Dossier, Evidence, Example, Learned
from tocsin.triage import shipped_model
from tocsin.triage.decision import LEAST, MOST
from tocsin.triage.features import Features, features, rule_of
from tocsin.triage.learned import ADDED, raw_sum

HOUR = 3600
NO_EXPERTS = (*ADDED, "impact.")  # evidence whose names begin so
FIRST = 3  # of a repeat that are kept; after them the 4th, 8th, 16th …
SIDES = {
    Disposition.TRUE_POSITIVE: True,
    Disposition.BENIGN_POSITIVE: False,
    Disposition.FALSE_POSITIVE: False,
}


@dataclass(slots=True)
class Row:
    """One decided alert as learning sees it; `repeat` names what it is a repeat of."""

    attack: bool
    rule: str | None
    repeat: tuple[str, str, int]
    evidence: tuple[Evidence, ...]
    features: Features
    weight: float = 1.0

    def written(self) -> "Row":
        """What of it an actor may have written."""
        evidence = tuple([item for item in self.evidence if item.tainted])
        return replace(self, evidence=evidence, features=Features((), self.features.written, {}))


@dataclass(slots=True)
class Sample:
    """Rows, taken in one by one; `thin` keeps few of each repeat."""

    thin: bool = True
    rows: list[Row] = field(default_factory=list)
    _decided: dict[str, list[int]] = field(default_factory=dict)
    _seen: dict[tuple[tuple[str, str, int], bool], int] = field(default_factory=dict)
    _kept: dict[tuple[tuple[str, str, int], bool], list[Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, examples: Iterable[Example], *, thin: bool = True) -> "Sample":
        """A sample of all these examples; nothing is drawn, so the same give the same."""
        sample = cls(thin=thin)
        for example in examples:
            sample.add(example)
        return sample

    def add(self, example: Example) -> None:
        """Take in one decision; undetermined ones say nothing."""
        if self.wants(example.dossier, example.disposition):
            self.take(example)

    def wants(self, dossier: Dossier, disposition: Disposition) -> bool:
        """Count a decision, and say whether its alert is one that is learned from.

        The alert must have its context; it need not have been judged yet.
        """
        attack = SIDES.get(disposition)
        if attack is None or dossier.alert is None:
            return False
        rule = rule_of(dossier)
        if rule is not None:
            self._decided.setdefault(rule, [0, 0])[attack] += 1
        key = (repeat_of(dossier, rule), attack)
        count = self._seen[key] = self._seen.get(key, 0) + 1
        return not self.thin or is_kept(count)

    def take(self, example: Example) -> None:
        """Learn from a judged alert that `wants` was asked about."""
        dossier, attack = example.dossier, SIDES[example.disposition]
        rule = rule_of(dossier)
        repeat = repeat_of(dossier, rule)
        words = features(shipped_model().case(dossier))
        row = Row(attack, rule, repeat, expert_evidence(dossier), words)
        self.rows.append(row)
        if self.thin:
            together = self._kept.setdefault((repeat, attack), [])
            together.append(row)
            for kept in together:
                kept.weight = 1 / len(together)

    def by_rule(self) -> dict[str, Decided]:
        """How the alerts of each rule were decided, repeats counted."""
        return {
            rule: Decided(attacks=attacks, harmless=harmless)
            for rule, (harmless, attacks) in sorted(self._decided.items())
        }


def is_kept(count: int) -> bool:
    """Whether the alert that is the `count`-th of its repeat is one of the few that are kept."""
    return count <= FIRST or not count & (count - 1)


def repeat_of(dossier: Dossier, rule: str | None) -> tuple[str, str, int]:
    """What an alert is a repeat of: the rule, the machine and the hour.

    Raises:
        InputError: the alert has not been normalised.
    """
    alert = dossier.alert
    if alert is None:
        raise InputError("an alert was to be learned from that has not been normalised")
    when = (alert.event.time or dossier.received_at).timestamp()
    host = alert.host.name or alert.host.id or alert.host.ip or alert.source.ip or ""
    return rule or alert.title[:128], host, int(when // HOUR)


def expert_evidence(dossier: Dossier) -> tuple[Evidence, ...]:
    """The evidence of a verdict that is the shipped model's own and moves the sum."""
    if dossier.verdict is None:
        return ()
    return tuple([e for e in dossier.verdict.evidence if not e.name.startswith(NO_EXPERTS)])


def probability_by(learned: Learned | None, row: Row) -> float:
    """What a model says of a row, without the decisions that came since it was learned."""
    if learned is None:
        total = math.fsum([item.weight for item in row.evidence])
    else:
        calibration = learned.calibration(row.rule)
        total = raw_sum(learned, row.evidence, row.features).total
        level = calibration.level * learned.standing(row.rule, total)
        total = calibration.slope * total + level + calibration.intercept
    return min(max(1 / (1 + math.exp(-min(max(total, -30.0), 30.0))), LEAST), MOST)
