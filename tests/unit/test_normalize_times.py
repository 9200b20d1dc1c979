"""Times: every common format is read, and the instant stays where it was."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.normalize.times import parse_time

RECEIVED = datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC)
ZONED = {
    "2018-03-24T14:37:19.037299-0600": "2018-03-24T20:37:19.037299+00:00",
    "2018-03-24T14:37:19+00:00": "2018-03-24T14:37:19+00:00",
    "2018-03-24T14:37:19Z": "2018-03-24T14:37:19+00:00",
    "2018-03-24 14:37:19,5Z": "2018-03-24T14:37:19.500000+00:00",
    "2018-03-24T14:37:19.123456789+02:00": "2018-03-24T12:37:19.123456+00:00",
    "2020-03-04 13:55:05 -03": "2020-03-04T16:55:05+00:00",
    "2020-03-04 13:55:05.22 +0000 UTC": "2020-03-04T13:55:05.220000+00:00",
    "2020-03-04 13:55:05 +0000 UTC m=+0.01": "2020-03-04T13:55:05+00:00",
    "2020-03-04T13:55:05+01:00[Europe/Berlin]": "2020-03-04T12:55:05+00:00",
    "2025-02-03T21:41:42.853014+01.00": "2025-02-03T20:41:42.853014+00:00",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00+00:00",
    "Tue, 10 Oct 2000 13:55:36 -0700": "2000-10-10T20:55:36+00:00",
    "10/Oct/2000:13:55:36 -0700": "2000-10-10T20:55:36+00:00",
    "[10/Oct/2000:13:55:36 -0700]": "2000-10-10T20:55:36+00:00",
    "Nov 02 2020 20:06:56 UTC": "2020-11-02T20:06:56+00:00",
    "Nov 02 2020 20:06:56.123 EST": "2020-11-03T01:06:56.123000+00:00",
    "Fri Mar 20 2020 10:00:00 GMT+0100 (CET)": "2020-03-20T09:00:00+00:00",
    "Sun Jan 10 16:47:39 EST 2021": "2021-01-10T21:47:39+00:00",
    "20200304T135505Z": "2020-03-04T13:55:05+00:00",
}
UNZONED = {
    "2018-03-24T14:37:19": "2018-03-24T14:37:19+00:00",
    "2018-03-24": "2018-03-24T00:00:00+00:00",
    "20180324": "2018-03-24T00:00:00+00:00",
    "20180324143719": "2018-03-24T14:37:19+00:00",
    "Mar  4 14:14:59": "2020-03-04T14:14:59+00:00",
    "Feb 29 00:00:00": "2020-02-29T00:00:00+00:00",
    "03/04/2020-13:55:05.224939": "2020-03-04T13:55:05.224939+00:00",
    "03/04-13:55:05.224939": "2020-03-04T13:55:05.224939+00:00",
    "16/10/2019 12:00:00": "2019-10-16T12:00:00+00:00",
    "13.02.2020 10:00:00": "2020-02-13T10:00:00+00:00",
    "12/3/2020, 1:34:42.544 PM": "2020-12-03T13:34:42.544000+00:00",
    "12/3/2020, 12:34:42 AM": "2020-12-03T00:34:42+00:00",
    "Wed Oct 10 13:55:36 2000": "2000-10-10T13:55:36+00:00",
}
NUMBERS = {
    1588001006: "2020-04-27T15:23:26+00:00",
    1588001006.5: "2020-04-27T15:23:26.500000+00:00",
    "1588001006": "2020-04-27T15:23:26+00:00",
    "1588001006.962": "2020-04-27T15:23:26.962000+00:00",
    "1588001006962": "2020-04-27T15:23:26.962000+00:00",
    1588001006962822: "2020-04-27T15:23:26.962822+00:00",
    1588001006962822123: "2020-04-27T15:23:26.962822+00:00",
    132_500_000_000_000_000: "2020-11-16T11:33:20+00:00",
}
NOT_TIMES: tuple[object, ...] = (
    *("", "never", "2020-13-45T00:00:00Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0"),
    *(42, -1, True, None, [], {}, float("nan"), float("inf"), "9" * 30, "x" * 1000, "{0}", "%s"),
    *("２０２０-01-01", "12:00", "1/2/3/4", "2020-01-01T00:00:00 or so"),
)


def instant(value: object) -> str | None:
    moment = parse_time(value, RECEIVED)
    return None if moment is None else moment.time.astimezone(UTC).isoformat()


@pytest.mark.parametrize(("text", "expected"), ZONED.items())
def test_a_time_with_a_zone_keeps_its_instant(text: str, expected: str) -> None:
    assert instant(text) == expected
    moment = parse_time(text, RECEIVED)
    assert moment is not None
    assert moment.assumed == ""


@pytest.mark.parametrize(("text", "expected"), UNZONED.items())
def test_a_time_without_a_zone_is_utc_and_says_so(text: str, expected: str) -> None:
    assert instant(text) == expected
    moment = parse_time(text, RECEIVED)
    assert moment is not None
    assert moment.assumed == "zone"


@pytest.mark.parametrize(("value", "expected"), NUMBERS.items())
def test_a_number_is_an_epoch_in_the_unit_of_its_size(value: object, expected: str) -> None:
    assert instant(value) == expected


@pytest.mark.parametrize("value", NOT_TIMES, ids=repr)
def test_what_is_no_time_is_none(value: object) -> None:
    assert parse_time(value, RECEIVED) is None


def test_a_time_without_a_year_is_not_in_the_future_by_more_than_a_day() -> None:
    assert instant("Jan  2 20:00:00") == "2021-01-02T20:00:00+00:00"
    assert instant("Jan  5 00:00:00") == "2020-01-05T00:00:00+00:00"
    assert instant("Dec 31 23:59:59") == "2020-12-31T23:59:59+00:00"


@given(
    st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_any_instant_in_any_zone_survives_iso_text(time: datetime, minutes: int) -> None:
    zoned = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    for text in (zoned.isoformat(), zoned.strftime("%Y-%m-%dT%H:%M:%S.%f%z")):
        moment = parse_time(text, RECEIVED)
        assert moment is not None
        assert moment.time == zoned


@given(st.text(max_size=100))
def test_no_text_makes_it_raise(text: str) -> None:
    moment = parse_time(text, RECEIVED)
    assert moment is None or moment.time.tzinfo is not None


@given(st.integers() | st.floats())
def test_no_number_makes_it_raise(number: float) -> None:
    moment = parse_time(number, RECEIVED)
    assert moment is None or moment.time.tzinfo is not None
