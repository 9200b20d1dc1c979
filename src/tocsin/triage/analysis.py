"""The verdict in plain sentences, joined from the evidence; alert text is never a template."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from tocsin.model import Action, Disposition, Evidence, NetworkDirection, RiskLevel
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.unchecked import Unchecked

RAISING, LOWERING, ACTIONS = 3, 2, 3  # the most of each that the text names
SECONDS = len("2026-01-01 00:00:00")
CALLED = {
    Disposition.TRUE_POSITIVE: "It is taken for an attack (true positive)",
    Disposition.BENIGN_POSITIVE: "It is taken for activity that is allowed (benign positive)",
    Disposition.FALSE_POSITIVE: "It is taken for a false alarm (false positive)",
    Disposition.UNDETERMINED: "What is known does not decide it (undetermined)",
}


def analysis(
    case: Case,
    verdict: Disposition,
    numbers: tuple[float, float, float, RiskLevel, float],
    *,
    evidence: Sequence[Evidence],
    gaps: Unchecked,
    actions: Sequence[Action],
    reasons: Sequence[str],
) -> str:
    """What happened, why it is judged so, what could not be checked, and what comes next.

    `numbers` are probability, impact, risk score, risk level and confidence.
    """
    chance, impact, risk, level, sure = numbers
    return (
        f"{_happened(case)} {CALLED[verdict]}: a probability of {chance * 100:.1f} % and an impact "
        f"of {impact:.2f} make a risk of {risk:.1f} ({level}). {_why(evidence)} "
        f"{_unchecked(gaps, sure)} {_next(actions, reasons)}"
    )


def _happened(case: Case) -> str:
    alert, event = case.alert, case.alert.event
    rule, host, user = alert.rule.id, alert.host.name, alert.user.name
    text = _name(case.source) + ' reported "' + quoted(alert.title, 160) + '"'
    if rule:
        text += " (rule " + quoted(rule, 64) + ")"
    if event.time is not None:
        text += " at " + _time(event.time)
    if host:
        text += " on " + quoted(host, 64)
    if user:
        text += " for the account " + quoted(user, 64)
    return text + _connection(case) + "."


def _connection(case: Case) -> str:
    source, destination = case.alert.source, case.alert.destination
    text = ""
    if source.ip:
        text = " from " + quoted(source.ip, 64) + _country(case, source.ip)
    address = destination.ip or destination.domain
    if address:
        text += " to " + quoted(address, 64)
        if destination.port is not None:
            text += " port " + str(destination.port)
        text += _country(case, address)
    if text and case.direction is not NetworkDirection.UNKNOWN:
        text += ", " + case.direction
        if case.blocked:
            text += " and stopped"
    return text


def _country(case: Case, address: str) -> str:
    network = case.network
    if network is not None:
        for known in (network.source, network.destination):
            if known is not None and known.country and known.ip == address:
                return " (" + quoted(known.country, 8) + ")"
    return ""


def _why(evidence: Sequence[Evidence]) -> str:
    prior, rest = evidence[0], evidence[1:]
    raising = [item for item in rest if item.weight > 0]
    lowering = [item for item in rest if item.weight < 0]
    text = "Starting from " + _weighed(prior.weight, prior.statement)
    if raising:
        text += ", most speaks for an attack: " + _listed(raising, RAISING)
    if lowering:
        text += "; against it: " if raising else ", most speaks against an attack: "
        text += _listed(lowering, LOWERING)
    if not raising and not lowering:
        text += ", nothing else moves it"
    return text + "."


@lru_cache(maxsize=256)
def _weighed(weight: float, statement: str) -> str:
    """A prior with its reason; there is one for each source."""
    return _signed(weight) + " (" + statement.rstrip(".") + ")"


def _size(item: Evidence) -> float:
    return -abs(item.weight)


def _listed(items: list[Evidence], most: int) -> str:
    if len(items) > 1:
        items = sorted(items, key=_size)[:most]
    return "; ".join(
        [item.statement.rstrip(".") + " (" + _signed(item.weight) + ")" for item in items]
    )


@lru_cache(maxsize=1024)
def _signed(weight: float) -> str:
    return f"{weight:+.2f}".replace("-", "\u2212")


def _unchecked(gaps: Unchecked, sure: float) -> str:
    checked = (
        "Not checked: " + gaps.words if gaps.words else "Everything that applies could be checked"
    )
    return f"{checked}; the confidence is {sure:.2f}."


def _next(actions: Sequence[Action], reasons: Sequence[str]) -> str:
    steps = "Next: " + "; ".join([action.title for action in actions[:ACTIONS]]) + "."
    if not reasons:
        return steps + " Nobody has to look at it."
    return steps + " A person has to look: " + ", and ".join(reasons) + "."


@lru_cache(maxsize=256)
def _name(source: str) -> str:
    known = {"cef": "A CEF device", "generic": "A sender", "guardduty": "GuardDuty"}
    if source in known:
        return known[source]
    return (
        "An unknown source" if source in {"other", "unknown"} else quoted(source, 48).capitalize()
    )


def _time(when: datetime) -> str:
    if when.tzinfo is UTC:
        return when.isoformat(" ", "seconds")[:SECONDS] + " UTC"
    try:
        utc = when.astimezone(UTC) if when.tzinfo is not None else when
    except (OverflowError, ValueError):  # at the very ends of the calendar
        utc = when
    return utc.isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
