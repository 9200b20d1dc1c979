"""What the gaps of a dossier say; the same few lists of gaps come with most alerts."""

from functools import lru_cache

import msgspec

from tocsin.model import Gap, GapReason
from tocsin.triage.evidence import quoted

NAMED = 4  # most gaps that a text names
# Gaps about these are counted by a share of their own, not as further ones.
COUNTED = frozenset({"asset", "user", "network", "threat_intel", "event.time", "rule", "history"})


class Unchecked(msgspec.Struct, frozen=True):
    """A list of gaps, read once.

    `subjects` leaves out what follows a colon; `further` counts the gaps that no share of the
    confidence is about; `account_not_found` says that the directory was asked and had no record;
    `words` are the gaps as a list within a sentence, empty when there are none.
    """

    subjects: frozenset[str]
    further: int
    account_not_found: bool
    words: str


@lru_cache(maxsize=512)
def unchecked(gaps: tuple[Gap, ...]) -> Unchecked:
    """What these gaps say about the checks."""
    subjects = [gap.subject.partition(":")[0] for gap in gaps]
    return Unchecked(
        frozenset(subjects),
        sum(subject not in COUNTED for subject in subjects),
        any(gap.subject == "user" and gap.reason is GapReason.NOT_FOUND for gap in gaps),
        _named(gaps),
    )


def _named(gaps: tuple[Gap, ...]) -> str:
    words = [
        quoted(gap.subject, 48).replace("_", " ") + " (" + gap.reason.replace("_", " ") + ")"
        for gap in gaps[:NAMED]
    ]
    more = len(gaps) - len(words)
    return ", ".join(words) + (" and " + str(more) + " more" if more else "")
