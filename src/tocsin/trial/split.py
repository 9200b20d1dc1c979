"""Which decisions are held back from learning: whole groups, the newest; never single rows.

A group is one rule on one day (UTC). Alerts of a group are alike, so a model that has learned from
one of them knows the others; they stay together. What the champion has learned from already is not
held back, since only the challenger would meet it for the first time.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tocsin.errors import NotEnough
from tocsin.model import Example
from tocsin.trial.baselines import rule_of
from tocsin.trial.noise import is_attack

LEAST = 50  # decisions
LEAST_HELD = 10
LEAST_GROUPS = 5
WANTED_SHARE = 0.25
MOST_SHARE = 0.5

Group = list[Example]


class Split(NamedTuple):
    """What is learned from, and what is held back, by group."""

    learned: list[Example]
    held: list[Group]


def check(examples: Sequence[Example]) -> None:
    """Whether there is enough to learn from at all.

    Raises:
        NotEnough: fewer than 50 decisions, or only one kind of them.
    """
    attacks = sum(is_attack(example.disposition) for example in examples)
    if len(examples) < LEAST:
        raise NotEnough(f"{len(examples)} decisions; {LEAST} are needed to learn from")
    if attacks in (0, len(examples)):
        kind = "attacks" if attacks else "harmless"
        raise NotEnough(f"all {len(examples)} decisions are {kind}; both kinds are needed")


def split(examples: Sequence[Example], *, seen: Collection[str] = ()) -> Split:
    """Hold back the newest groups, a quarter of the decisions or as many as hold both kinds.

    Args:
        examples: enough of them, see `check`.
        seen: the alerts whose decisions the champion has learned from.

    Raises:
        NotEnough: what can be held back is too little to compare models on.
    """
    groups = _groups(examples)
    unseen = [group for group in groups if all(e.dossier.alert_id not in seen for e in group)]
    held: list[Group] = []
    count = attacks = 0
    for group in sorted(unseen, key=_newest, reverse=True):
        enough = count >= WANTED_SHARE * len(examples) and len(held) >= LEAST_GROUPS
        if enough and 0 < attacks < count:
            break
        if count + len(group) > MOST_SHARE * len(examples):
            continue
        held.append(group)
        count += len(group)
        attacks += sum(is_attack(example.disposition) for example in group)
    if count < LEAST_HELD or len(held) < LEAST_GROUPS or attacks in (0, count):
        new = "" if not seen else " that the live model has not learned from"
        raise NotEnough(
            f"{count} decisions in {len(held)} groups (one rule on one day){new}, {attacks} of "
            f"them attacks: too little to compare models on; {LEAST_HELD} decisions of both kinds "
            f"in {LEAST_GROUPS} groups are needed"
        )
    out = {example.dossier.alert_id for group in held for example in group}
    learned = [example for example in examples if example.dossier.alert_id not in out]
    check_both(learned)
    return Split(learned, held)


def check_both(learned: Sequence[Example]) -> None:
    """Whether what is left to learn from has both kinds.

    Raises:
        NotEnough: it has not.
    """
    attacks = sum(is_attack(example.disposition) for example in learned)
    if attacks in (0, len(learned)):
        raise NotEnough("what is left to learn from has only one kind of decisions")


def moment_of(example: Example) -> datetime:
    """When the event was, or else when the alert came."""
    alert = example.dossier.alert
    time = alert.event.time if alert is not None else None
    return time or example.dossier.received_at


def _groups(examples: Sequence[Example]) -> list[Group]:
    groups: dict[Hashable, Group] = defaultdict(list)
    for example in examples:
        day = moment_of(example).astimezone(UTC).date()
        groups[rule_of(example.dossier), day].append(example)
    return list(groups.values())


def _newest(group: Group) -> tuple[datetime, str]:
    return max((moment_of(example), example.dossier.alert_id) for example in group)
