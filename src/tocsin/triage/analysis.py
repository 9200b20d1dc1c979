"""The verdict in plain sentences, joined from the evidence; alert text is never a template."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from tocsin.model import Action, Disposition, Evidence, Gap, NetworkDirection, RiskLevel
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted

RAISING, LOWERING, GAPS, ACTIONS = 3, 2, 4, 3  # the most of each that the text names
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
    gaps: Sequence[Gap],
    actions: Sequence[Action],
    reasons: Sequence[str],
) -> str:
    """What happened, why it is judged so, what could not be checked, and what comes next.

    `numbers` are probability, impact, risk score, risk level and confidence.
    """
    chance, impact, risk, level, sure = numbers
    sentences = [
        _happened(case),
        CALLED[verdict]
        + f": a probability of {chance * 100:.1f} % and an impact of {impact:.2f} make a risk of "
        + f"{risk:.1f} ({level}).",
        _why(evidence),
        _unchecked(gaps, sure),
        _next(actions, reasons),
    ]
    return " ".join(sentences)


def _happened(case: Case) -> str:
    alert = case.alert
    parts = [_name(case.source), ' reported "', quoted(alert.title, 160), '"']
    if alert.rule.id:
        parts += [" (rule ", quoted(alert.rule.id, 64), ")"]
    if alert.event.time is not None:
        parts += [" at ", _time(alert.event.time)]
    if alert.host.name:
        parts += [" on ", quoted(alert.host.name, 64)]
    if alert.user.name:
        parts += [" for the account ", quoted(alert.user.name, 64)]
    parts.append(_connection(case))
    parts.append(".")
    return "".join(parts)


def _connection(case: Case) -> str:
    source, destination = case.alert.source, case.alert.destination
    parts = []
    if source.ip:
        parts += [" from ", quoted(source.ip, 64), _country(case, source.ip)]
    if destination.ip or destination.domain:
        address = destination.ip or destination.domain or ""
        parts += [" to ", quoted(address, 64)]
        if destination.port is not None:
            parts += [" port ", str(destination.port)]
        parts.append(_country(case, address))
    if parts and case.direction is not NetworkDirection.UNKNOWN:
        parts += [", ", case.direction]
        if case.blocked:
            parts.append(" and stopped")
    return "".join(parts)


def _country(case: Case, address: str) -> str:
    network = case.network
    if network is not None:
        for known in (network.source, network.destination):
            if known is not None and known.ip == address and known.country:
                return " (" + quoted(known.country, 8) + ")"
    return ""


def _why(evidence: Sequence[Evidence]) -> str:
    prior, rest = evidence[0], evidence[1:]
    raising = sorted((item for item in rest if item.weight > 0), key=_size)[:RAISING]
    lowering = sorted((item for item in rest if item.weight < 0), key=_size)[:LOWERING]
    parts = ["Starting from ", _signed(prior.weight)]
    parts.append(" (" + prior.statement.rstrip(".") + ")")
    parts.append(", most speaks for an attack: " + _listed(raising) if raising else "")
    if lowering:
        parts.append("; against it: " if raising else ", most speaks against an attack: ")
        parts.append(_listed(lowering))
    if not raising and not lowering:
        parts.append(", nothing else moves it")
    return "".join(parts) + "."


def _size(item: Evidence) -> float:
    return -abs(item.weight)


def _listed(items: Sequence[Evidence]) -> str:
    return "; ".join(
        item.statement.rstrip(".") + " (" + _signed(item.weight) + ")" for item in items
    )


def _signed(weight: float) -> str:
    return f"{weight:+.2f}".replace("-", "\u2212")


def _unchecked(gaps: Sequence[Gap], sure: float) -> str:
    confidence = f"the confidence is {sure:.2f}."
    if not gaps:
        return "Everything that applies could be checked; " + confidence
    named = [
        quoted(gap.subject, 48).replace("_", " ") + " (" + gap.reason.replace("_", " ") + ")"
        for gap in gaps[:GAPS]
    ]
    more = len(gaps) - len(named)
    return (
        "Not checked: "
        + ", ".join(named)
        + (" and " + str(more) + " more" if more else "")
        + "; "
        + confidence
    )


def _next(actions: Sequence[Action], reasons: Sequence[str]) -> str:
    steps = "Next: " + "; ".join(action.title for action in actions[:ACTIONS]) + "."
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
    try:
        utc = when.astimezone(UTC) if when.tzinfo is not None else when
    except (OverflowError, ValueError):  # at the very ends of the calendar
        utc = when
    return utc.isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
