"""A dossier laid open for the extractors: every question they share, answered once."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tocsin.errors import InputError
from tocsin.knowledge import attack
from tocsin.model import (
    Alert,
    AssetContext,
    AssetRecord,
    Dossier,
    Evidence,
    MappingMethod,
    NetworkContext,
    NetworkDirection,
    ThreatLevel,
    User,
    UserContext,
    UserRecord,
)
from tocsin.triage.evidence import entry
from tocsin.triage.families import LONGEST, VENDOR_TEXT, Families, Family, RuleText
from tocsin.triage.payload import Leaf, Payload
from tocsin.triage.unchecked import unchecked
from tocsin.triage.weights import Weights

if TYPE_CHECKING:
    from tocsin.triage.detections import DetectionIndex

BLOCKED = frozenset(
    [
        "block",
        "blocked",
        "deny",
        "denied",
        "drop",
        "dropped",
        "reject",
        "rejected",
        "prevented",
        "prevent",
        "reset",
        "refused",
        "quarantined",
    ]
)
SENSORS = frozenset({"suricata", "cef", "guardduty", "generic"})  # their action is their own
MACHINE_ACCOUNTS = frozenset(
    {
        "system",
        "localsystem",
        "local service",
        "network service",
        "anonymous logon",
        "nt authority\\system",
        "n/a",
        "-",
    }
)
# How to get at the fields that can tell a family.
FAMILY_FIELDS: Mapping[str, Callable[[Alert], str | None]] = {
    "/rule/id": lambda alert: alert.rule.id,
    "/rule/name": lambda alert: alert.rule.name,
    "/rule/category": lambda alert: alert.rule.category,
    "/rule/level": lambda alert: alert.rule.level,
    "/event/category": lambda alert: alert.event.category,
    "/title": lambda alert: alert.title,
}
NO_PAYLOAD = Payload("")
# Their definitions find all there is; of the others the payload is read as well.
READ_FULLY = frozenset({"suricata", "wazuh", "windows", "cef"})
TECHNIQUES = 16  # most of an alert's techniques that are looked at


class Case:
    """One alert's facts under short names; read by the extractors, never changed by them.

    Attributes:
        detections: what published catalogues say of detections.
        declared: a known source's definition found the fields, so they are what they are called.
        family: what the rule looks for.
        network, asset, user: what context knows; None when it knows nothing.
        tactics: ATT&CK ids of the tactics that the rule names itself or through its techniques.
        blocked: the sensor says that it stopped what it saw; not what a log line says it did.
        known_indicators: what intelligence knows as a threat.
        names_account: the alert names an account that a directory could know.
        ours_acted: the sensor saw one of our own machines as the source.
        unchecked: what the gaps say.
    """

    __slots__ = (
        "action",
        "alert",
        "alert_pointer",
        "asset",
        "asset_context",
        "blocked",
        "context_pointer",
        "declared",
        "detections",
        "direction",
        "dossier",
        "family",
        "known_indicators",
        "names_account",
        "network",
        "outcome",
        "payload_read",
        "source",
        "tactics",
        "techniques",
        "unchecked",
        "user",
        "user_context",
        "weights",
    )

    def __init__(
        self,
        dossier: Dossier,
        weights: Weights,
        families: Families,
        detections: "DetectionIndex | None" = None,
    ) -> None:
        alert = dossier.alert
        if alert is None:
            raise InputError("an alert was to be triaged that has not been normalised")
        self.dossier = dossier
        self.detections = detections
        self.weights = weights
        self.alert: Alert = alert
        self.alert_pointer = "alerts/" + dossier.alert_id + "#"
        self.context_pointer = "alert_context/" + dossier.alert_id + "/"
        self.source = dossier.source or "other"
        declared = alert.mapping.method is MappingMethod.DECLARED and self.source in VENDOR_TEXT
        self.declared = declared
        self.network: NetworkContext | None = None
        self.asset_context: AssetContext | None = None
        self.user_context: UserContext | None = None
        for fact in dossier.context:
            data = fact.data
            if isinstance(data, NetworkContext):
                self.network = data
            elif isinstance(data, AssetContext):
                self.asset_context = data
            else:
                self.user_context = data
        self.unchecked = unchecked(dossier.gaps)
        self.known_indicators = [
            sighting
            for sighting in dossier.intel
            if sighting.threat_level is not ThreatLevel.UNKNOWN
        ]
        self.asset: AssetRecord | None = self.asset_context.asset if self.asset_context else None
        self.user: UserRecord | None = self.user_context.user if self.user_context else None
        self.direction = self.network.direction if self.network else NetworkDirection.UNKNOWN
        event = alert.event
        self.action = event.action.strip().lower() if event.action else ""
        self.outcome = event.outcome.strip().lower() if event.outcome else ""
        self.blocked = self.action in BLOCKED and declared and self.source in SENSORS
        self.names_account = _names_account(alert.user)
        rule = alert.rule
        self.family: Family = families.of(
            RuleText(
                self.source,
                declared,
                _cut(rule.id),
                _cut(rule.name),
                _cut(rule.category),
                _cut(rule.level),
                _cut(event.category),
                alert.title[:LONGEST],
            )
        )
        threat = alert.threat
        self.techniques = threat.techniques[:TECHNIQUES]
        named = threat.tactics[:TECHNIQUES]
        self.tactics = _tactics(named, self.techniques) if named or self.techniques else ()
        self.payload_read: Payload | None = (
            NO_PAYLOAD if declared and self.source in READ_FULLY else None
        )

    @property
    def payload(self) -> Payload:
        """The alert as sent, decoded once; empty where the source's definition says it all."""
        if self.payload_read is None:
            self.payload_read = Payload(self.dossier.payload)
        return self.payload_read

    @property
    def family_value(self) -> str:
        """The text that told the family."""
        return FAMILY_FIELDS[self.family.pointer](self.alert) or ""

    @property
    def stage_source(self) -> tuple[str, Any]:
        """Where in the alert it stands how far the attack has come, and what stands there."""
        threat = self.alert.threat
        if threat.techniques:
            return "/threat/techniques", threat.techniques
        if threat.tactics:
            return "/threat/tactics", threat.tactics
        return self.family.pointer, self.family_value

    @property
    def ours_acted(self) -> bool:
        """One of our own machines was the source."""
        return self.direction in (NetworkDirection.OUTBOUND, NetworkDirection.INTERNAL)

    @property
    def asset_is_source(self) -> bool:
        """The inventory's machine is the one whose address the sensor saw as the source."""
        return (
            self.asset is not None
            and self.asset.ip is not None
            and self.asset.ip == self.alert.source.ip
        )

    def is_about(self, families: frozenset[str]) -> bool:
        """Whether any text of the alert names one of these families; only for what may raise."""
        return not families.isdisjoint(self.family.named)

    def lacks(self, subject: str) -> bool:
        """Whether a gap says that this could not be checked."""
        return subject in self.unchecked.subjects

    def on_alert(
        self,
        name: str,
        statement: str,
        path: str,
        value: Any,
        weight: float,
        *,
        tainted: bool = False,
        technique: str | None = None,
        digest: str | None = None,
    ) -> Evidence:
        """Evidence about a value of the alert itself."""
        return entry(
            name,
            statement,
            self.alert_pointer + path,
            value,
            weight,
            tainted=tainted,
            technique=technique,
            digest=digest,
        )

    def on_payload(
        self,
        name: str,
        statement: str,
        leaf: Leaf,
        weight: float,
        *,
        tainted: bool,
        technique: str | None = None,
    ) -> Evidence:
        """Evidence about a value of the payload as sent."""
        return entry(
            name,
            statement,
            self.alert_pointer[:-1] + "/raw_data#" + leaf.pointer,
            leaf.value,
            weight,
            tainted=tainted,
            technique=technique,
        )

    def on_context(
        self, name: str, statement: str, path: str, value: Any, weight: float
    ) -> Evidence:
        """Evidence about a value that context found; `path` begins with the context's type."""
        return entry(name, statement, self.context_pointer + path, value, weight)


def _cut(text: str | None) -> str | None:
    return text[:LONGEST] if text else None


def _names_account(user: User) -> bool:
    if user.name is None:
        return user.id is not None or user.email is not None
    return not (user.name.endswith("$") or user.name.strip().lower() in MACHINE_ACCOUNTS)


@lru_cache(maxsize=4096)
def _tactics(named: tuple[str, ...], techniques: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of the tactics of a rule, which come again with every alert of it."""
    found: dict[str, None] = {}
    for text in named:
        if tactic := attack.tactic(text):
            found[tactic.id] = None
    if not found:  # a technique may serve several tactics; the earliest is the modest reading
        for identifier in techniques:
            if (technique := attack.technique(identifier)) and technique.tactics:
                found[technique.tactics[0]] = None
    return tuple(found)
