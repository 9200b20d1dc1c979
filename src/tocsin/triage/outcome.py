"""Whether what an event reports came to pass, by the provider's own account.

The leaves read here are enumerations that the provider of the service writes (`errorCode`,
`outcome.result`, `responseStatus.code`). They may lower a little, and only when all of them agree
and the rule does not look for failures.
"""

from collections.abc import Sequence

from tocsin.model import Evidence
from tocsin.triage import roles
from tocsin.triage.case import Case
from tocsin.triage.claims import rule_speaks_of
from tocsin.triage.evidence import quoted
from tocsin.triage.payload import Leaf, Payload

SUCCEEDED = roles.words("outcome", "succeeded")
FAILED = roles.words("outcome", "failed")
GUESSING = frozenset({"brute_force", "scan", "web_attack", "exploit"})
ABOUT_TRIES = ("=failure", "brut", "guess", "spray", "attempt", "enumer", "=read")


def ended(case: Case) -> Sequence[Evidence]:
    """The action failed or was denied, on a rule that looks for what succeeds, or the other way."""
    failed, succeeded = endings(case.payload)
    leaf = failed or succeeded
    if leaf is None:
        return ()
    weights = case.weights.observed
    about_failure = rule_speaks_of(case.payload, "=failure")
    if failed is not None and about_failure:
        statement = "It failed (" + shown(failed) + "), which is what the rule looks for."
        weight = weights["failed_as_claimed"].weight
        return (case.on_payload("outcome.as_claimed", statement, failed, weight, tainted=False),)
    if failed is None or succeeded is not None:
        return ()
    tolerant = rule_speaks_of(case.payload, *ABOUT_TRIES) or case.is_about(GUESSING)
    key = "failed_try" if tolerant else "failed"
    return (
        case.on_payload(
            "outcome.failed",
            "By the provider's account it did not come to pass (" + shown(failed) + ").",
            failed,
            weights[key].weight,
            tainted=failed.by_actor,
        ),
    )


def endings(payload: Payload) -> tuple[Leaf | None, Leaf | None]:
    """A leaf that says that it failed, and one that says that it succeeded."""
    if payload.ending is None:
        payload.ending = _endings(payload)
    return payload.ending


def _endings(payload: Payload) -> tuple[Leaf | None, Leaf | None]:
    failed: Leaf | None = None
    succeeded: Leaf | None = None
    for leaf in payload.playing("outcome.errors"):
        if leaf.text in SUCCEEDED:
            succeeded = leaf
        elif not leaf.by_actor:
            failed = failed or leaf
    for leaf in (*payload.playing("outcome.results"), *payload.playing("outcome.codes")):
        said = _said(leaf)
        if said is False and not leaf.by_actor:
            failed = failed or leaf
        elif said is True:
            succeeded = leaf
    return failed, succeeded


def _said(leaf: Leaf) -> bool | None:
    """Whether a leaf says success (True), failure (False) or nothing."""
    text = leaf.text
    if text in SUCCEEDED:
        return True
    if text in FAILED:
        return False
    if text.isdecimal() and leaf.name != "status":
        code = int(text[:9])
        if code >= 400:
            return False
        if leaf.name == "code" and leaf.parent == "status":  # of Google's RPC: 1 to 16
            return not 1 <= code <= 16
        return True if 100 <= code < 400 else None
    return None


def shown(leaf: Leaf) -> str:
    """A leaf as a statement shows it."""
    return quoted(str(leaf.path[-1]), 40) + ": " + quoted(str(leaf.value), 60)
