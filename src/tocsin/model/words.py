"""Every enumeration: the only copies; tables, API, console, logs and metrics take them here."""

from enum import StrEnum


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
    MODEL = "model"  # ask language models through the router
    ADMIN = "admin"


class ProviderKind(StrEnum):
    """Whose interface a provider of language models speaks."""

    OPENAI = "openai"  # and all that speak alike: vLLM, Ollama, llama.cpp, LM Studio …
    AZURE = "azure"
    ANTHROPIC = "anthropic"


class IncidentStatus(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    CLOSED = "closed"


class IncidentAction(StrEnum):
    """What can be done to an incident; all of it can be undone."""

    SPLIT = "split"
    MERGE = "merge"
    ADD = "add"
    REMOVE = "remove"
    CLOSE = "close"
    REOPEN = "reopen"
    ASSIGN = "assign"
    UNDO = "undo"


class RemediationStatus(StrEnum):
    """Where a proposed remediation action is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXECUTED = "executed"
    FAILED = "failed"


class ModelStatus(StrEnum):
    """Where a learned model is in its life."""

    CHALLENGER = "challenger"  # found better, waits for a person to put it live
    CHAMPION = "champion"  # judges alerts now
    RETIRED = "retired"  # was live before
    REJECTED = "rejected"  # was not better than the champion


class ClosingMode(StrEnum):
    """What the policy that closes alerts may do."""

    OFF = "off"
    SHADOW = "shadow"  # samples and says what it would close; closes nothing
    ON = "on"


class ClosingAction(StrEnum):
    """What the policy did with one alert."""

    LEFT = "left"
    SAMPLED = "sampled"  # drawn at random for people to judge, closed in no case
    WOULD_CLOSE = "would_close"
    CLOSED = "closed"


class OpinionStatus(StrEnum):
    """What became of a model's second opinion on an alert."""

    PENDING = "pending"  # wanted, and waiting for its turn
    DONE = "done"
    FAILED = "failed"  # the model was away or talked nonsense; the verdict is as it was
    SKIPPED = "skipped"  # it could change nothing any more
    BUDGET = "budget"  # wanted, but the day's budget was spent


class LookupTool(StrEnum):
    """What a model may ask of our own store; all of them only read."""

    SIMILAR_ALERTS = "similar_alerts"  # of the same rule, and how people decided
    HOST_ALERTS = "host_alerts"
    USER_ALERTS = "user_alerts"
    ADDRESS_ALERTS = "address_alerts"
    INDICATOR = "indicator"
    ASSET = "asset"
    USER = "user"
    PAYLOAD = "payload"  # the alert as it was sent


class DetectionKind(StrEnum):
    """What a detection's author means by its firing."""

    RULE = "rule"  # an ordinary detection
    TTP = "ttp"  # describes an attacker's technique closely
    ANOMALY = "anomaly"
    HUNTING = "hunting"
    CORRELATION = "correlation"


class DetectionStatus(StrEnum):
    """How far a detection's author trusts it, in the words of the Sigma specification."""

    STABLE = "stable"
    TEST = "test"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"
    UNSUPPORTED = "unsupported"


class ResponsePhase(StrEnum):
    """The phases of handling an incident in NIST SP 800-61."""

    DETECTION_AND_ANALYSIS = "detection_and_analysis"
    CONTAINMENT = "containment"
    ERADICATION = "eradication"
    RECOVERY = "recovery"
    POST_INCIDENT = "post_incident"


class EntityKind(StrEnum):
    """What alerts can have in common, so that they may belong to one incident."""

    HOST = "host"
    USER = "user"
    IP = "ip"
    HASH = "hash"
    DOMAIN = "domain"


class ProofOutcome(StrEnum):
    """What came of working a stored verdict out anew."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    OTHER_VERSION = "other_version"  # made by weights that this version does not have
    MODEL_MISSING = "model_missing"  # the learned model that made it is not there any more
    UNTRIAGED = "untriaged"  # there is no verdict yet
