"""What an opinion does to a verdict: the greater of two risks, and a review if either asks."""

import math

from tocsin.model import Change, ModelReply, Verdict, risk_level
from tocsin.model.words import RiskLevel
from tocsin.narrate.value import highest


def raised_risk(verdict: Verdict, raise_to: float | None) -> float:
    """The risk once the probability is raised, as far as an opinion may; never below the verdict's.

    Risk = 100 × probability × impact, as triage computes it.
    """
    if raise_to is None or not math.isfinite(raise_to):
        return verdict.risk_score
    chance = min(raise_to, highest(verdict.probability))
    if chance <= verdict.probability:
        return verdict.risk_score
    return max(verdict.risk_score, min(round(100 * chance * verdict.impact, 1), 100.0))


def change(verdict: Verdict, reply: ModelReply, *, grounded: bool) -> Change:
    """The change that a reply makes.

    Args:
        verdict: what triage said.
        reply: what the model said.
        grounded: whether at least one claim of it rests on evidence; without one nothing is raised,
            and only a person may be asked for.
    """
    return Change(
        risk_before=verdict.risk_score,
        risk_after=raised_risk(verdict, reply.raise_to if grounded else None),
        review_before=verdict.requires_human_review,
        review_after=verdict.requires_human_review or reply.ask_review,
    )


def level_after(made: Change) -> RiskLevel:
    """The risk level once the change is made."""
    return risk_level(made.risk_after)
