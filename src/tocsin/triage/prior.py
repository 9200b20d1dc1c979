"""What is to be expected before the particulars: the source, the rule, its severity and tactic."""

from collections.abc import Sequence
from functools import lru_cache
from math import exp

from tocsin.knowledge import attack
from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted


def source(case: Case) -> Sequence[Evidence]:
    """The base rate of the source, with which the sum begins."""
    name = case.source if case.source in case.weights.source else "other"
    weight = case.weights.source[name].weight
    module = case.alert.event.module
    path, value = ("/event/module", module) if module else ("/title", case.alert.title)
    return (case.on_alert("prior.source", _base_rate(name, weight), path, value, weight),)


@lru_cache(maxsize=256)
def _base_rate(name: str, weight: float) -> str:
    share = 100 / (1 + exp(-weight))
    who = "an unknown source" if name == "other" else name
    return "Of 100 alerts of " + who + ", about " + str(round(share)) + " are attacks."


def rule_family(case: Case) -> Sequence[Evidence]:
    """What kind of activity the rule looks for."""
    family = case.family
    if family.name is None:
        return ()
    value = case.family_value
    statement = (
        ("The alert's text" if family.tainted else "The rule")
        + ' ("'
        + quoted(value)
        + '") is of the kind '
        + family.name.replace("_", " ")
        + "."
    )
    return (
        case.on_alert(
            "prior.family." + family.name,
            statement,
            family.pointer,
            value,
            family.weight,
            tainted=family.tainted,
        ),
    )


def severity(case: Case) -> Sequence[Evidence]:
    """What the source claims; a claim whose field was guessed does not lower."""
    claimed = case.alert.event.severity
    if claimed is None:
        return ()
    return (
        case.on_alert(
            "prior.severity",
            "The source claims " + claimed + " severity.",
            "/event/severity",
            claimed,
            case.weights.severity[claimed].weight,
            tainted=not case.declared,
        ),
    )


def technique(case: Case) -> Sequence[Evidence]:
    """The ATT&CK tactic that weighs most, and the technique that says more than its tactic."""
    found = []
    tactics = case.weights.tactic
    named = [tactic for tactic in case.tactics if tactic in tactics]
    if named:
        best = max(named, key=lambda tactic: tactics[tactic].weight)
        listed = case.alert.threat.tactics
        path, value = ("/threat/tactics", listed) if listed else ("/threat/techniques", _all(case))
        tactic = attack.tactic(best)
        found.append(
            case.on_alert(
                "attack.tactic",
                "The rule stands for the tactic " + (tactic.name if tactic else best) + ".",
                path,
                value,
                tactics[best].weight,
                tainted=not case.declared,
            )
        )
    if case.techniques:
        found.extend(_strongest(case))
    return found


def _strongest(case: Case) -> Sequence[Evidence]:
    best, index, weight = "", 0, 0.0
    for position, identifier in enumerate(case.techniques):
        amount = _technique_weight(case, identifier)
        if not best or amount > weight:
            best, index, weight = identifier, position, amount
    known = attack.technique(best)
    return (
        case.on_alert(
            "attack.technique",
            "The rule names the technique "
            + quoted(best, 16)
            + (" (" + known.name + ")." if known else ", which ATT&CK does not list."),
            "/threat/techniques/" + str(index),
            best,
            weight,
            tainted=not case.declared,
            technique=best if known else None,
        ),
    )


def _technique_weight(case: Case, identifier: str) -> float:
    listed = case.weights.technique
    entry = listed.get(identifier) or listed.get(identifier.partition(".")[0])
    return entry.weight if entry else 0.0


def _all(case: Case) -> tuple[str, ...]:
    return case.alert.threat.techniques
