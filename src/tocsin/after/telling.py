"""What an incident says of itself: title, timeline and severity, told from its alerts alone.

Texts of alerts are quoted, never used as a template.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tocsin.after.entities import LONGEST, stage
from tocsin.knowledge import attack
from tocsin.model import Account, First, Gist, Member, Riskiest, RiskLevel, Severity

TITLE = 240  # characters
QUOTED = 100
NAMED = 3  # hosts, accounts
STEPS = 8  # of the timeline
ORDER = tuple(RiskLevel)  # the worst first


def gist(members: Sequence[Member], before: Gist | None = None) -> Gist:
    """What the words are made from, with these alerts added to what was known `before`.

    Args:
        members: alerts, at least one where nothing was known before; none of them added before.
        before: what is known of the incident's other alerts.
    """
    hosts, users = (dict(before.hosts), dict(before.users)) if before else ({}, {})
    steps = dict(before.steps) if before else {}
    for member in members:
        _note(hosts, member.host, member.at)
        _note(users, member.user, member.at)
        place = stage(member.tactics, member.techniques)
        if 0 <= place < len(attack.KILL_CHAIN):
            found = First(at=member.at, text=_quoted(member.title))
            steps[place] = min(steps.get(place, found), found)
    moments = [member.at for member in members]
    risks = [_risk(member) for member in members]
    levels = [member.risk_level for member in members]
    if before is not None:
        moments += [before.first_at, before.last_at]
        risks.append(before.riskiest)
        levels.append(before.worst)
    return Gist(
        alerts=len(members) + (before.alerts if before else 0),
        first_at=min(moments),
        last_at=max(moments),
        riskiest=max(risks),
        worst=min(levels, key=ORDER.index),
        hosts=hosts,
        users=users,
        steps=steps,
    )


def account(of: Gist) -> Account:
    """Title, summary and severity."""
    hosts, users = _listed(of.hosts), _listed(of.users)
    steps = [(_tactic(place), first) for place, first in sorted(of.steps.items(), key=_when)]
    title = _phases([name for name, _ in steps]) or of.riskiest.title
    if hosts:
        title += " on " + hosts
    if users:
        title += " (" + users + ")"
    return Account(
        title=title[:TITLE],
        summary=_summary(of, steps, hosts, users),
        severity=Severity(of.worst.value),
    )


def _note(names: dict[str, First], name: str | None, at: datetime) -> None:
    if name and name.strip():
        found = First(at=at, text=_quoted(name, 64))
        key = name.strip().lower()[:LONGEST]
        names[key] = min(names.get(key, found), found)


def _risk(member: Member) -> Riskiest:
    return Riskiest(
        risk_score=member.risk_score,
        alert_id=member.alert_id,
        title=_quoted(member.title),
        risk_level=member.risk_level,
    )


def _tactic(place: int) -> str:
    tactic = attack.tactic(attack.KILL_CHAIN[place])
    return tactic.name if tactic else ""


def _when(step: tuple[int, First]) -> tuple[datetime, int]:
    place, first = step
    return first.at, place


def _phases(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return names[0] + " to " + names[-1]


def _summary(of: Gist, steps: Sequence[tuple[str, First]], hosts: str, users: str) -> str:
    count = "1 alert" if of.alerts == 1 else str(of.alerts) + " alerts"
    text = count + " " + _span(of.first_at, of.last_at)
    if hosts:
        text += " on " + hosts
    if users:
        text += " under " + users
    if steps:
        told = [
            name + " at " + _clock(first.at) + ' ("' + first.text + '")'
            for name, first in steps[:STEPS]
        ]
        text += ": " + ", then ".join(told)
    text += '. The riskiest is "' + of.riskiest.title + '" with '
    return text + f"{of.riskiest.risk_score:.1f} ({of.riskiest.risk_level.value})."


def _span(first: datetime, last: datetime) -> str:
    if first == last:
        return "at " + _clock(first, day=True) + " UTC"
    same = first.astimezone(UTC).date() == last.astimezone(UTC).date()
    return "from " + _clock(first, day=True) + " to " + _clock(last, day=not same) + " UTC"


def _clock(when: datetime, *, day: bool = False) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M" if day else "%H:%M")


def _listed(names: Mapping[str, First]) -> str:
    """The first few, in the order in which they turned up."""
    values = [first.text for _, first in sorted(names.items(), key=lambda named: named[1])]
    shown = values[:NAMED]
    if len(values) > NAMED:
        return ", ".join(shown) + f" and {len(values) - NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _quoted(text: str, longest: int = QUOTED) -> str:
    """One printable line."""
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "".join(c if c.isprintable() else " " for c in cut).strip()
