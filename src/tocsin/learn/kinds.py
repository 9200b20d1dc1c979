"""Kinds of columns: what is pulled back alike, and how strongly where decisions do not say.

A penalty is the inverse of a weight's expected square. These are what served on one half of the
rules of a public set of rules' tests, rounded; a fit moves them by what its own decisions show.
Words of the rule, single words without their member, and how much of the rule an event shows are
the same for hits and look-alikes of a rule more often than not: they are pulled back hard, so that
rules that nobody has decided on do not differ by them. What stands in a member, and what was done
beside what the rule asks for, is left more room.
"""

from tocsin.triage.features import OF_RULE

EXPERT, EVIDENCE = "expert", "evidence"
RULE, CLAIMED = "rule", "claimed"  # the rule itself; its words and its severity
PRESENT, VALUE, PART = "present", "value", "part"  # a member, its whole value, a word of it
BARE, SAID = "bare", "said"  # a word in any member; in any that actors write
SHOWN, LACKED, PAIRED = "shown", "lacked", "paired"  # what is looked for: there, not, what else was
DONE = "done"  # how the action ended
CLAIM, ACTIVITY, OWN = "claim", "activity", "own"  # steps of curves; of one rule's own curves

PENALTY = {
    EXPERT: 1.0,
    EVIDENCE: 10.0,
    RULE: 0.5,
    CLAIMED: 50.0,
    PRESENT: 1.0,
    VALUE: 0.3,
    PART: 3.0,
    BARE: 50.0,
    SAID: 2.0,
    SHOWN: 5.0,
    LACKED: 30.0,
    PAIRED: 3.0,
    DONE: 5.0,
    CLAIM: 50.0,
    ACTIVITY: 0.3,
    OWN: 0.3,
}
_BEGINNINGS = (
    ("rule=", RULE),
    ("rule:", CLAIMED),
    ("@rule", CLAIMED),
    ("severity=", CLAIMED),
    ("shows ", SHOWN),
    ("lacks ", LACKED),
    ("wants ", PAIRED),
    ("did ", DONE),
    ("it is ", DONE),
    ("@", PRESENT),
)


def of_word(word: str) -> str:
    """The kind of a word of `triage/lexicon.py`, by its shape."""
    for beginning, kind in _BEGINNINGS:
        if word.startswith(beginning):
            return kind
    if word.isalnum():
        return BARE
    if word.endswith("?"):
        return SAID
    return VALUE if "=" in word else PART


def of_number(name: str) -> str:
    """The kind of a curve's steps."""
    if OF_RULE in name:
        return OWN
    return ACTIVITY if name.startswith("activity.") else CLAIM
