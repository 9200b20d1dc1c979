"""How high the alerts of a rule score among those of other rules, whatever they turned out to be.

A model's sum tells rules apart as well as alerts of one rule. Of a rule that nobody has decided on
the first is less to be trusted: what all its alerts have in common comes with the rule. So a sum is
parted into the level of its rule and what the alert differs by, and the decisions on other rules
say how much a level counts (Mundlak, On the pooling of time series and cross section data, 1978;
Neuhaus and Kalbfleisch, Between- and within-cluster covariate effects, 1998).

A level needs no decisions, so what an actor writes could move it and with it the rule's other
alerts. Of what may be written it therefore takes the median: whoever makes less than half of a
rule's repeats cannot lift it above what the others have.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from tocsin.learn.sample import expert_evidence, is_kept, repeat_of
from tocsin.learn.version import versioned
from tocsin.model import Dossier, Learned, Level
from tocsin.model.learned import held_back
from tocsin.triage import shipped_model
from tocsin.triage.features import features, rule_of
from tocsin.triage.learned import Sum, raw_sum

TINY = 1e-9  # by which sums of weights may differ from what they stand for


class Scored(NamedTuple):
    """The sum of one alert; alerts of one `repeat` count as one."""

    rule: str
    repeat: Hashable
    sum: Sum


def levels(scored: Iterable[Scored]) -> dict[str, Level]:
    """The level of each rule, above nothing.

    It is the mean of what was measured, plus the median of what may have been written.
    """
    by_rule: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        by_rule[one.rule].append(one)
    return {rule: Level(mean=_mean(some), count=len(some)) for rule, some in by_rule.items()}


def relative(level: Level, centre: float) -> Level:
    """A level above that of the average rule."""
    return Level(mean=round(held_back(level.mean - centre), 4), count=level.count)


def levelled(learned: Learned, dossiers: Iterable[Dossier], *, inside: bool = False) -> Learned:
    """The model with the levels of the rules of these judged alerts that nobody has decided on.

    It has another version where any rule has got a level. `inside`: the alerts to be judged by it
    are these.
    """
    if not learned.new.level:
        return learned
    seen: Counter[Hashable] = Counter()
    scored = []
    for dossier in dossiers:
        rule = None if dossier.alert is None else rule_of(dossier)
        if rule is None or rule in learned.rules or dossier.verdict is None:
            continue
        repeat = repeat_of(dossier, rule)
        seen[repeat] += 1
        if is_kept(seen[repeat]):
            words = features(shipped_model().case(dossier))
            total = raw_sum(learned, expert_evidence(dossier), words)
            scored.append(Scored(rule, repeat, total))
    centre = learned.new.centre
    found = {rule: relative(level, centre) for rule, level in sorted(levels(scored).items())}
    if not found:
        return learned
    return versioned(msgspec.structs.replace(learned, levels=found, inside=inside))


def _mean(scored: Sequence[Scored]) -> float:
    together = Counter(one.repeat for one in scored)
    weights = [1 / together[one.repeat] for one in scored]
    measured = sum(weight * one.sum.measured for one, weight in zip(scored, weights, strict=True))
    written = [(one.sum.written, weight) for one, weight in zip(scored, weights, strict=True)]
    return measured / len(together) + _median(sorted(written), len(together) / 2)


def _median(weighted: Sequence[tuple[float, float]], half: float) -> float:
    """The value at which half of the weight is passed; midway to the next where it just is."""
    passed = 0.0
    for place, (value, weight) in enumerate(weighted):
        passed += weight
        if passed > half + TINY or place == len(weighted) - 1:
            return value
        if passed > half - TINY:
            return (value + weighted[place + 1][0]) / 2
    return 0.0
