"""The step: order kept, sources named, and nothing in a payload can break it."""

import json
import math
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.model import Alert, Dossier, Gap, GapReason
from tocsin.normalize import build, normalize_payload, to_ecs, to_ocsf
from tocsin.ports import Resources

RECEIVED = datetime(2026, 9, 1, tzinfo=UTC)
NASTY = ("{0}", "%s%n", "a\nb", "\x00", "\ud800", "${jndi:x}", "<script>", "x" * 40_000, "'; --")
SHAPES: tuple[dict[str, Any], ...] = (
    {"event_type": "alert", "alert": {"signature_id": 1, "signature": "s"}},
    {"rule": {"level": 3, "id": "1", "description": "d"}, "agent": {"id": "1"}},
    {"Event": {"System": {"EventID": 1}, "EventData": {"Image": "a"}}},
    {"service": {"serviceName": "guardduty"}, "type": "a:b/c", "severity": 1},
    {"DeviceEventClassID": "1", "DeviceVendor": "v"},
    {"alert_type": "t", "title": "t", "source_ip": "192.0.2.1"},
    {},
)
FIELDS = (
    *("timestamp", "src_ip", "src_port", "dest_ip", "proto", "http", "alert", "full_log", "data"),
    *("syscheck", "Event", "sigma", "rule", "detail", "message", "SourceIP", "LogSeverity"),
    *(
        "source_ip",
        "file_hash",
        "ports",
        "user_name",
        "severity",
        "details",
        "AdditionalExtensions",
    ),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from([*NASTY, "192.0.2.1", "CEF:0|a|b|c|d|e|5|src=x", "a=b c=d", '{"a": 1}']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def dossier(payload: str, **fields: Any) -> Dossier:
    return Dossier(alert_id="a", received_at=RECEIVED, payload=payload, **fields)


def check(payload: str, source: str | None) -> Alert:
    """Whatever went in, a storable alert comes out."""
    name, alert, _ = normalize_payload(payload, source, RECEIVED)
    assert name
    assert name.isprintable()
    assert alert.title.strip()
    assert "\\u0000" not in msgspec.json.encode(alert).decode()
    assert alert.event.time is None or alert.event.time.tzinfo is not None
    assert alert.source.port is None or 0 <= alert.source.port <= 65_535
    assert len(alert.mapping.unmapped_fields) <= 50
    msgspec.json.decode(msgspec.json.encode(alert), type=Alert)
    json.dumps(to_ecs(alert, alert_id="a", source=name, received_at=RECEIVED))
    json.dumps(to_ocsf(alert, alert_id="a", received_at=RECEIVED))
    return alert


async def test_the_step_fills_alert_and_source_and_keeps_the_order() -> None:
    work = build(cast("Resources", None))
    batch = [
        dossier(json.dumps({"alert_type": "x", "title": "one", "time": 1777629600})),
        dossier("two", source="my tool"),
        dossier(json.dumps(SHAPES[0]), source="something"),
    ]
    done = await work(batch)
    assert [item.alert.title for item in done if item.alert] == ["one", "two", "s"]
    assert [item.source for item in done] == ["generic", "my tool", "suricata"]
    assert [item.payload for item in done] == [item.payload for item in batch]
    assert batch[0].alert is None


async def test_gaps_are_added_to_those_of_other_steps_and_not_doubled() -> None:
    work = build(cast("Resources", None))
    other = Gap(step="ingest", subject="x", reason=GapReason.ERROR)
    once = await work([dossier("two", gaps=(other,))])
    twice = await work(once)
    assert [gap.step for gap in twice[0].gaps] == ["ingest", "normalize"]
    assert twice[0].gaps[1].subject == "event.time"
    assert twice[0].gaps[1].reason is GapReason.ABSENT


def test_a_sender_may_name_a_source_by_an_alias_or_wrongly() -> None:
    payload = json.dumps(SHAPES[1])
    assert normalize_payload(payload, "OSSEC")[0] == "wazuh"
    name, alert, _ = normalize_payload(payload, "cef")
    assert name == "wazuh"
    assert "sent as cef, recognised as wazuh" in alert.mapping.notes


def test_flattened_keys_are_recognised() -> None:
    flat = {"event_type": "alert", "alert.signature_id": 7, "alert.signature": "s", "src_ip": "::1"}
    name, alert, _ = normalize_payload(json.dumps(flat))
    assert (name, alert.rule.id, alert.source.ip) == ("suricata", "7", "::1")


@pytest.mark.parametrize("nasty", NASTY, ids=repr)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_nasty_text_in_every_field_is_only_text(shape: int, nasty: str) -> None:
    def spoil(node: Any) -> Any:
        if isinstance(node, dict):
            return {f"{key}": spoil(value) for key, value in node.items()} | {nasty: nasty}
        return node

    payload = dict.fromkeys(FIELDS, nasty) | spoil(SHAPES[shape])
    check(json.dumps(payload), None)
    check(json.dumps(payload), nasty)
    check(nasty, nasty)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SHAPES),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
    st.sampled_from([None, "suricata", "wazuh", "windows", "cef", "guardduty", "generic", "?"]),
)
def test_no_value_of_any_type_in_any_field_makes_it_raise(
    shape: dict[str, Any], values: dict[str, Any], source: str | None
) -> None:
    check(json.dumps({**shape, **values}), source)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.none() | st.text(max_size=20))
def test_no_text_makes_it_raise(payload: str, source: str | None) -> None:
    check(payload, source)


def test_deep_and_wide_payloads_end() -> None:
    check('{"a":' * 5000 + "1" + "}" * 5000, None)
    check('{"a":' * 90 + "1" + "}" * 90, None)
    alert = check(json.dumps({f"k{number}": number for number in range(20_000)}), None)
    assert len(alert.mapping.unmapped_fields) == 50
    check(json.dumps({"message": "a=" * 50_000, "title": math.inf}), None)


def test_values_that_are_too_long_are_cut_and_noted() -> None:
    payload = {"alert_type": "x", "title": "t", "command_line": "c" * 40_000, "user_id": "u" * 3000}
    alert = check(json.dumps(payload), None)
    assert len(alert.process.command_line or "") == 32_768
    assert len(alert.user.id or "") == 2048
    assert "user.id was cut to 2048 characters" in alert.mapping.notes


@pytest.mark.parametrize(
    ("text", "mac"),
    [("00:00:5e:00:53:23", "00-00-5E-00-53-23"), ("0x00005e0053", None), ("0000_5e00532", None)],
)
def test_a_mac_address_has_twelve_hexadecimal_digits(text: str, mac: str | None) -> None:
    payload = json.dumps({"title": "x", "source": {"mac": text}, "src_mac": text})
    _, alert, _ = normalize_payload(payload)
    assert alert.source.mac == mac
