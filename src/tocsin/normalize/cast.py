"""From any vendor's value to the type of one field of our record, or a reason why not.

A cast gets the raw value and a list for notes. It returns the value to keep, or None when the
vendor's value says "nothing"; it raises `DecodeError` when there is a value that cannot be read.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tocsin.errors import DecodeError
from tocsin.knowledge.canonical import hash_value, ip_address
from tocsin.model import Severity
from tocsin.normalize.attack import tactic_ids, technique_ids
from tocsin.normalize.severity import severity_of

Cast = Callable[[Any, list[str]], Any]

NAME, LONG, URL, TITLE = 2048, 32_768, 8192, 500
MAX_ITEMS = 100
MAX_COUNT = 2**63 - 1
NOTHING = frozenset(
    {"", "-", "--", "n/a", "null", "(null)", "<null>", "none", "nil", "undefined", "not available"}
    | {"__empty__", "[]", "{}", "not set", "(empty)", "nan"}
)
LONGEST_NOTHING = max(len(word) for word in NOTHING)
TRANSPORTS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "51": "ah"}
TRANSPORTS |= {"58": "ipv6-icmp", "89": "ospf", "132": "sctp"}
OUTCOMES = {
    "success": "success successful succeeded ok true allowed allow accepted accept granted pass passed yes "
    "permitted permit completed 0x0",
    "failure": "failure failed fail false error denied deny blocked block refused rejected reject dropped drop "
    "no unsuccessful challenge",
}
OUTCOME_OF = {word: outcome for outcome, words in OUTCOMES.items() for word in words.split()}


def clean_text(value: Any) -> str | None:
    """A scalar as text without NUL characters and surrounding blanks; None if it says nothing.

    Raises:
        DecodeError: it is an object.
    """
    if type(value) is not str:
        value = _scalar(value)
        if value is None:
            return None
    text: str = value.strip()
    if len(text) <= LONGEST_NOTHING and text.lower() in NOTHING:
        return None
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _scalar(value: Any) -> str | None:
    if isinstance(value, list):
        value = next((item for item in value if item is not None and item != ""), None)
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_COUNT:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise DecodeError("not text")


def _text(field: str, cap: int) -> Cast:
    def cast(value: Any, notes: list[str]) -> str | None:
        if type(value) is int:
            return str(value) if -MAX_COUNT <= value <= MAX_COUNT else None
        text = clean_text(value)
        if text is not None and len(text) > cap:
            notes.append(f"{field} was cut to {cap} characters")
            return text[:cap]
        return text

    return cast


def _lower(field: str) -> Cast:
    inner = _text(field, NAME)

    def cast(value: Any, notes: list[str]) -> str | None:
        text: str | None = inner(value, notes)
        return None if text is None else text.lower()

    return cast


def _domain(field: str) -> Cast:
    inner = _lower(field)

    def cast(value: Any, notes: list[str]) -> str | None:
        text: str | None = inner(value, notes)
        return None if text is None else text.rstrip(".") or None

    return cast


def _ip(value: Any, _notes: list[str]) -> str | None:
    if type(value) is str and (address := ip_address(value)) is not None:
        return address
    if isinstance(value, list):
        for item in value[:MAX_ITEMS]:
            if isinstance(item, str) and (address := ip_address(item)) is not None:
                return address
    text = clean_text(value)
    if text is None:
        return None
    for part in text.split(",")[:MAX_ITEMS]:  # "192.0.2.1, 198.51.100.7", as proxies write it
        if (address := ip_address(part)) is not None:
            return address
    raise DecodeError("not an IP address")


def _mac(value: Any, _notes: list[str]) -> str | None:
    text = clean_text(value)
    if text is None:
        return None
    digits = "".join(character for character in text if character not in ":-. ").upper()
    try:
        int(digits, 16)
    except ValueError:
        digits = ""
    if len(digits) != 12:
        raise DecodeError("not a MAC address")
    return "-".join(digits[index : index + 2] for index in range(0, 12, 2))


def _whole(limit: int, what: str) -> Cast:
    def cast(value: Any, _notes: list[str]) -> int | None:
        number = value
        if type(value) is not int:
            text = clean_text(value)
            if text is None:
                return None
            number = _parse_whole(text)
        if number is None or not 0 <= number <= limit:
            raise DecodeError(f"not a {what}")
        return int(number)

    return cast


def _parse_whole(text: str) -> int | None:
    if len(text) > 40 or not text.isascii():
        return None
    try:
        if text[:2] in {"0x", "0X"}:
            return int(text, 16)
        return int(text) if text.isdigit() else int(float(text.replace(",", "")))
    except (ValueError, OverflowError):
        return None


def _severity(value: Any, _notes: list[str]) -> Severity | None:
    if isinstance(value, Severity):
        return value
    level = severity_of(value)
    if level is not None:
        return level
    if clean_text(value) is None:
        return None
    if isinstance(value, list):
        return _severity(value[0], _notes)
    raise DecodeError("not a severity that is known")


def _outcome(value: Any, _notes: list[str]) -> str | None:
    text = clean_text(value)
    return None if text is None else OUTCOME_OF.get(text.lower(), "unknown")


def _transport(value: Any, _notes: list[str]) -> str | None:
    text = clean_text(value)
    if text is None:
        return None
    name = text.lower().partition("/")[0][:32]
    return TRANSPORTS.get(name, name)


def _hash(length: int) -> Cast:
    def cast(value: Any, _notes: list[str]) -> str | None:
        text = clean_text(value)
        if text is None or not text.strip("0"):  # all zeros is how some write "no hash"
            return None
        found = hash_value(text.rpartition("=")[2].rpartition(":")[2])
        if found is None or len(found) != length:
            raise DecodeError("not a hash of this kind")
        return found

    return cast


def _texts(field: str, cap: int) -> Cast:
    def cast(value: Any, notes: list[str]) -> tuple[str, ...] | None:
        if isinstance(value, str):
            value = value.split(",")
        elif isinstance(value, dict):
            value = [f"{name}:{item}" for name, item in value.items() if isinstance(item, str | int)]
        if not isinstance(value, list):
            value = [value]
        found: dict[str, None] = {}
        for item in value[:MAX_ITEMS]:
            text = None if isinstance(item, dict | list) else clean_text(item)
            if text is not None:
                found[text[:cap]] = None
        if len(value) > MAX_ITEMS:
            notes.append(f"{field} was cut to {MAX_ITEMS} values")
        return tuple(found) or None

    return cast


def _techniques(value: Any, _notes: list[str]) -> tuple[str, ...] | None:
    return technique_ids(value) or None


def _tactics(value: Any, _notes: list[str]) -> tuple[str, ...] | None:
    return tactic_ids(value) or None


def _time(value: Any, _notes: list[str]) -> Any:
    """Times need the time of receipt, so the engine reads them; this only drops empty ones."""
    return None if isinstance(value, str) and value.strip().lower() in NOTHING else value


_PORT = _whole(65_535, "port")
_COUNT = _whole(MAX_COUNT, "number")
_NAMES = ["event.kind", "event.id", "event.module", "event.provider", "event.category", "event.type", "event.action", "rule.id", "rule.name", "rule.category", "rule.reference", "rule.level", "host.name", "host.id", "host.os", "user.name", "user.domain", "user.id", "user.email", "process.name", "process.executable", "process.parent.name", "process.parent.executable", "file.name", "file.path", "dns.type", "email.sender", "email.message_id", "http.method", "registry.path", "registry.value", "cloud.provider", "cloud.account", "cloud.region", "cloud.service", "cloud.instance"]
_LONG = ["description", "process.command_line", "process.parent.command_line"]

CASTS: Mapping[str, Cast] = MappingProxyType(
    {name: _text(name, NAME) for name in _NAMES}
    | {name: _text(name, LONG) for name in _LONG}
    | {name: _text(name, URL) for name in ("url", "http.user_agent", "http.referrer", "email.subject")}
    | dict.fromkeys(("source.ip", "destination.ip", "host.ip"), _ip)
    | dict.fromkeys(("source.port", "destination.port"), _PORT)
    | dict.fromkeys(("source.mac", "destination.mac"), _mac)
    | {name: _domain(name) for name in ("source.domain", "destination.domain", "dns.question")}
    | dict.fromkeys(("source.bytes", "destination.bytes", "network.bytes", "event.count", "process.pid"), _COUNT)
    | {
        "title": _text("title", TITLE),
        "process.parent.pid": _COUNT,
        "event.severity": _severity,
        "event.outcome": _outcome,
        "event.time": _time,
        "threat.tactics": _tactics,
        "threat.techniques": _techniques,
        "file.hash.md5": _hash(32),
        "file.hash.sha1": _hash(40),
        "file.hash.sha256": _hash(64),
        "email.recipients": _texts("email.recipients", NAME),
        "http.status": _whole(999, "status code"),
        "network.transport": _transport,
        "network.protocol": _lower("network.protocol"),
        "tags": _texts("tags", 256),
        # Not fields of the record: values that become observables without a place of their own.
        "related.ip": _texts("related.ip", 64),
        "related.hash": _texts("related.hash", 128),
        "related.domain": _texts("related.domain", 255),
        "related.url": _texts("related.url", URL),
        "related.email": _texts("related.email", 320),
    }
)
