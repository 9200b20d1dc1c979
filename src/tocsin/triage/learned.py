"""What was learned from people's decisions, as evidence that adds up like all other.

A learned model turns the sum of the expert weights into another sum. What it adds is shown as a few
entries, so that the list that an analyst sees still is the whole computation.
"""

from collections.abc import Sequence
from math import exp, fsum, log
from typing import Any

from tocsin.model import Calibration, Decided, Evidence, Learned, Prevalence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.features import Features, Word, features, rule_key

NAMED = 3  # words that a statement names
STRENGTH = 6.0  # how many decisions the expectation before any decision is worth
CERTAIN = 1e-4  # least distance of an expectation from 0 and 1
ADDED = ("learned.", "prior.decisions")  # names of what is added here begin so
UNDECIDED = Decided()


def decided(case: Case, learned: Learned | None, evidence: Sequence[Evidence]) -> list[Evidence]:
    """How people decided earlier alerts of this rule, since the model was learned if there is one.

    A Beta posterior: the expectation (what the source, the rule and its technique led to expect, or
    what the rule's decisions were when the model was learned) counts as `STRENGTH` decisions and
    those then known; each decision since moves it at once (Gelman et al., Bayesian Data Analysis,
    section 2.4).
    """
    network = case.network
    if network is None:
        return []
    for index, seen in enumerate(network.prevalence):
        if seen.subject != "rule":
            continue
        before = learned.rules.get(seen.value, UNDECIDED) if learned is not None else UNDECIDED
        attacks = max(seen.attacks - before.attacks, 0)
        harmless = max(seen.harmless - before.harmless, 0)
        if not attacks and not harmless:
            return []
        return [_moved(case, seen, index, (attacks, harmless), before, evidence)]
    return []


def _moved(
    case: Case,
    seen: Prevalence,
    index: int,
    since: tuple[int, int],
    before: Decided,
    evidence: Sequence[Evidence],
) -> Evidence:
    attacks, harmless = since
    expected = _logistic(
        fsum([item.weight for item in evidence if item.name.startswith(("prior.", "attack."))])
    )
    strength = STRENGTH + before.attacks + before.harmless
    expected = (expected * STRENGTH + before.attacks) / strength
    expected = min(max(expected, CERTAIN), 1 - CERTAIN)
    found = (expected * strength + attacks) / (strength + attacks + harmless)
    share = seen.attacks / (seen.attacks + seen.harmless)
    return case.on_context(
        "prior.decisions",
        f"Of {seen.attacks + seen.harmless} decided alerts of this rule, {seen.attacks} were "
        f"attacks ({share:.0%}).",
        "network#/prevalence/" + str(index),
        seen,
        _logit(found) - _logit(expected),
    )


def added(case: Case, learned: Learned, evidence: Sequence[Evidence]) -> list[Evidence]:
    """What a learned model adds to the expert's evidence, its calibration last."""
    found = features(case)
    rule = rule_key(case)
    items = [
        *_reasons(case, learned, evidence),
        *_rule(case, learned),
        *_activity(case, learned, found),
        *_content(case, learned, found),
    ]
    total = fsum([item.weight for item in evidence]) + fsum([item.weight for item in items])
    known = rule is not None and rule in learned.rules
    calibration = learned.known if known else learned.new
    items.append(_calibrated(case, calibration, total, known=known))
    return items


def raw_sum(learned: Learned, evidence: Sequence[Evidence], found: Features) -> float:
    """The sum before calibration; what `added` and the fit have in common.

    `evidence` is without the entries that a learned model added.
    """
    total = learned.base + learned.expert * fsum([item.weight for item in evidence])
    total += fsum([learned.evidence.get(item.name, 0.0) for item in evidence])
    total += fsum([_weight(learned, word) for word in found.words])
    return total + fsum(
        [
            learned.curves[name].at(value)
            for name, value in found.numbers.items()
            if name in learned.curves
        ]
    )


def _reasons(case: Case, learned: Learned, evidence: Sequence[Evidence]) -> list[Evidence]:
    """What decisions say of the reasons above, all together."""
    weight = learned.base + (learned.expert - 1) * fsum([item.weight for item in evidence])
    weight += fsum([learned.evidence.get(item.name, 0.0) for item in evidence])
    moved = [item.name for item in evidence if abs(learned.evidence.get(item.name, 0.0)) >= 0.1]
    statement = "Decisions here give the reasons above " + (
        "more weight" if weight > 0 else "less weight"
    )
    if moved:
        statement += ", above all " + ", ".join(moved[:NAMED])
    return [_on_alert(case, "learned.reasons", statement + ".", weight)]


def _rule(case: Case, learned: Learned) -> list[Evidence]:
    rule = rule_key(case)
    weight = learned.words.get("rule=" + rule, 0.0) if rule is not None else 0.0
    if not weight:
        return []
    how = "more" if weight > 0 else "less"
    statement = f"Alerts of this rule were decided as attacks {how} often than their content says."
    return [_on_alert(case, "learned.rule", statement, weight)]


def _activity(case: Case, learned: Learned, found: Features) -> list[Evidence]:
    activity = case.network.activity if case.network is not None else None
    if activity is None:
        return []
    weight = _curves(learned, found, "activity.")
    if not weight:
        return []
    statement = (
        f"In the hour before, the machine had {activity.host} alerts of "
        f"{activity.rules + (activity.rule > 0)} rules, {activity.rule} of this rule, and there "
        f"were {activity.everywhere} alerts in all; decisions say that this points "
        + ("to an attack." if weight > 0 else "away from an attack.")
    )
    return [case.on_context("learned.activity", statement, "network#/activity", activity, weight)]


def _content(case: Case, learned: Learned, found: Features) -> list[Evidence]:
    words = [word for word in found.words if not word.text.startswith("rule=")]
    known = [(amount, word) for word in words if (amount := _weight(learned, word))]
    weight = fsum([amount for amount, _ in known]) + _curves(learned, found, "claim.")
    if not known and not weight:
        return []
    known.sort(key=lambda pair: (-abs(pair[0]), pair[1].text))
    named = ", ".join(_named(amount, word) for amount, word in known[:NAMED])
    statement = (
        f"Its content is like that of alerts decided as "
        f"{'attacks' if weight > 0 else 'harmless'}" + (f" ({named})." if named else ".")
    )
    leaf = next((word.leaf for _, word in known if word.leaf is not None), None)
    if leaf is None:
        return [_on_alert(case, "learned.content", statement, weight)]
    return [case.on_payload("learned.content", statement, leaf, weight, tainted=False)]


def _weight(learned: Learned, word: Word) -> float:
    """What a word counts; what an actor may have written never lowers."""
    weight = learned.words.get(word.text, 0.0)
    return 0.0 if word.tainted and weight < 0 else weight


def _named(amount: float, word: Word) -> str:
    return quoted(word.text, 48) + f" {amount:+.2f}"


def _curves(learned: Learned, found: Features, prefix: str) -> float:
    curves = learned.curves
    return fsum(
        [
            curves[name].at(value)
            for name, value in found.numbers.items()
            if name.startswith(prefix) and name in curves
        ]
    )


def _calibrated(case: Case, calibration: Calibration, total: float, *, known: bool) -> Evidence:
    """The last entry: from the sum to what was observed when such sums were decided."""
    weight = calibration.slope * total + calibration.intercept - total
    which = "rules that people have decided on" if known else "rules that nobody has decided on"
    return _on_alert(
        case,
        "learned.calibration",
        f"Corrected by how often such sums were right for {which}.",
        weight,
    )


def _on_alert(case: Case, name: str, statement: str, weight: float) -> Evidence:
    path, value = _rule_place(case)
    return case.on_alert(name, statement, path, value, weight)


def _rule_place(case: Case) -> tuple[str, Any]:
    rule = case.alert.rule
    if rule.id:
        return "/rule/id", rule.id
    if rule.name:
        return "/rule/name", rule.name
    return "/title", case.alert.title


def _logistic(total: float) -> float:
    return 1 / (1 + exp(-min(max(total, -30.0), 30.0)))


def _logit(share: float) -> float:
    return log(share / (1 - share))
