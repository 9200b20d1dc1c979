"""How people decided earlier alerts of the same machine, account or address.

It only ever raises: who sends an alert, or acts in it, may choose whose name stands in it, and
could otherwise hide behind a machine that is often wrongly accused. What lowers is what people
decided on the rule (`learned.decided`).
"""

from collections.abc import Sequence
from math import exp, fsum, log

from tocsin.model import Evidence, Prevalence
from tocsin.triage.case import Case

NAME = "prior.decisions.entity"  # begins as `learned.ADDED` has it: no part of the expert's sum
STRENGTH = 20.0  # how many decisions the expectation from the rule is worth
CERTAIN = 1e-4  # least distance of an expectation from 0 and 1
MOST = 2.0  # log-odds; the machine is a hint, the alert is what counts
WORDS = {
    "host": "this machine",
    "user": "this account",
    "source_ip": "this source address",
    "destination_ip": "this destination address",
    "rule_host": "this rule on this machine",
}


def precedents(case: Case, before: Sequence[Evidence]) -> list[Evidence]:
    """The one of them that speaks most for an attack, if any does.

    A Beta posterior shrunk to what source, rule and the rule's decisions led to expect (`before`):
    that expectation counts as `STRENGTH` decisions (Gelman et al., Bayesian Data Analysis, section
    5.1). What comes again with another of them is the same decisions, so they do not add up.
    """
    best: tuple[Prevalence, str] | None = None
    share = 0.0
    expected: float | None = None
    for where, context in (
        ("network", case.network),
        ("asset", case.asset_context),
        ("user", case.user_context),
    ):
        if context is None:
            continue
        for index, seen in enumerate(context.prevalence):
            if not seen.attacks or seen.subject not in WORDS:
                continue
            if expected is None:
                expected = _expected(before)
            found = (expected * STRENGTH + seen.attacks) / (STRENGTH + seen.attacks + seen.harmless)
            if found > max(share, expected):
                share, best = found, (seen, f"{where}#/prevalence/{index}")
    if best is None or expected is None:
        return []
    seen, path = best
    count = seen.attacks + seen.harmless
    statement = (
        f"Of {count} decided alerts of {WORDS[seen.subject]}, {seen.attacks} were attacks "
        f"({seen.attacks / count:.0%})."
    )
    weight = min(_logit(min(share, 1 - CERTAIN)) - _logit(expected), MOST)
    return [case.on_context(NAME, statement, path, seen, weight)]


def _expected(before: Sequence[Evidence]) -> float:
    total = fsum([i.weight for i in before if i.name.startswith(("prior.", "attack."))])
    share = 1 / (1 + exp(-min(max(total, -30.0), 30.0)))
    return min(max(share, CERTAIN), 1 - CERTAIN)


def _logit(share: float) -> float:
    return log(share / (1 - share))
