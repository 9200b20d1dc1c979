"""Bodies become alerts, or errors that say what to do."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import PayloadError
from tocsin.ingest import BodyKind, Item, Limits, read_body

LIMITS = Limits(alert_bytes=1024 * 1024, depth=64)


def codes(body: bytes, kind: BodyKind = BodyKind.JSON, limits: Limits = LIMITS) -> list[str]:
    try:
        items = read_body(body, kind, limits)
    except PayloadError as error:
        return [error.code]
    return ["ok" if isinstance(item, Item) else item.code for item in items]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', ["ok"]),
        (b'[{"a": 1}, {"b": 2}]', ["ok", "ok"]),
        (b'{"a": 1}\n{"b": 2}\n', ["ok", "ok"]),
        (b'[{"a": 1}, 2, "three"]', ["ok", "not_an_object", "not_an_object"]),
        (b"[]", ["empty"]),
        (b" \n ", ["empty"]),
        (b"\xef\xbb\xbf", ["empty"]),
        (b"\xef\xbb\xbf{}", ["ok"]),
        (b"42", ["not_an_object"]),
        (b'{"a": 1}{"b": 2}', ["invalid_json"]),
        (b'{"a": 1}\nnonsense\n', ["ok", "invalid_json"]),
        (b'nonsense\n{"a": 1}\n', ["invalid_json"]),
        (b'{"a": "\xff"}', ["invalid_json"]),
        (b'{"a": NaN}', ["invalid_json"]),
        (b"[" * 100_000, ["too_deep"]),
        (b'{"a":' * 65 + b"1" + b"}" * 65, ["too_deep"]),
        (b'{"a":' * 64 + b"1" + b"}" * 64, ["ok"]),
    ],
)
def test_json_bodies(body: bytes, expected: list[str]) -> None:
    assert codes(body) == expected


def test_a_broken_line_of_ndjson_does_not_take_its_neighbours_with_it() -> None:
    assert codes(b'{"a":1}\n{"a":\n{"b":2}', BodyKind.NDJSON) == ["ok", "invalid_json", "ok"]


def test_lines_of_text_are_alerts_and_bad_bytes_stay_visible() -> None:
    (item,) = read_body(b"CEF:0|a|b\xff\x00{}%s|c", BodyKind.TEXT, LIMITS)
    assert isinstance(item, Item)
    assert item.payload == "CEF:0|a|b\\xff\\x00{}%s|c"


def test_an_alert_over_the_cap_is_refused_and_its_neighbours_are_not() -> None:
    big = json.dumps({"a": "x" * 10_000_000}).encode()
    assert codes(b'[{"a":1},' + big + b"]") == ["ok", "too_large"]
    assert codes(big) == ["too_large"]


def test_the_payload_is_kept_as_sent_and_identity_ignores_layout() -> None:
    (first,) = read_body(b'{"a": 1,  "b": "\\u00e9"}', BodyKind.JSON, LIMITS)
    (second,) = read_body('{"b":"é","a":1}'.encode(), BodyKind.JSON, LIMITS)
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    assert first.payload == '{"a": 1,  "b": "\\u00e9"}'
    assert first.canonical == second.canonical


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("A-1", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("a/b", False),
        ("", False), ("{}", False), (7, False), (None, False), ("é", False), ("a\n", False),
    ],
)  # fmt: skip
def test_a_senders_id_is_used_only_if_it_can_stand_in_a_url(value: object, usable: bool) -> None:
    (item,) = read_body(json.dumps({"alert_id": value}).encode(), BodyKind.JSON, LIMITS)
    assert isinstance(item, Item)
    assert item.chosen_id == (value if usable else None)


@given(st.binary(max_size=200), st.sampled_from(list(BodyKind)))
def test_no_body_whatever_raises_anything_but_a_payload_error(body: bytes, kind: BodyKind) -> None:
    codes(body, kind)


def test_the_json_suite_is_read_as_the_standard_says(shared: Path) -> None:
    folder = shared / "robust" / "jsontestsuite" / "test_parsing"
    files = sorted(folder.iterdir())
    assert len(files) == 318
    for file in files:
        for kind in BodyKind:
            found = codes(file.read_bytes(), kind)
            if file.name.startswith("n_") and kind is not BodyKind.TEXT:
                assert "ok" not in found, (file.name, kind)
            if file.name.startswith("y_") and kind is BodyKind.JSON:
                assert "invalid_json" not in found, (file.name, found)
