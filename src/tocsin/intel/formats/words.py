"""The words and numbers of threat feeds: levels, confidence, TLP, moments and durations."""

import re
from datetime import UTC, datetime, timedelta

from tocsin.errors import InputError
from tocsin.model import ThreatLevel, Tlp

LONGEST_TTL = timedelta(days=36_525)

_LEVELS = {
    "critical": ThreatLevel.CRITICAL,
    "severe": ThreatLevel.CRITICAL,
    "very high": ThreatLevel.CRITICAL,
    "very-high": ThreatLevel.CRITICAL,
    "high": ThreatLevel.HIGH,
    "malicious": ThreatLevel.HIGH,
    "malware": ThreatLevel.HIGH,
    "medium": ThreatLevel.MEDIUM,
    "moderate": ThreatLevel.MEDIUM,
    "suspicious": ThreatLevel.MEDIUM,
    "low": ThreatLevel.LOW,
    "info": ThreatLevel.LOW,
    "informational": ThreatLevel.LOW,
    "unknown": ThreatLevel.UNKNOWN,
    "undefined": ThreatLevel.UNKNOWN,
}
_CONFIDENCE = {
    "confirmed": 0.95,
    "very high": 0.95,
    "high": 0.85,
    "medium": 0.6,
    "moderate": 0.6,
    "low": 0.3,
    "very low": 0.1,
}
_TLP = {tlp.value: tlp for tlp in Tlp} | {
    "white": Tlp.CLEAR,
    "amber_strict": Tlp.AMBER_STRICT,
    "amber-strict": Tlp.AMBER_STRICT,
    "amber strict": Tlp.AMBER_STRICT,
}
_DURATION = re.compile(r"(\d{1,6})\s*([smhdwy]?)[a-z]*", re.IGNORECASE | re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "": 86400, "d": 86400, "w": 604800, "y": 31_536_000}


def threat_level(text: str) -> ThreatLevel | None:
    """The level of a word, or of a score of 0-100 with `%`; None for neither."""
    word = text.strip().lower()
    if word in _LEVELS:
        return _LEVELS[word]
    score = _number(word.removesuffix("%")) if word.endswith("%") else None
    if score is None or not 0 < score <= 100:
        return None
    if score >= 90:
        return ThreatLevel.CRITICAL
    if score >= 70:
        return ThreatLevel.HIGH
    return ThreatLevel.MEDIUM if score >= 40 else ThreatLevel.LOW


def confidence(value: object, *, percent: bool = False) -> float | None:
    """Confidence as 0-1; numbers above 1, and all of them with `percent`, are of 0-100."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _CONFIDENCE:
            return _CONFIDENCE[word]
        percent = percent or word.endswith("%")
        number = _number(word.removesuffix("%"))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = _number(str(value))
    else:
        return None
    if number is None or not 0 <= number <= 100:
        return None
    return number / 100 if percent or number > 1 else number


def tlp(text: str) -> Tlp | None:
    """The Traffic Light Protocol word in `TLP:AMBER+STRICT`, `tlp:white`, `green` and so on."""
    word = text.strip().lower()
    return _TLP.get(word.removeprefix("tlp").lstrip(":_- "))


def moment(value: object) -> datetime | None:
    """A moment from ISO 8601 or epoch seconds or milliseconds; without a zone it is UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if text.upper().endswith(" UTC"):
        text = text[:-4]
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except ValueError:
        number = _number(text)
    if number is None or number <= 0:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_ttl(text: str) -> timedelta:
    """A duration such as `90d`, `12h` or `2 weeks`; a bare number counts days.

    Raises:
        InputError: the text is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not int(match.group(1)):
        raise InputError(f"{text!r} is no duration; write 12h, 90d, 4w or 1y")
    seconds = int(match.group(1)) * _UNITS[match.group(2).lower()]
    if seconds > LONGEST_TTL.total_seconds():
        raise InputError(f"{text!r} is longer than a hundred years")
    return timedelta(seconds=seconds)


def _number(text: str) -> float | None:
    """A finite decimal number of reasonable length."""
    if len(text) > 32 or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None
