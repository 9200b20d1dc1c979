"""A normalised alert in the groups of the Elastic Common Schema."""

from datetime import datetime

from tocsin.model.record import Address, Port, Record
from tocsin.model.words import MappingMethod, ObservableRole, ObservableType, Severity


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
