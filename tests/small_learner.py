"""The smallest learner that can be right or wrong: a shrunk share of attacks for each rule."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from math import exp, log

import msgspec

from tocsin.model import Decided, Dossier, Example, Learned, ModelMetrics
from tocsin.trial.measures import measures
from tocsin.trial.noise import is_attack


def rule(dossier: Dossier) -> str:
    assert dossier.alert is not None
    return f"rule.{dossier.alert.rule.id}"


def fit(
    examples: Sequence[Example], *, seed: int = 0, by_rule: Mapping[str, Decided] | None = None
) -> Learned:
    del by_rule  # it has no priors that move
    attacks: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for example in examples:
        counts[rule(example.dossier)] += 1
        attacks[rule(example.dossier)] += is_attack(example.disposition)
    weights = {
        name: log((attacks[name] + 0.5) / (counts[name] - attacks[name] + 0.5))
        for name in sorted(counts)
    }
    text = msgspec.json.encode([weights, seed])
    return learned_of(f"small-{sha256(text).hexdigest()[:12]}", weights)


def levelled(learned: Learned, dossiers: Iterable[Dossier]) -> Learned:
    del dossiers  # a rule that it has not learned is worth nothing to it
    return learned


def learned_of(version: str, weights: dict[str, float]) -> Learned:
    """A model with these weights, in the field that models have for them."""
    given = {"version": version, "weights": weights, "evidence": weights}
    return msgspec.convert(given, Learned)


def weights_of(learned: Learned) -> dict[str, float]:
    """The weights of such a model."""
    fields = msgspec.structs.asdict(learned)
    return dict(fields.get("evidence") or fields.get("weights") or {})


def assess(learned: Learned | None, examples: Sequence[Example]) -> ModelMetrics:
    return measures(
        [chance(learned, example.dossier) for example in examples],
        [is_attack(example.disposition) for example in examples],
    )


def chance(learned: Learned | None, dossier: Dossier) -> float:
    if learned is None:
        assert dossier.verdict is not None
        return dossier.verdict.probability
    return 1 / (1 + exp(-weights_of(learned).get(rule(dossier), 0.0)))
