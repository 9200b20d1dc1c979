"""What the sensor measured: who talked to whom, what was stopped, how logons ended, what is new."""

from collections.abc import Sequence

from tocsin.model import Evidence, NetworkDirection, Prevalence
from tocsin.triage.case import Case
from tocsin.triage.entities import FAILURES
from tocsin.triage.evidence import quoted

ADMINISTRATIVE_PORTS = {
    22: "SSH",
    135: "RPC",
    139: "NetBIOS",
    445: "SMB",
    3389: "RDP",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM",
}
# An implant inside would call out; a signature of one of these families fits that.
CALLING_OUT = frozenset(
    {"malware", "command_and_control", "ransomware", "cryptomining", "exfiltration", "webshell"}
)
INTRUDERS = frozenset(
    {
        "malware",
        "command_and_control",
        "ransomware",
        "lateral_movement",
        "credential_theft",
        "exploit",
        "privilege_escalation",
        "execution",
    }
)
SPREADING = frozenset({"TA0008", "TA0002", "TA0006", "TA0004"})
SUCCESSES = frozenset({"success", "succeeded", "successful"})
LOGON_FAMILIES = frozenset({"brute_force", "anomaly", "routine", "account_change"})
GUESSING_FAMILY = frozenset({"brute_force"})
GUESSING = frozenset({"T1110", "T1110.001", "T1110.002", "T1110.003", "T1110.004"})
MANY = 20
CONNECTION_OUTCOMES = frozenset({"guardduty", "suricata"})  # theirs tells of a packet, not a logon


def direction(case: Case) -> Sequence[Evidence]:
    """The way of the connection, where it makes the rule's claim likelier or moot."""
    weights, where = case.weights.network, case.direction
    outbound = where is NetworkDirection.OUTBOUND
    if outbound and (case.is_about(CALLING_OUT) or "TA0011" in case.tactics):
        return (
            _on_direction(
                case,
                "network.outbound_attack",
                "One of our machines, "
                + quoted(case.alert.source.ip or "unnamed", 64)
                + ", called out to "
                + _remote(case)
                + (", and was stopped." if case.blocked else "."),
                weights["outbound_attack"].weight
                + (weights["outbound_blocked"].weight if case.blocked else 0.0),
            ),
        )
    if where is NetworkDirection.INTERNAL:
        return _lateral(case)
    if where is NetworkDirection.INBOUND and case.blocked:
        return (
            case.on_alert(
                "network.inbound_blocked",
                "The sensor stopped it at the border (" + quoted(case.action, 32) + ").",
                "/event/action",
                case.alert.event.action,
                weights["inbound_blocked"].weight,
            ),
        )
    return ()


def _lateral(case: Case) -> Sequence[Evidence]:
    service = ADMINISTRATIVE_PORTS.get(case.alert.destination.port or 0)
    fits = case.is_about(INTRUDERS) or not SPREADING.isdisjoint(case.tactics)
    if service is None or not fits:
        return ()
    return (
        _on_direction(
            case,
            "network.lateral",
            "It went from one inside machine to another, "
            + quoted(case.alert.destination.ip or "unnamed", 64)
            + ", over "
            + service
            + ".",
            case.weights.network["lateral"].weight,
        ),
    )


def _on_direction(case: Case, name: str, statement: str, weight: float) -> Evidence:
    return case.on_context(name, statement, "network#/direction", case.direction, weight)


def _remote(case: Case) -> str:
    address = quoted(case.alert.destination.ip or "an address outside", 64)
    known = case.network.destination if case.network else None
    if known is None or not known.country:
        return address
    owner = ", " + quoted(known.organisation, 48) if known.organisation else ""
    return address + " (" + quoted(known.country, 8) + owner + ")"


def logon(case: Case) -> Sequence[Evidence]:
    """How attempts to log on ended."""
    if case.source in CONNECTION_OUTCOMES:
        return ()
    guessing = case.is_about(GUESSING_FAMILY) or not GUESSING.isdisjoint(case.techniques)
    if not guessing and not case.is_about(LOGON_FAMILIES):
        return ()
    weights = case.weights.logon
    outcome = case.alert.event.outcome
    if guessing and case.outcome in SUCCESSES:
        return (
            case.on_alert(
                "logon.success_after_failures",
                "The rule is about guessing passwords, and the logon succeeded.",
                "/event/outcome",
                outcome,
                weights["success_after_failures"].weight,
            ),
        )
    if case.outcome not in FAILURES:
        return ()
    found = [
        case.on_alert(
            "logon.failure",
            "The attempt failed.",
            "/event/outcome",
            outcome,
            weights["failure"].weight,
            # Only where the rule's vendor says that logons are what failed.
            tainted=not case.declared or case.family.vouched not in LOGON_FAMILIES,
        )
    ]
    count = case.alert.event.count
    if count is not None and count >= MANY:
        found.append(
            case.on_alert(
                "logon.many_failures",
                "The source counts it " + str(count) + " times.",
                "/event/count",
                count,
                weights["many_failures"].weight,
            )
        )
    return found


def rarity(case: Case) -> Sequence[Evidence]:
    """New here, in a history that has seen other things. Being frequent says nothing."""
    network = case.network
    if network is None or not network.prevalence:
        return ()
    if not _has_history(case, network.prevalence):
        return ()
    found = []
    for index, seen in enumerate(network.prevalence):
        if seen.month:
            continue
        if seen.subject == "rule":
            key, what = "new_rule", "This rule has not fired here in the last 30 days."
        elif seen.subject == "destination_ip" and case.direction is NetworkDirection.OUTBOUND:
            key = "new_destination"
            what = "No alert of the last 30 days was about " + quoted(seen.value, 64) + "."
        else:
            continue
        path = "network#/prevalence/" + str(index)
        found.append(
            case.on_context("rarity." + key, what, path, seen, case.weights.rarity[key].weight)
        )
    return found


def _has_history(case: Case, network: Sequence[Prevalence]) -> bool:
    asset = case.asset_context.prevalence if case.asset_context else ()
    user = case.user_context.prevalence if case.user_context else ()
    for group in (network, asset, user):
        for seen in group:
            if seen.month:
                return True
    return False
