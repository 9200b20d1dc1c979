"""Reading event times: every common format and zone, without moving the instant."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EARLIEST_NUMBER = 100_000_000  # 1973: smaller numbers are counters, not epoch seconds
FIRST_YEAR, LAST_YEAR = 1971, 9000  # outside stands "no time": 1970-01-01, 0001-01-01
MAX_LENGTH = 80

MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
# Abbreviations in the meaning that they usually have in logs; IST, which has three, is left out.
ZONES = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "cest": 120,
    "met": 60, "mest": 120, "eet": 120, "eest": 180, "msk": 180, "jst": 540, "kst": 540,
    "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780, "est": -300, "edt": -240, "cst": -360,
    "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420, "akst": -540, "hst": -600,
}  # fmt: skip

_ZONE = (
    r"(?P<zone>z|[a-z]{2,5}(?:[+-]\d{1,2}(?::?\d{2})?)?|"
    r"(?:utc|gmt)?[+-]\d{1,2}(?:[:.]?\d{2})?(?:[:.]?\d{2})?)"
)
_TAIL = rf"(?:\s*{_ZONE})?(?:\s*(?:\[[\w/+-]+\]|\([^()]*\)|utc|m=[\d.+-]+)){{0,2}}"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<fraction>\d+))?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_MONTH = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        # 2020-03-04 13:55:05.2249 +0000 UTC; 2020/03/04 13:55; 2018-08-14:14:00:00
        (
            rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})"
            rf"(?:(?:\s*t\s*|\s+|[_:-]){_CLOCK}{_TAIL})?"
        ),
        # Mar  4 14:14:59; Nov 19, 2014 18:21:13 IST; Wed Oct 10 13:55:36 UTC 2000
        (
            rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}}),?(?:\s+(?P<year>\d{{4}}),?)?\s+"
            rf"(?:at\s+)?{_CLOCK}{_TAIL}(?:\s+(?P<late_year>\d{{4}}))?"
        ),
        # 10/Oct/2000:13:55:36 -0700; Tue, 10 Oct 2000 13:55:36 GMT; 10-Oct-20 16:00
        (
            rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s/-]{_MONTH}[\s/,-]+(?P<year>\d{{4}}|\d{{2}})[\s:,t-]+"
            rf"{_CLOCK}{_TAIL}"
        ),
        # 03/04/2020-13:55:05.224939 (month first, unless it cannot be); 11/13/2020, 4:27:16 PM
        (
            rf"(?P<first>\d{{1,2}})(?P<mark>[/.-])(?P<second_number>\d{{1,2}})(?P=mark)"
            rf"(?P<year>\d{{4}}|\d{{2}})(?:(?:,?\s+|[-:t]){_CLOCK}{_TAIL})?"
        ),
        # 03/04-13:55:05.224939 (no year)
        (rf"(?P<first>\d{{1,2}})(?P<mark>/)(?P<second_number>\d{{1,2}})[-\s]{_CLOCK}{_TAIL}"),
        # 20200304135505
        (
            r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})t?(?P<hour>\d{2})(?P<minute>\d{2})"
            rf"(?P<second>\d{{2}})(?:[.,](?P<fraction>\d+))?{_TAIL}"
        ),
    )
)
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+]?\d{1,2})?", re.ASCII)


def iso_time(text: str) -> datetime | None:
    """The instant of the usual case: a text in ISO 8601 with a zone; None for all others."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None and FIRST_YEAR <= time.year <= LAST_YEAR else None


class Moment(NamedTuple):
    """An instant with its zone; `assumed` says what the text left open, e.g. `zone`."""

    time: datetime
    assumed: str = ""


def parse_time(value: object, received_at: datetime) -> Moment | None:
    """Read a time in any common format, or None when it is none.

    Numbers are epoch seconds, milli-, micro- or nanoseconds, or Windows FILETIME, by size. A time
    without a zone is taken as UTC. A time without a year gets the one that puts it closest before
    `received_at` plus one day.
    """
    if isinstance(value, str):
        try:  # the usual case first: ISO 8601 with a zone
            time = datetime.fromisoformat(value)
        except ValueError:
            return _parse_text(value, received_at)
        if time.tzinfo is not None:
            return Moment(time) if FIRST_YEAR <= time.year <= LAST_YEAR else None
        return _parse_text(value, received_at)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _from_number(value)
    return None


def _parse_text(text: str, received_at: datetime) -> Moment | None:
    text = text.strip().strip("\"'")
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1]
    if not text or len(text) > MAX_LENGTH or not text.isascii():
        return None
    number = _NUMBER.fullmatch(text)
    if number is not None and not (len(text) == 14 and text[:2] in {"19", "20"}):
        return _from_number_text(text)
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None and (moment := _from_match(match, received_at)) is not None:
            return moment
    return None


def _from_number_text(text: str) -> Moment | None:
    if text.isdigit():
        if len(text) == 8 and text[:2] in {"19", "20"}:
            try:
                return Moment(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC), "zone")
            except ValueError:
                return None
        return _from_number(int(text)) if len(text) <= 20 else None
    try:
        return _from_number(float(text))
    except (ValueError, OverflowError):
        return None


def _from_number(number: float) -> Moment | None:
    """Seconds below 1e11, then each thousandfold a unit finer; FILETIME between µs and ns."""
    if not EARLIEST_NUMBER <= number < 10**19:  # also false for NaN
        return None
    if number < 10**11:
        ticks = round(number * 1_000_000)
    elif number < 10**14:
        ticks = round(number * 1000)
    elif number < 116_444_736 * 10**9:
        ticks = int(number)
    elif number < 3 * 10**17:  # 100 ns since 1601
        ticks = int(number) // 10 - 11_644_473_600_000_000
    else:
        ticks = int(number) // 1000
    try:
        return Moment(EPOCH + timedelta(microseconds=ticks))
    except OverflowError:
        return None


def _from_match(match: re.Match[str], received_at: datetime) -> Moment | None:
    part = match.groupdict()
    month, day = _month_and_day(part)
    zone, known = _zone(part.get("zone"))
    hour = int(part.get("hour") or 0)
    if half := part.get("half"):
        hour = hour % 12 + (12 if half in "pP" else 0)
    second = int(part.get("second") or 0)
    leap = second == 60
    micro = int((part.get("fraction") or "0").ljust(6, "0")[:6])
    year_text = part.get("year") or part.get("late_year")
    try:
        clock = (hour, int(part.get("minute") or 0), 59 if leap else second, micro)
        if year_text is None:
            time = _without_year(month, day, clock, zone, received_at)
        else:
            year = int(year_text) + (2000 if len(year_text) == 2 else 0)
            time = datetime(year, month, day, *clock, tzinfo=zone)
        if leap:
            time += timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return Moment(time, "" if known else "zone")


def _month_and_day(part: dict[str, str | None]) -> tuple[int, int]:
    if name := part.get("name"):
        return MONTHS[name[:3].lower()], int(part["day"] or 0)
    if first := part.get("first"):
        one, two = int(first), int(part["second_number"] or 0)
        # A dot is used where the day comes first; a slash means month first unless it cannot be.
        return (two, one) if one > 12 or (part["mark"] == "." and two <= 12) else (one, two)
    return int(part["month"] or 0), int(part["day"] or 0)


def _without_year(
    month: int,
    day: int,
    clock: tuple[int, int, int, int],
    zone: timezone,
    received_at: datetime,
) -> datetime:
    latest = received_at + DAY
    for year in range(latest.astimezone(zone).year, latest.year - 9, -1):
        try:
            time = datetime(year, month, day, *clock, tzinfo=zone)
        except ValueError:  # 29 February
            continue
        if time <= latest:
            return time
    raise ValueError("no such day in the last years")


def _zone(text: str | None) -> tuple[timezone, bool]:
    """The zone that a text names, and whether it was known; UTC otherwise."""
    if not text:
        return UTC, False
    lowered = text.lower()
    if lowered in ZONES:
        minutes = ZONES[lowered]
        return (timezone(timedelta(minutes=minutes)) if minutes else UTC), True
    offset = lowered.lstrip("abcdefghijklmnopqrstuvwxyz")
    if not offset:
        return UTC, False
    digits = "".join(character for character in offset if character.isdigit())
    if len(digits) <= 2:
        digits = f"{digits.zfill(2)}00"
    digits = digits.zfill(4) if len(digits) == 3 else digits
    total = timedelta(
        hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6] or 0)
    )
    if total >= DAY:
        return UTC, False
    return timezone(-total if offset[0] == "-" else total), True
