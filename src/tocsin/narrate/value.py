"""Whether a second opinion could change anything: the value of information, per alert, in code.

An opinion may raise a probability by at most `MOST_RAISE` in log-odds, ask for a person, or explain
to the person who must look anyway. What that could change is known before anybody is asked.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tocsin.model import (
    Disposition,
    Dossier,
    GapReason,
    Opinion,
    OpinionStatus,
    Verdict,
    risk_level,
)
from tocsin.ports import OpinionRequest
from tocsin.settings import Settings

MOST_RAISE = 3.0
"""The most that an opinion moves the probability, in log-odds: from 0.1 to 0.69."""
EXPLAINS = 0.15
"""What it is worth to the person who must decide an undetermined alert, beside the risk."""
FILLABLE = 0.05
"""What each gap adds that a look into our own store may fill, up to `MOST_GAPS`."""
MOST_GAPS = 2
_FILLABLE = frozenset({GapReason.NOT_FOUND, GapReason.UNPARSABLE})


class Value(NamedTuple):
    """What an opinion could change, 0-1, and that in words; whether it is worth asking."""

    wanted: bool
    value: float
    why: str


def highest(probability: float) -> float:
    """The highest probability that an opinion can raise this one to."""
    inside = min(max(probability, 1e-6), 1 - 1e-6)
    return 1 / (1 + math.exp(-math.log(inside / (1 - inside)) - MOST_RAISE))


def value(dossier: Dossier, verdict: Verdict, settings: Settings) -> Value:
    """What a second opinion on this alert could change, and whether that is worth the cost."""
    most = 100 * highest(verdict.probability) * verdict.impact
    stake = max(most - verdict.risk_score, 0) / 100
    reach, now = risk_level(most), verdict.risk_level
    higher = f"raise the risk from {verdict.risk_score:.1f} ({now}) to {most:.1f} ({reach})"
    if most < settings.narrator_min_risk:
        return Value(
            False,
            stake,
            f"not asked: even raised as far as an opinion may, the risk would be {most:.1f}, "
            f"below {settings.narrator_min_risk:g}",
        )
    gain, why = stake, ""
    if not verdict.requires_human_review:
        why = f"nobody has to look, and an opinion could {higher} or ask for a person"
    elif verdict.verdict is Disposition.UNDETERMINED:
        gain += EXPLAINS
        why = "a person must decide what the evidence does not; an opinion could say what to ask"
        if reach != now:
            why += ", or " + higher
    elif reach != now:
        why = "an opinion could " + higher
    else:
        return Value(
            False,
            stake,
            f"not asked: a person looks already, and the risk would stay {now} however far "
            "an opinion raised it",
        )
    if dossier.gaps:
        fillable = sum(1 for gap in dossier.gaps if gap.reason in _FILLABLE)
        if fillable:
            gain += FILLABLE * min(fillable, MOST_GAPS)
            why += f"; {fillable} checks are open that our own records may answer"
    if gain < settings.narrator_min_value:
        return Value(
            False,
            gain,
            f"not asked: the most that it could change is worth {gain:.2f}, below "
            f"{settings.narrator_min_value:g} ({why})",
        )
    return Value(True, round(min(gain, 1.0), 4), "asked: " + why)


def selection(settings: Settings) -> Callable[[Sequence[Dossier]], list[OpinionRequest]]:
    """Which of a batch's alerts should get a second opinion."""

    def select(batch: Sequence[Dossier]) -> list[OpinionRequest]:
        wanted = []
        for dossier in batch:
            verdict = dossier.verdict
            if verdict is None:
                continue
            found = value(dossier, verdict, settings)
            if found.wanted:
                wanted.append(OpinionRequest(dossier.alert_id, found.value, found.why))
        return wanted

    return select


def unasked(dossier: Dossier, settings: Settings) -> Opinion | None:
    """Why no opinion on an alert is stored; None where nobody is ever asked.

    Alerts on which nobody was asked have no row: what they would say is worked out again here.
    """
    if not settings.narrates or dossier.verdict is None:
        return None
    found = value(dossier, dossier.verdict, settings)
    return Opinion(
        alert_id=dossier.alert_id,
        status=OpinionStatus.SKIPPED,
        why="not asked: nobody was when it was triaged" if found.wanted else found.why,
        value=round(found.value, 4),
    )
