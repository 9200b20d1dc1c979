"""The nouns of Tocsin, frozen, and every enumeration.

An `Alert` uses the names of the Elastic Common Schema wherever ECS has one. A `Dossier` is an
alert with everything that the steps have found out about it so far; it is what a step takes and
gives. Nothing in here knows a database, a queue or a server.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

# --------------------------------------------------------------------------------------------
# Enumerations: the only copies. Tables, API, console, logs and metrics take them from here.
# --------------------------------------------------------------------------------------------


class Severity(StrEnum):
    """What the source claims about its own alert; weak evidence."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class RiskLevel(StrEnum):
    """What Tocsin says: critical ≥ 90, high ≥ 70, medium ≥ 40, low ≥ 20, else info."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    RECEIVED = "received"
    TRIAGED = "triaged"
    FOLDED = "folded"
    PARKED = "parked"
    CLOSED = "closed"


class Disposition(StrEnum):
    """What an alert turned out to be, said by the triage (verdict) or by a person."""

    TRUE_POSITIVE = "true_positive"
    BENIGN_POSITIVE = "benign_positive"
    FALSE_POSITIVE = "false_positive"
    UNDETERMINED = "undetermined"


class ContextType(StrEnum):
    """The three kinds of context; one stored row each for every alert."""

    NETWORK = "network"
    ASSET = "asset"
    USER = "user"


class ObservableType(StrEnum):
    """Types of indicators that intelligence can know."""

    IP = "ip"
    CIDR = "cidr"
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    EMAIL = "email"


class ObservableRole(StrEnum):
    """Who or what an observable was in the event."""

    SOURCE = "source"
    DESTINATION = "destination"
    HOST = "host"
    FILE = "file"
    PROCESS = "process"
    URL = "url"
    DNS = "dns"
    SENDER = "sender"
    RECIPIENT = "recipient"
    USER = "user"
    MENTION = "mention"


class ThreatLevel(StrEnum):
    """What intelligence says of an indicator. There is no `clean`: unknown is not clean."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNKNOWN = "unknown"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"


class Criticality(StrEnum):
    """How much an asset matters to the organisation."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class NetworkDirection(StrEnum):
    """ECS `network.direction`, seen from the organisation's own networks."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


class GapReason(StrEnum):
    """Why something could not be checked."""

    ABSENT = "absent"  # the alert does not carry what the check needs
    NOT_FOUND = "not_found"  # asked, and the source of truth has no record
    NOT_CONFIGURED = "not_configured"  # nobody has been given to ask
    UNPARSABLE = "unparsable"  # a value was there and could not be read
    TIMEOUT = "timeout"
    ERROR = "error"


class EvidenceDirection(StrEnum):
    """Which way a piece of evidence moves the probability of a true positive."""

    RAISES = "raises"
    LOWERS = "lowers"
    NEUTRAL = "neutral"


class MappingMethod(StrEnum):
    """How an alert's fields were found."""

    DECLARED = "declared"  # by a source definition
    INFERRED = "inferred"  # by field-name synonyms and value shapes


class KeyScope(StrEnum):
    """What an API key may do."""

    INGEST = "ingest"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class IncidentStatus(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    CLOSED = "closed"


class RemediationStatus(StrEnum):
    """Where a proposed remediation action is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXECUTED = "executed"
    FAILED = "failed"


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Score = Annotated[float, msgspec.Meta(ge=0, le=100)]
Address = Annotated[str, msgspec.Meta(max_length=45)]

# --------------------------------------------------------------------------------------------
# The alert: ECS groups
# --------------------------------------------------------------------------------------------


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all records: immutable, compared by value, written without empty fields."""


class Event(Record, frozen=True, kw_only=True):
    """ECS `event.*`: what kind of thing happened, when, and how it ended."""

    kind: str = "alert"
    id: str | None = None
    module: str | None = None  # the detector's product, e.g. "suricata"
    provider: str | None = None
    category: str | None = None  # becomes alerts.alert_type
    type: str | None = None
    severity: Severity | None = None
    action: str | None = None
    outcome: str | None = None  # success, failure, unknown
    time: datetime | None = None  # ECS @timestamp; always with a zone
    count: int | None = None


class Rule(Record, frozen=True, kw_only=True):
    """ECS `rule.*`: the detection that fired."""

    id: str | None = None
    name: str | None = None
    category: str | None = None
    reference: str | None = None
    level: str | None = None  # the rule's own level as its author wrote it


class Threat(Record, frozen=True, kw_only=True):
    """ECS `threat.*`: MITRE ATT&CK ids, e.g. `TA0002` and `T1059.001`."""

    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()


class Endpoint(Record, frozen=True, kw_only=True):
    """ECS `source.*` or `destination.*`."""

    ip: Address | None = None
    port: Port | None = None
    domain: str | None = None
    mac: str | None = None
    bytes: int | None = None


class Host(Record, frozen=True, kw_only=True):
    """ECS `host.*`: the machine the alert is about; `id` becomes alerts.asset_id."""

    name: str | None = None
    id: str | None = None
    ip: str | None = None
    os: str | None = None


class User(Record, frozen=True, kw_only=True):
    """ECS `user.*`: the account the alert is about."""

    name: str | None = None
    domain: str | None = None
    id: str | None = None
    email: str | None = None


class ParentProcess(Record, frozen=True, kw_only=True):
    """ECS `process.parent.*`."""

    name: str | None = None
    executable: str | None = None
    command_line: str | None = None
    pid: int | None = None


class Process(Record, frozen=True, kw_only=True):
    """ECS `process.*`."""

    name: str | None = None
    executable: str | None = None
    command_line: str | None = None
    pid: int | None = None
    parent: ParentProcess = ParentProcess()


class Hashes(Record, frozen=True, kw_only=True):
    """ECS `file.hash.*`, lower-case hexadecimal."""

    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None


class File(Record, frozen=True, kw_only=True):
    """ECS `file.*`."""

    name: str | None = None
    path: str | None = None
    hash: Hashes = Hashes()


class Dns(Record, frozen=True, kw_only=True):
    """ECS `dns.*`; `question` is `dns.question.name`."""

    question: str | None = None
    type: str | None = None


class Email(Record, frozen=True, kw_only=True):
    """ECS `email.*`."""

    sender: str | None = None
    recipients: tuple[str, ...] = ()
    subject: str | None = None
    message_id: str | None = None


class Http(Record, frozen=True, kw_only=True):
    """ECS `http.*` and `user_agent.original`."""

    method: str | None = None
    status: int | None = None
    user_agent: str | None = None
    referrer: str | None = None


class Network(Record, frozen=True, kw_only=True):
    """ECS `network.*`: `transport` is tcp, udp or icmp; `protocol` is http, tls or dns."""

    transport: str | None = None
    protocol: str | None = None
    bytes: int | None = None


class Registry(Record, frozen=True, kw_only=True):
    """ECS `registry.*`."""

    path: str | None = None
    value: str | None = None


class Cloud(Record, frozen=True, kw_only=True):
    """ECS `cloud.*`."""

    provider: str | None = None
    account: str | None = None
    region: str | None = None
    service: str | None = None
    instance: str | None = None


class Observable(Record, frozen=True, kw_only=True):
    """A value that intelligence could know, in canonical form, with its role in the event.

    `tainted` says that an attacker can have written it (a command line, a URL), in contrast to
    what a sensor measured.
    """

    type: ObservableType
    value: str
    role: ObservableRole
    tainted: bool = False


class Mapping(Record, frozen=True, kw_only=True):
    """How the alert's fields were found, and what was left over."""

    method: MappingMethod = MappingMethod.DECLARED
    mapped: int = 0
    unmapped: int = 0
    unmapped_fields: tuple[str, ...] = ()  # paths in the payload, the first 50
    notes: tuple[str, ...] = ()  # e.g. "event time could not be read"


class Alert(Record, frozen=True, kw_only=True):
    """A normalised alert."""

    title: str
    description: str | None = None
    event: Event = Event()
    rule: Rule = Rule()
    threat: Threat = Threat()
    source: Endpoint = Endpoint()
    destination: Endpoint = Endpoint()
    host: Host = Host()
    user: User = User()
    process: Process = Process()
    file: File = File()
    url: str | None = None
    dns: Dns = Dns()
    email: Email = Email()
    http: Http = Http()
    network: Network = Network()
    registry: Registry = Registry()
    cloud: Cloud = Cloud()
    tags: tuple[str, ...] = ()
    observables: tuple[Observable, ...] = ()
    mapping: Mapping = Mapping()


# --------------------------------------------------------------------------------------------
# Context
# --------------------------------------------------------------------------------------------


class AssetRecord(Record, frozen=True, kw_only=True):
    """One row of the inventory (`assets`)."""

    asset_id: str
    hostname: str | None = None
    ip: str | None = None
    type: str | None = None  # server, workstation, domain_controller, …
    os: str | None = None
    owner: str | None = None
    department: str | None = None
    location: str | None = None
    environment: str | None = None  # production, staging, …
    criticality: Criticality | None = None
    exposed: bool = False  # reachable from the internet
    tags: tuple[str, ...] = ()


class UserRecord(Record, frozen=True, kw_only=True):
    """One row of the directory (`users`)."""

    user_id: str
    user_name: str | None = None
    email: str | None = None
    full_name: str | None = None
    department: str | None = None
    title: str | None = None
    manager: str | None = None
    privileged: bool = False
    enabled: bool = True
    tags: tuple[str, ...] = ()


class Prevalence(Record, frozen=True, kw_only=True):
    """How many earlier alerts had this value: today, in the last 7 and the last 30 UTC days."""

    subject: str  # rule, source_ip, destination_ip, host, user
    value: str
    day: int = 0
    week: int = 0
    month: int = 0


class AddressContext(Record, frozen=True, kw_only=True):
    """What is known of one IP address."""

    ip: str
    internal: bool = False
    special_purpose: str | None = None  # the registry's name, e.g. "Private-Use"
    zone: str | None = None  # the name that the settings give its network
    country: str | None = None  # ISO 3166 alpha-2
    asn: int | None = None
    organisation: str | None = None


class NetworkContext(Record, frozen=True, kw_only=True, tag_field="type", tag="network"):
    """Context of type `network`."""

    direction: NetworkDirection = NetworkDirection.UNKNOWN
    source: AddressContext | None = None
    destination: AddressContext | None = None
    prevalence: tuple[Prevalence, ...] = ()


class AssetContext(Record, frozen=True, kw_only=True, tag_field="type", tag="asset"):
    """Context of type `asset`; `matched_by` is asset_id, hostname or ip."""

    asset: AssetRecord | None = None
    matched_by: str | None = None
    prevalence: tuple[Prevalence, ...] = ()


class UserContext(Record, frozen=True, kw_only=True, tag_field="type", tag="user"):
    """Context of type `user`; `matched_by` is user_id, user_name or email."""

    user: UserRecord | None = None
    matched_by: str | None = None
    prevalence: tuple[Prevalence, ...] = ()


class Fact(Record, frozen=True, kw_only=True):
    """One context row: what is known, from where, and how sure it is (0–1)."""

    context_type: ContextType
    data: NetworkContext | AssetContext | UserContext
    source: str
    confidence: Share


class Gap(Record, frozen=True, kw_only=True):
    """Something that could not be checked: shown, counted, never scored as benign."""

    step: str
    subject: str  # what was not checked, e.g. "asset" or "threat_intel:ip"
    reason: GapReason
    detail: str = ""


# --------------------------------------------------------------------------------------------
# Intelligence
# --------------------------------------------------------------------------------------------


class Indicator(Record, frozen=True, kw_only=True):
    """One row of the local indicator store (`indicators`)."""

    type: ObservableType
    value: str
    source: str
    threat_level: ThreatLevel = ThreatLevel.HIGH
    confidence: Share = 0.7
    tlp: Tlp = Tlp.AMBER
    tags: tuple[str, ...] = ()
    description: str | None = None
    first_seen: datetime | None = None
    expires_at: datetime | None = None


class Sighting(Record, frozen=True, kw_only=True):
    """What intelligence says of one observable of an alert; one `threat_intel` row each.

    `matched` is the indicator that matched (a parent domain or a containing network may be
    wider than the value); `benign_lists` names the warning lists that hold the value.
    """

    type: ObservableType
    value: str
    role: ObservableRole
    threat_level: ThreatLevel = ThreatLevel.UNKNOWN
    confidence: Share = 0.0
    sources: tuple[str, ...] = ()
    matched: str | None = None
    tags: tuple[str, ...] = ()
    tlp: Tlp | None = None
    benign_lists: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------
# Triage
# --------------------------------------------------------------------------------------------


class Evidence(Record, frozen=True, kw_only=True):
    """One reason: a statement, where it stands, and what it is worth.

    `pointer` is `TABLE/KEY#JSON-POINTER` into what is stored; `value_hash` is the first 16 hex
    digits of the SHA-256 of the pointed value's canonical JSON. `weight` is in log-odds (natural
    logarithm). `tainted` says that an attacker can have written the value; such evidence never
    lowers a verdict.
    """

    name: str  # stable code, e.g. "intel.destination_ip_listed"
    statement: str
    pointer: str
    value_hash: str
    direction: EvidenceDirection
    weight: float
    tainted: bool = False
    technique: str | None = None


class Action(Record, frozen=True, kw_only=True):
    """A recommended action, bound to the entity it concerns."""

    action: str  # stable code, e.g. "isolate_host"
    title: str  # what to do, with the concrete host, account or address
    entity_type: str  # host, user, ip, domain, url, file, email, alert
    entity: str
    reason: str
    priority: int  # 1 is first


class Verdict(Record, frozen=True, kw_only=True):
    """What triage says of an alert. `risk_score` = 100 × probability × impact."""

    verdict: Disposition
    probability: Share  # of true_positive
    impact: Share
    risk_score: Score
    risk_level: RiskLevel
    confidence: Share  # from how much of the evidence could be looked at
    requires_human_review: bool
    analysis: str
    evidence: tuple[Evidence, ...] = ()
    recommended_actions: tuple[Action, ...] = ()
    model_version: str = ""


# --------------------------------------------------------------------------------------------
# The dossier
# --------------------------------------------------------------------------------------------


class Dossier(Record, frozen=True, kw_only=True):
    """An alert and everything the steps have found out so far; each step fills one field.

    `payload` is the alert as sent (JSON or one line of text); `source` is the name that the
    sender gave, or the one that was detected.
    """

    alert_id: str
    received_at: datetime
    payload: str
    source: str | None = None
    alert: Alert | None = None
    context: tuple[Fact, ...] = ()
    intel: tuple[Sighting, ...] = ()
    verdict: Verdict | None = None
    gaps: tuple[Gap, ...] = ()


def risk_level(score: float) -> RiskLevel:
    """The level of a risk score of 0–100; the thresholds are those of `RiskLevel`."""
    if score >= 90:
        return RiskLevel.CRITICAL
    if score >= 70:
        return RiskLevel.HIGH
    if score >= 40:
        return RiskLevel.MEDIUM
    if score >= 20:
        return RiskLevel.LOW
    return RiskLevel.INFO
