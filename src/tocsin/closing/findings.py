"""What the drift tests say of a policy that is on."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tocsin.closing.drift import RECENT_ALERTS, Alarm, shift
from tocsin.closing.report import Finding
from tocsin.model import PolicyState, Sample

Scores = Mapping[str, Mapping[str, Mapping[int, int]]]
ALL = "*"


def findings(
    state: PolicyState,
    samples: Mapping[str, Sequence[Sample]],
    scores: Scores,
    overdue: int,
) -> tuple[Finding, ...]:
    """How near each test is to its limit.

    Args:
        state: of a policy that is on.
        samples: those drawn since it was enabled, by class, in the order in which they were drawn.
        scores: alerts that were not drawn, by class, UTC hour and bin.
        overdue: closable samples that should have been judged by now.
    """
    policy = state.policy
    found = []
    for name, threshold in policy.thresholds.items():
        found.append(_attacks(state, name, threshold, samples.get(name, ())))
        found.extend(_scores(state, name, scores.get(name, {})))
    limit = policy.rules.backlog + 1
    found.append(
        Finding(
            class_name=ALL,
            test="backlog",
            value=overdue,
            limit=limit,
            text=f"{overdue} samples wait for people since more than {policy.rules.review_days} "
            "days, and what nobody judges proves nothing",
        )
    )
    return tuple(found)


def _attacks(state: PolicyState, name: str, threshold: float, samples: Sequence[Sample]) -> Finding:
    """The quality samples of what is closed, since the policy was enabled."""
    rules = state.policy.rules
    alarm = Alarm(rules.alpha)
    judged = [
        sample
        for sample in samples
        if sample.closable and sample.decision is not None and sample.probability <= threshold
    ]
    for sample in judged:
        alarm.take(float(sample.attack))
    hits = sum(sample.attack for sample in judged)
    return Finding(
        class_name=name,
        test="attacks",
        value=float(alarm.highest),
        # δ's part for drift is split over the classes as the calibration's is
        limit=len(rules.classes) / rules.alarm,
        text=f"{name}: {hits} attacks among {len(judged)} judged samples of what is closed, "
        f"against at most {rules.alpha:.3%} allowed",
    )


def _scores(state: PolicyState, name: str, hours: Mapping[str, Mapping[int, int]]) -> list[Finding]:
    """The newest whole hours since it was enabled against the time before."""
    began = state.enabled_at
    if began is None:
        return []
    first = began.strftime("%Y-%m-%dT%H")
    recent: Counter[int] = Counter()
    for hour in sorted(hours, reverse=True):
        if hour <= first or recent.total() >= RECENT_ALERTS:
            break
        recent.update(hours[hour])
    found = shift(state.reference.get(name, {}), recent)
    if found is None:
        return []
    index, chance = found
    return [
        Finding(
            class_name=name,
            test="scores",
            value=index,
            limit=state.policy.rules.shift + chance,
            text=f"{name}: the scores of {recent.total()} alerts have moved, stability index "
            f"{index:.2f}",
        )
    ]
