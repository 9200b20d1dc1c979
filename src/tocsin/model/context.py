"""What is known of the networks, machines and people in an alert, and what could not be checked."""

from tocsin.model.record import Record, Share
from tocsin.model.words import ContextType, Criticality, GapReason, NetworkDirection


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
    """How many earlier alerts had this value: today, in the last 7 and the last 30 UTC days.

    `attacks` and `harmless` are how people decided earlier alerts with this value, over all time:
    true positives, and benign or false positives. The subject `rule_host` (a rule on one machine)
    has decisions only.
    """

    subject: str  # rule, source_ip, destination_ip, host, user, rule_host
    value: str
    day: int = 0
    week: int = 0
    month: int = 0
    attacks: int = 0
    harmless: int = 0


class AddressContext(Record, frozen=True, kw_only=True):
    """What is known of one IP address."""

    ip: str
    internal: bool = False
    special_purpose: str | None = None  # the registry's name, e.g. "Private-Use"
    zone: str | None = None  # the name that the settings give its network
    country: str | None = None  # ISO 3166 alpha-2
    asn: int | None = None
    organisation: str | None = None


class Activity(Record, frozen=True, kw_only=True):
    """What came before the alert, by the clock of the events; the machine is the one it is about.

    All counts are of the hour before; `since` is in seconds and None when the rule was not seen
    on this machine before (of what is remembered).
    """

    rule: int = 0  # alerts of this rule on this machine
    host: int = 0  # alerts on this machine
    everywhere: int = 0  # alerts at all
    rules: int = 0  # other rules that fired on this machine
    since: float | None = None  # since this rule last fired on this machine


class NetworkContext(Record, frozen=True, kw_only=True, tag_field="type", tag="network"):
    """Context of type `network`; `activity` is what came before the alert."""

    direction: NetworkDirection = NetworkDirection.UNKNOWN
    source: AddressContext | None = None
    destination: AddressContext | None = None
    prevalence: tuple[Prevalence, ...] = ()
    activity: Activity | None = None


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
