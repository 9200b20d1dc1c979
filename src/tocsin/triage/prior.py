"""What is to be expected before the particulars: the source, the rule, its severity and tactic.

All of it comes again with every alert of a rule, so the evidence is made once for each rule and
severity; an alert's own copy differs in the pointer only.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp

import msgspec

from tocsin.knowledge import attack
from tocsin.model import Evidence, Severity, Threat
from tocsin.triage.case import TECHNIQUES, Case
from tocsin.triage.evidence import entry, quoted
from tocsin.triage.families import LONGEST, Family
from tocsin.triage.weights import Weights


class Claims(msgspec.Struct, frozen=True, gc=False):
    """What this evidence is made from; `path` and `named_by` are what names the source.

    `brings_event`: what happened can be read beside what an undeclared rule says of itself, so that
    the event decides, and the rule's words count in part.
    """

    source: str
    declared: bool
    path: str
    named_by: str
    family: Family
    family_value: str
    severity: Severity | None
    tactics: tuple[str, ...]
    threat: Threat
    brings_event: bool = False


def claimed(case: Case) -> Sequence[Evidence]:
    """The source's base rate, with which the sum begins, and what its rule says."""
    alert = case.alert
    module = alert.event.module
    claims = Claims(
        case.source,
        case.declared,
        "/event/module" if module else "/title",
        module or alert.title,
        case.family,
        case.family_value,
        alert.event.severity,
        case.tactics,
        alert.threat,
        not case.declared and case.payload.brings_event,
    )
    kept = len(claims.named_by) <= LONGEST and len(claims.family_value) <= LONGEST
    evidence = _made_once(case.weights, claims) if kept else _made(case.weights, claims)
    at = case.alert_pointer
    return [msgspec.structs.replace(item, pointer=at + item.pointer) for item in evidence]


def _made(weights: Weights, claims: Claims) -> list[Evidence]:
    """The evidence, with pointers that begin inside the alert."""
    share = weights.claim["beside_event"].weight if claims.brings_event else 1.0
    return [
        _source(weights, claims),
        *_rule_family(claims, share),
        *_severity(weights, claims, share),
        *_tactic(weights, claims, share),
        *_technique(weights, claims, share),
    ]


_made_once = lru_cache(maxsize=4096)(_made)


def _source(weights: Weights, claims: Claims) -> Evidence:
    name = claims.source if claims.source in weights.source else "other"
    weight = weights.source[name].weight
    statement = _base_rate(name, weight)
    if claims.brings_event:
        weight += weights.claim["nothing_shown"].weight
        statement = _base_rate(name, weight, " whose event shows nothing of what the rule says")
    return entry("prior.source", statement, claims.path, claims.named_by, weight)


def _base_rate(name: str, weight: float, which: str = "") -> str:
    share = 100 / (1 + exp(-weight))
    who = "an unknown source" if name == "other" else name
    return "Of 100 alerts of " + who + which + ", about " + str(round(share)) + " are attacks."


def _rule_family(claims: Claims, share: float) -> Sequence[Evidence]:
    """What kind of activity the rule looks for."""
    family = claims.family
    if family.name is None:
        return ()
    statement = (
        ("The alert's text" if family.tainted else "The rule")
        + ' ("'
        + quoted(claims.family_value)
        + '") is of the kind '
        + family.name.replace("_", " ")
        + "."
    )
    return (
        entry(
            "prior.family." + family.name,
            statement,
            family.pointer,
            claims.family_value,
            family.weight * share,
            tainted=family.tainted,
        ),
    )


def _severity(weights: Weights, claims: Claims, share: float) -> Sequence[Evidence]:
    """What the source claims; a claim whose field was guessed does not lower."""
    if claims.severity is None:
        return ()
    return (
        entry(
            "prior.severity",
            "The source claims " + claims.severity + " severity.",
            "/event/severity",
            claims.severity,
            weights.severity[claims.severity].weight * share,
            tainted=not claims.declared,
        ),
    )


def _tactic(weights: Weights, claims: Claims, share: float) -> Sequence[Evidence]:
    """The ATT&CK tactic that weighs most."""
    tactics, threat = weights.tactic, claims.threat
    named = [tactic for tactic in claims.tactics if tactic in tactics]
    if not named:
        return ()
    best = max(named, key=lambda tactic: tactics[tactic].weight)
    tactic = attack.tactic(best)
    return (
        entry(
            "attack.tactic",
            "The rule stands for the tactic " + (tactic.name if tactic else best) + ".",
            "/threat/tactics" if threat.tactics else "/threat/techniques",
            threat.tactics or threat.techniques,
            tactics[best].weight * share,
            tainted=not claims.declared,
        ),
    )


def _technique(weights: Weights, claims: Claims, share: float) -> Sequence[Evidence]:
    """The technique that says most more than its tactic."""
    best, index, weight = "", 0, 0.0
    for position, identifier in enumerate(claims.threat.techniques[:TECHNIQUES]):
        amount = _technique_weight(weights, identifier)
        if not best or amount > weight:
            best, index, weight = identifier, position, amount
    if not claims.threat.techniques:
        return ()
    known = attack.technique(best)
    return (
        entry(
            "attack.technique",
            "The rule names the technique "
            + quoted(best, 16)
            + (" (" + known.name + ")." if known else ", which ATT&CK does not list."),
            "/threat/techniques/" + str(index),
            best,
            weight * share,
            tainted=not claims.declared,
            technique=best if known else None,
        ),
    )


def _technique_weight(weights: Weights, identifier: str) -> float:
    listed = weights.technique
    found = listed.get(identifier) or listed.get(identifier.partition(".")[0])
    return found.weight if found else 0.0
