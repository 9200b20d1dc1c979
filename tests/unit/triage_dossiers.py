"""Dossiers as the earlier steps leave them, for tests of triage."""

from datetime import UTC, datetime
from typing import Any

from tocsin.model import (
    AddressContext,
    Alert,
    AssetContext,
    AssetRecord,
    ContextType,
    Criticality,
    Dns,
    Dossier,
    Endpoint,
    Event,
    Fact,
    Gap,
    Network,
    NetworkContext,
    NetworkDirection,
    Prevalence,
    Rule,
    Severity,
    Sighting,
    ThreatLevel,
    UserContext,
    UserRecord,
    Verdict,
)
from tocsin.model import ObservableRole as Role
from tocsin.model import ObservableType as Kind

NOW = datetime(2026, 3, 4, 14, 14, 59, tzinfo=UTC)
OURS, THEIRS = "10.20.1.5", "203.0.113.7"
WORKSTATION = AssetRecord(
    asset_id="a-5",
    hostname="ws-5",
    ip=OURS,
    type="workstation",
    owner="carol",
    criticality=Criticality.MEDIUM,
)
ALICE = UserRecord(user_id="u-1", user_name="alice")


def dossier(
    source: str | None,
    alert: Alert,
    direction: NetworkDirection | None = None,
    asset: AssetRecord | None = WORKSTATION,
    user: UserRecord | None = ALICE,
    intel: tuple[Sighting, ...] = (),
    gaps: tuple[Gap, ...] = (),
    prevalence: tuple[Prevalence, ...] = (),
) -> Dossier:
    """A dossier as the earlier steps leave it."""
    network = NetworkContext(
        direction=direction or NetworkDirection.UNKNOWN,
        source=AddressContext(ip=alert.source.ip, internal=alert.source.ip.startswith("10."))
        if alert.source.ip
        else None,
        destination=AddressContext(
            ip=alert.destination.ip,
            internal=alert.destination.ip.startswith("10."),
            country=None if alert.destination.ip.startswith("10.") else "NL",
        )
        if alert.destination.ip
        else None,
        prevalence=prevalence,
    )
    data: tuple[tuple[ContextType, Any], ...] = (
        (ContextType.NETWORK, network),
        (ContextType.ASSET, AssetContext(asset=asset, matched_by="ip" if asset else None)),
        (ContextType.USER, UserContext(user=user, matched_by="user_name" if user else None)),
    )
    return Dossier(
        alert_id="0195-e",
        received_at=NOW,
        payload="{}",
        source=source,
        alert=alert,
        context=tuple(
            Fact(context_type=kind, data=item, source="test", confidence=1.0) for kind, item in data
        ),
        intel=intel,
        gaps=gaps,
    )


def network_alert(name: str, *, outbound: bool, **fields: Any) -> Alert:
    """A Suricata alert between our workstation and an outside address."""
    ours, theirs = Endpoint(ip=OURS, port=fields.pop("port", 443)), Endpoint(ip=THEIRS, port=443)
    event = {"severity": Severity.MEDIUM, "time": NOW, "action": fields.pop("action", "allowed")}
    return Alert(
        title=name,
        event=Event(**event),
        rule=Rule(id="2024897", name=name, category=fields.pop("category", None)),
        source=ours if outbound else theirs,
        destination=theirs if outbound else ours,
        network=Network(transport=fields.pop("transport", "tcp")),
        **fields,
    )


def listed(value: str, role: Role, level: ThreatLevel = ThreatLevel.HIGH, **more: Any) -> Sighting:
    """A sighting of an indicator that one list knows."""
    return Sighting(
        type=more.pop("type", Kind.IP),
        value=value,
        role=role,
        threat_level=level,
        confidence=0.9,
        sources=("own",),
        **more,
    )


def names(verdict: Verdict) -> set[str]:
    """The names of all evidence."""
    return {item.name for item in verdict.evidence}


def weight(verdict: Verdict, name: str) -> float:
    """The weight of one piece of evidence; 0 when it is not there."""
    return sum(item.weight for item in verdict.evidence if item.name == name)


def actions(verdict: Verdict) -> dict[str, str]:
    """The recommended actions with the entity of each."""
    return {action.action: action.entity for action in verdict.recommended_actions}


BEACON = network_alert(
    "ET MALWARE Example RAT CnC Checkin", outbound=True, dns=Dns(question="c2.example.net")
)
