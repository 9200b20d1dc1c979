"""From any vendor's value to the type of one field of our record, or a reason why not.

A cast gets the raw value and a list for notes. It returns the value to keep, or None when the
vendor's value says "nothing"; it raises `DecodeError` when there is a value that cannot be read.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tocsin.errors import DecodeError
from tocsin.knowledge.canonical import hash_value, ip_address
from tocsin.model import Severity
from tocsin.normalize.attack import tactic_ids, technique_ids
from tocsin.normalize.severity import severity_of
from tocsin.normalize.times import iso_time

Cast = Callable[[Any, list[str]], Any]

MAX_ITEMS = 100
MAX_COUNT = 2**63 - 1
MAX_DIGITS = 20
MAX_TRANSPORT = 32
HEXADECIMAL = frozenset("0123456789ABCDEF")
NOTHING = frozenset(
    {"", "-", "--", "n/a", "null", "(null)", "<null>", "none", "nil", "undefined", "not available"}
    | {"__empty__", "[]", "{}", "not set", "(empty)", "nan"}
)
LONGEST_NOTHING = max(len(word) for word in NOTHING)
TRANSPORTS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp"}
TRANSPORTS |= {"51": "ah", "58": "ipv6-icmp", "89": "ospf", "132": "sctp"}
OUTCOMES = {
    "success": "success successful succeeded ok true allowed allow accepted accept granted pass "
    "passed yes permitted permit completed 0x0",
    "failure": "failure failed fail false error denied deny blocked block refused rejected reject "
    "dropped drop no unsuccessful challenge",
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


def text_cast(field: str, cap: int, *, literal: bool = False) -> Cast:
    """Keep a text up to `cap` characters; a longer one is cut and noted.

    Words that say that there is nothing (null, none, -) are kept in a `literal` field: people
    write titles.
    """

    def cast(value: Any, notes: list[str]) -> str | None:
        if type(value) is str:  # as clean_text does it; most values come this way
            text = value.strip()
            if not text or (
                not literal and len(text) <= LONGEST_NOTHING and text.lower() in NOTHING
            ):
                return None
            if "\x00" in text:
                text = text.replace("\x00", "\ufffd")
        elif type(value) is int:
            return str(value) if -MAX_COUNT <= value <= MAX_COUNT else None
        else:
            other = clean_text(value)
            if other is None:
                return None
            text = other
        if len(text) > cap:
            notes.append(f"{field} was cut to {cap} characters")
            return text[:cap]
        return text

    return cast


def lower_cast(field: str, cap: int) -> Cast:
    """Keep a text in lower case."""
    inner = text_cast(field, cap)

    def cast(value: Any, notes: list[str]) -> str | None:
        text: str | None = inner(value, notes)
        return None if text is None else text.lower()

    return cast


def domain_cast(field: str, cap: int) -> Cast:
    """Keep a name of a host in lower case, without the final dot."""
    inner = lower_cast(field, cap)

    def cast(value: Any, notes: list[str]) -> str | None:
        text: str | None = inner(value, notes)
        return None if text is None else text.rstrip(".") or None

    return cast


def cast_ip(value: Any, _notes: list[str]) -> str | None:
    """Read an IP address: the first one of a list or of a text with commas."""
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


def cast_mac(value: Any, _notes: list[str]) -> str | None:
    """Write a MAC address as ECS does: `00-00-5E-00-53-23`."""
    text = clean_text(value)
    if text is None:
        return None
    digits = "".join(character for character in text if character not in ":-. ").upper()
    if len(digits) != 12 or not HEXADECIMAL.issuperset(digits):
        raise DecodeError("not a MAC address")
    return "-".join(digits[index : index + 2] for index in range(0, 12, 2))


def whole_cast(limit: int, what: str) -> Cast:
    """Read whole numbers of 0 to `limit`, also from text, decimal or hexadecimal (`0x…`)."""

    def cast(value: Any, _notes: list[str]) -> int | None:
        if type(value) is int and 0 <= value <= limit:
            return value
        number = value
        if type(value) is str and len(value) < MAX_DIGITS and value.isdigit() and value.isascii():
            number = int(value)
        elif type(value) is not int:
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


def cast_severity(value: Any, _notes: list[str]) -> Severity | None:
    """Read any vendor's severity as one of our levels."""
    if isinstance(value, Severity):
        return value
    level = severity_of(value)
    if level is not None:
        return level
    if clean_text(value) is None:
        return None
    if isinstance(value, list):
        return cast_severity(value[0], _notes)
    raise DecodeError("not a severity that is known")


def cast_outcome(value: Any, _notes: list[str]) -> str | None:
    """Read an outcome as ECS has it: success, failure, or unknown for any other word."""
    text = clean_text(value)
    return None if text is None else OUTCOME_OF.get(text.lower(), "unknown")


def cast_transport(value: Any, _notes: list[str]) -> str | None:
    """Read a transport by name or by its IANA number; `tcp/https` is tcp."""
    text = clean_text(value)
    if text is None:
        return None
    return _transport(text) if len(text) <= MAX_TRANSPORT else _transport.__wrapped__(text)


@lru_cache(maxsize=256)
def _transport(text: str) -> str:
    name = text.lower().partition("/")[0][:MAX_TRANSPORT]
    return TRANSPORTS.get(name, name)


def hash_cast(length: int) -> Cast:
    """Read a hash of so many hexadecimal digits; all zeros mean that there is none."""

    def cast(value: Any, _notes: list[str]) -> str | None:
        if type(value) is str and len(value) == length and (found := hash_value(value)) is not None:
            return found
        text = clean_text(value)
        if text is None or not text.strip("0"):  # all zeros is how some write "no hash"
            return None
        found = hash_value(text.rpartition("=")[2].rpartition(":")[2])
        if found is None or len(found) != length:
            raise DecodeError("not a hash of this kind")
        return found

    return cast


def texts_cast(field: str, cap: int) -> Cast:
    """Read a list of texts, also from one text with commas; repeats are left out."""

    def cast(value: Any, notes: list[str]) -> tuple[str, ...] | None:
        if isinstance(value, str):
            value = value.split(",")
        elif isinstance(value, dict):
            value = [
                f"{name}:{item}" for name, item in value.items() if isinstance(item, str | int)
            ]
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


def cast_techniques(value: Any, _notes: list[str]) -> tuple[str, ...] | None:
    """Find ATT&CK technique ids in any value."""
    return technique_ids(value) or None


def cast_tactics(value: Any, _notes: list[str]) -> tuple[str, ...] | None:
    """Find ATT&CK tactic ids in any value."""
    return tactic_ids(value) or None


def cast_time(value: Any, _notes: list[str]) -> Any:
    """Read a time in ISO 8601 with a zone, and drop empty ones.

    All others stay as they are: to read them needs the time of receipt, which the draft has.
    """
    if isinstance(value, str):
        time = iso_time(value)
        if time is not None:
            return time
        return None if len(value) <= LONGEST_NOTHING and value.lower() in NOTHING else value
    return None if value in ([], {}) else value
