"""What an incident says of itself: title, timeline and severity, told from its alerts alone.

Texts of alerts are quoted, never used as a template.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tocsin.after.entities import stage
from tocsin.knowledge import attack
from tocsin.model import Account, Member, RiskLevel, Severity

TITLE = 240  # characters
QUOTED = 100
NAMED = 3  # hosts, accounts
STEPS = 8  # of the timeline
ORDER = tuple(RiskLevel)  # the worst first


def account(members: Sequence[Member]) -> Account:
    """Title, summary and severity.

    Args:
        members: the alerts, earliest first; none for an incident that has lost all of them.
    """
    if not members:
        return Account(title="Empty incident", summary="No alert is left.", severity=Severity.INFO)
    worst = max(members, key=lambda member: (member.risk_score, member.alert_id))
    hosts = _distinct(member.host for member in members)
    users = _distinct(member.user for member in members)
    steps = _steps(members)
    title = _phases([text for _, text, _ in steps]) or _quoted(worst.title)
    if hosts:
        title += " on " + _listed(hosts)
    if users:
        title += " (" + _listed(users) + ")"
    level = min((member.risk_level for member in members), key=ORDER.index)
    return Account(
        title=title[:TITLE],
        summary=_summary(members, worst, steps, hosts, users),
        severity=Severity(level.value),
    )


def _steps(members: Sequence[Member]) -> list[tuple[int, str, Member]]:
    """The first alert of each tactic, in the order of time: place on the matrix, name, alert."""
    found: dict[int, tuple[int, str, Member]] = {}
    for member in members:
        place = stage(member.tactics, member.techniques)
        if 0 <= place < len(attack.KILL_CHAIN) and place not in found:
            tactic = attack.tactic(attack.KILL_CHAIN[place])
            found[place] = (place, tactic.name if tactic else "", member)
    return list(found.values())


def _phases(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return names[0] + " to " + names[-1]


def _summary(
    members: Sequence[Member],
    worst: Member,
    steps: Sequence[tuple[int, str, Member]],
    hosts: Sequence[str],
    users: Sequence[str],
) -> str:
    count = "1 alert" if len(members) == 1 else str(len(members)) + " alerts"
    text = count + " " + _span(members[0].at, members[-1].at)
    if hosts:
        text += " on " + _listed(hosts)
    if users:
        text += " under " + _listed(users)
    if steps:
        told = [
            name + " at " + _clock(member.at) + ' ("' + _quoted(member.title) + '")'
            for _, name, member in steps[:STEPS]
        ]
        text += ": " + ", then ".join(told)
    text += '. The riskiest is "' + _quoted(worst.title) + '" with '
    return text + f"{worst.risk_score:.1f} ({worst.risk_level.value})."


def _span(first: datetime, last: datetime) -> str:
    if first == last:
        return "at " + _clock(first, day=True) + " UTC"
    same = first.astimezone(UTC).date() == last.astimezone(UTC).date()
    return "from " + _clock(first, day=True) + " to " + _clock(last, day=not same) + " UTC"


def _clock(when: datetime, *, day: bool = False) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M" if day else "%H:%M")


def _distinct(values: Iterable[str | None]) -> list[str]:
    found: dict[str, str] = {}
    for value in values:
        if value and value.strip():
            found.setdefault(value.strip().lower(), _quoted(value, 64))
    return list(found.values())


def _listed(values: Sequence[str]) -> str:
    shown = list(values[:NAMED])
    if len(values) > NAMED:
        return ", ".join(shown) + f" and {len(values) - NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def _quoted(text: str, longest: int = QUOTED) -> str:
    """One printable line."""
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "".join(c if c.isprintable() else " " for c in cut).strip()
