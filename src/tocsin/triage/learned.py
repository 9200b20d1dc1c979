"""What was learned from people's decisions, as evidence that adds up like all other.

A learned model turns the sum of the expert weights into another sum. What it adds is shown as a few
entries, so that the list that an analyst sees still is the whole computation.
"""

from collections.abc import Mapping, Sequence
from math import exp, fsum, log
from typing import Any, NamedTuple

from tocsin.model import Calibration, Decided, Evidence, Learned, Prevalence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.features import Features, Reading, read, rule_key
from tocsin.triage.lexicon import Lexicon

NAMED = 3  # words that a statement names
WORTH_NAMING = 0.1  # log-odds by which decisions moved a reason
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


class Applied:
    """A learned model made ready to be applied."""

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self.lexicon = Lexicon(learned.words)

    def added(self, case: Case, evidence: Sequence[Evidence]) -> list[Evidence]:
        """What the model adds to the expert's evidence, its calibration last."""
        learned = self.learned
        found = read(case, self.lexicon)
        rule = rule_key(case)
        expert = fsum([item.weight for item in evidence])
        items = [
            _reasons(case, learned, evidence, expert),
            *_rule(case, learned, rule),
            *_activity(case, learned, found.numbers),
            *_content(case, learned, found, rule),
        ]
        total = expert + fsum([item.weight for item in items])
        calibration = learned.calibration(rule)
        items += _standing(case, learned, rule, calibration.level * learned.standing(rule, total))
        known = rule in learned.rules
        items.append(_calibrated(case, calibration, total, known=known))
        return items


class Sum(NamedTuple):
    """An alert's sum before calibration: by what was measured, and by what an actor may write."""

    measured: float
    written: float

    @property
    def total(self) -> float:
        """Both."""
        return self.measured + self.written


def raw_sum(learned: Learned, evidence: Sequence[Evidence], found: Features) -> Sum:
    """The sum before calibration; what `Applied` and the fit have in common.

    `evidence` is without the entries that a learned model added.
    """
    words, curves = learned.words, learned.curves
    weights: tuple[list[float], list[float]] = ([learned.base], [])
    for item in evidence:
        weights[item.tainted].append(learned.expert * item.weight + _moved_by(learned, item))
    measured, written = weights
    measured += [words[word] for word in found.measured if word in words]
    written += [max(words[word], 0.0) for word in found.written if word in words]
    measured += [curves[name].at(value) for name, value in found.numbers.items() if name in curves]
    return Sum(fsum(measured), fsum(written))


def _moved_by(learned: Learned, item: Evidence) -> float:
    """What decisions say of a reason; of one that an actor may have written, never less."""
    weight = learned.evidence.get(item.name, 0.0)
    return 0.0 if weight < 0 and item.tainted else weight


def _reasons(case: Case, learned: Learned, evidence: Sequence[Evidence], expert: float) -> Evidence:
    """What decisions say of the reasons above, all together."""
    moves = [(item.name, _moved_by(learned, item)) for item in evidence]
    weight = learned.base + (learned.expert - 1) * expert + fsum([move for _, move in moves])
    moved = [name for name, move in moves if abs(move) >= WORTH_NAMING]
    statement = "Decisions here give the reasons above " + (
        "more weight" if weight > 0 else "less weight"
    )
    if moved:
        statement += ", above all " + ", ".join(moved[:NAMED])
    return _on_alert(case, "learned.reasons", statement + ".", weight)


def _rule(case: Case, learned: Learned, rule: str | None) -> list[Evidence]:
    weight = learned.words.get("rule=" + rule, 0.0) if rule is not None else 0.0
    if not weight:
        return []
    how = "more" if weight > 0 else "less"
    statement = f"Alerts of this rule were decided as attacks {how} often than their content says."
    return [_on_alert(case, "learned.rule", statement, weight)]


def _activity(case: Case, learned: Learned, numbers: Mapping[str, float]) -> list[Evidence]:
    activity = case.network.activity if case.network is not None else None
    if activity is None:
        return []
    weight = _curves(learned, numbers, "activity.")
    if not weight:
        return []
    statement = (
        f"In the hour before, the machine had {activity.host} alerts of "
        f"{activity.rules + (activity.rule > 0)} rules, {activity.rule} of this rule, and there "
        f"were {activity.everywhere} alerts in all; decisions say that this points "
        + ("to an attack." if weight > 0 else "away from an attack.")
    )
    return [case.on_context("learned.activity", statement, "network#/activity", activity, weight)]


def _content(case: Case, learned: Learned, found: Reading, rule: str | None) -> list[Evidence]:
    """What all words say together; the strongest are named."""
    worth = found.worth()
    if rule is not None:
        worth.pop("rule=" + rule, None)  # which is a reason of its own
    weight = fsum(worth.values()) + _curves(learned, found.numbers, "claim.")
    if not worth and not weight:
        return []
    strongest = sorted([(-abs(amount), word) for word, amount in worth.items()])[:NAMED]
    named = ", ".join([_named(worth[word], word) for _, word in strongest])
    statement = (
        "Its content is like that of alerts decided as "
        + ("attacks" if weight > 0 else "harmless")
        + (f" ({named})." if named else ".")
    )
    for _, word in strongest:
        if (leaf := found.place(word)) is not None:
            return [case.on_payload("learned.content", statement, leaf, weight, tainted=False)]
    return [_on_alert(case, "learned.content", statement, weight)]


def _named(amount: float, word: str) -> str:
    return quoted(word, 48) + f" {amount:+.2f}"


def _curves(learned: Learned, numbers: Mapping[str, float], prefix: str) -> float:
    known = learned.curves.get
    return fsum(
        [
            curve.at(value)
            for name, value in numbers.items()
            if (curve := known(name)) is not None and name.startswith(prefix)
        ]
    )


def _standing(case: Case, learned: Learned, rule: str | None, weight: float) -> list[Evidence]:
    """What of the sum comes with the rule, which nobody has decided on, and so says less."""
    if not weight:
        return []
    level = learned.levels.get(rule) if rule is not None else None
    if level is None:
        statement = (
            "Nobody had decided on this rule when the model was learned, so its alerts may all "
            "score like this one."
        )
    else:
        where = "above" if level.mean > 0 else "below"
        statement = (
            "Nobody had decided on this rule when the model was learned; its alerts then scored "
            f"{abs(level.mean):.1f} {where} those of other rules ({level.count} alerts), which "
            "says less than what tells them apart."
        )
    return [_on_alert(case, "learned.level", statement, weight)]


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
