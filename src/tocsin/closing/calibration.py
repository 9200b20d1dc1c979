"""From the judged random samples of a class to its threshold, or to why there is none."""

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.closing.bounds import climb, first_candidate, samples_needed, upper_bound
from tocsin.model import EDGES, ClassBound, ClosingRules, Sample, ceiling_bin, score_bin


def look_size(rules: ClosingRules, look: int) -> int:
    """How many samples of a class a look waits for; looks count from 1."""
    fewest = samples_needed(rules.alpha, rules.level)
    return max(rules.samples, fewest) << (look - 1)


def calibrate(
    rules: ClosingRules, name: str, samples: Sequence[Sample], passing: Mapping[int, int]
) -> ClassBound:
    """What the samples of one class prove.

    A look takes the first samples in the order in which they were drawn, as many as the rules said
    before any was judged, and waits until people have judged every one. So neither the moment at
    which somebody looks nor which samples are judged first can move the result.

    Args:
        rules: of the policy that drew the samples.
        name: the class.
        samples: all samples of it, in the order in which they were drawn.
        passing: alerts that were not drawn, by the bin of their score.
    """
    last = ceiling_bin(rules.ceiling)
    closable = [sample for sample in samples if sample.closable]
    look = _complete_look(rules, closable)
    if look == 0:
        return _waiting(rules, name, closable)
    size = look_size(rules, look)
    taken = closable[:size]
    below, attacks = [0] * (last + 1), [0] * (last + 1)
    for sample in taken:
        for number in range(min(score_bin(sample.probability), last), last + 1):
            below[number] += 1
            attacks[number] += sample.attack
    fewest = samples_needed(rules.alpha, rules.level)
    start = first_candidate([passing.get(n, 0) for n in range(last + 1)], size, fewest)
    found = int(climb(below, attacks, start, rules.alpha, rules.level))
    distinct = len({sample.likeness for sample in taken})
    place = found if found >= 0 else last
    seen = [s for s in samples if (s.at, s.alert_id) <= (taken[-1].at, taken[-1].alert_id)]
    known = sum(sample.attack for sample in seen)
    closed = attacks[place]
    bound = ClassBound(
        class_name=name,
        threshold=EDGES[found] if found >= 0 and distinct >= fewest else None,
        needed=look_size(rules, look + 1) if look < rules.looks else size,
        samples=len(closable),
        look=look,
        below=below[place],
        attacks=closed,
        bound=upper_bound(closed, below[place], rules.level),
        closes=below[place] / size,
        known_attacks=known,
        lost=upper_bound(closed, known, rules.level / (last + 1)),
        distinct=distinct,
    )
    return _with_reason(rules, bound, found, fewest)


def _complete_look(rules: ClosingRules, closable: Sequence[Sample]) -> int:
    """The last look all of whose samples are judged; 0 when there is none."""
    for look in range(rules.looks, 0, -1):
        size = look_size(rules, look)
        taken = closable[:size]
        if len(taken) == size and all(sample.decision is not None for sample in taken):
            return look
    return 0


def _waiting(rules: ClosingRules, name: str, closable: Sequence[Sample]) -> ClassBound:
    size = look_size(rules, 1)
    missing = max(size - len(closable), 0)
    undecided = sum(sample.decision is None for sample in closable[:size])
    parts = []
    if missing:
        parts.append(
            f"{missing} more random samples are needed: {len(closable)} of {size} were drawn"
        )
    if undecided:
        parts.append(f"{undecided} samples are not judged yet")
    fewest = samples_needed(rules.alpha, rules.level)
    return ClassBound(
        class_name=name,
        why=f"too little data: {', and '.join(parts)} ({fewest} clean ones are the fewest that "
        f"can show at most {rules.alpha:.3%} attacks with confidence {1 - rules.level:.2%})",
        needed=size,
        samples=len(closable),
        undecided=undecided,
    )


def _with_reason(rules: ClosingRules, bound: ClassBound, found: int, fewest: int) -> ClassBound:
    if bound.threshold is not None:
        return bound
    if found >= 0:
        why = (
            f"only {bound.distinct} of its samples differ from each other and {fewest} are needed: "
            "repeats of one alert are no independent observations"
        )
    elif bound.look < rules.looks:
        why = (
            f"{bound.attacks} of {bound.below} samples are attacks, so the bound is "
            f"{bound.bound:.3%}; the next look is at {bound.needed} samples"
        )
    else:
        why = (
            f"{bound.attacks} of {bound.below} samples are attacks, so the bound is "
            f"{bound.bound:.3%} and not {rules.alpha:.3%}; all looks are used: begin a new policy "
            "with more samples, a lower ceiling or a higher alpha"
        )
    return msgspec.structs.replace(bound, why=why)
