"""Look-alikes lower only by what the directory and the inventory vouch for; channels only raise."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.triage_dossiers import OURS, THEIRS, dossier, network_alert, weight

from tocsin.model import (
    AssetRecord,
    Dossier,
    Endpoint,
    NetworkDirection,
    UserRecord,
    Verdict,
)
from tocsin.normalize import normalize_payload
from tocsin.triage import resolve, triage
from tocsin.triage.evidence import value_hash

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
BOT = UserRecord(user_id="u-9", user_name="deployer", tags=("eu", "Infrastructure-as-Code"))
RULE = {"id": "r1", "title": "Security group rule created", "severity": "Medium"}
EVENT = {
    "eventName": "AuthorizeSecurityGroupIngress",
    "eventTime": "2026-03-04T12:00:00Z",
    "userIdentity": {"type": "IAMUser", "userName": "deployer"},
    "sourceIPAddress": "198.51.100.7",
    "userAgent": "Terraform/1.9",
}


def cloud(
    event: dict[str, Any],
    user: UserRecord | None = BOT,
    rule: dict[str, Any] | None = None,
    asset: AssetRecord | None = None,
) -> tuple[Dossier, Verdict]:
    payload = json.dumps({"rule": rule or RULE, "event": event})
    source, alert, _ = normalize_payload(payload, None, NOW)
    made = msgspec.structs.replace(dossier(source, alert, None, asset, user), payload=payload)
    verdict = triage(made)
    for item in verdict.evidence:
        assert value_hash(resolve(item.pointer, made)) == item.value_hash, item
    return made, verdict


def test_an_account_that_the_directory_tags_as_automation_lowers() -> None:
    _, verdict = cloud(EVENT)
    assert weight(verdict, "lookalike.automation") < 0


@pytest.mark.parametrize(
    ("change", "user", "rule"),
    [
        ({"userIdentity": {"userName": "carol"}}, BOT, RULE),  # somebody else acted
        ({"errorCode": "AccessDenied"}, BOT, RULE),  # a name that was only typed
        ({"userIdentity": {}, "requestParameters": {"userName": "deployer"}}, BOT, RULE),
        ({}, msgspec.structs.replace(BOT, enabled=False), RULE),
        ({}, msgspec.structs.replace(BOT, tags=("eu",)), RULE),
        ({}, BOT, {**RULE, "title": "Backdoor security group rule created"}),
        ({}, BOT, {**RULE, "title": "Data exfiltration"}),
    ],
)
def test_what_the_directory_does_not_explain_lowers_nothing(
    change: dict[str, Any], user: UserRecord, rule: dict[str, Any]
) -> None:
    assert weight(cloud({**EVENT, **change}, user, rule)[1], "lookalike.automation") == 0


def test_a_client_that_names_itself_is_said_and_weighs_nothing() -> None:
    _, verdict = cloud(EVENT, None)
    (item,) = [item for item in verdict.evidence if item.name == "lookalike.named"]
    assert (item.weight, item.tainted) == (0, True)
    assert "infrastructure" in item.statement
    _, other = cloud({**EVENT, "userAgent": "Mozilla/5.0"}, None)
    assert other.probability == verdict.probability


def windowed(start: datetime, end: datetime) -> UserRecord:
    tag = f"change-window:{start.isoformat()}/{end.isoformat()}"
    return UserRecord(user_id="u-9", user_name="deployer", tags=("x", tag))


def test_a_window_that_the_directory_announces_lowers_within_it_only() -> None:
    hour = timedelta(hours=1)
    inside, outside = windowed(NOW - hour, NOW + hour), windowed(NOW + hour, NOW + 2 * hour)
    assert weight(cloud(EVENT, inside)[1], "lookalike.window") < 0
    assert weight(cloud(EVENT, outside)[1], "lookalike.window") == 0


@pytest.mark.parametrize(
    "tag",
    [
        "change-window:",
        "change-window:x/y",
        "change-window:2026-03-04T11:00:00/2026-03-04T13:00:00",
        "change-window:2026-03-04T11:00:00Z",
        "change-window:2026-03-04T11:00:00+00:00/{0}%s",
        "window:2026-03-04T11:00:00Z/2026-03-04T13:00:00Z",
    ],
)
def test_a_window_that_cannot_be_read_is_none(tag: str) -> None:
    user = UserRecord(user_id="u-9", user_name="deployer", tags=(tag,))
    assert weight(cloud(EVENT, user)[1], "lookalike.window") == 0


def test_a_window_without_end_is_one_wherever_its_ends_are() -> None:
    tag = "change-window:0001-01-01T00:00:00+14:00/9999-12-31T23:59:59-12:00"
    user = UserRecord(user_id="u-9", user_name="deployer", tags=(tag,))
    assert weight(cloud(EVENT, user)[1], "lookalike.window") < 0


@pytest.mark.parametrize(
    "written", ["10.1.2.3", "10.1.2.3 ", "[fd00::1]", "fe80::1%a/b", "::ffff:10.1.2.3"]
)
def test_a_private_address_is_one_however_it_is_written(written: str) -> None:
    _, verdict = cloud({**EVENT, "sourceIPAddress": written})
    assert any("private address" in item.statement for item in verdict.evidence)


def test_a_window_of_a_machine_counts_for_the_address_that_was_measured() -> None:
    tag = "change-window:2026-03-04T00:00:00Z/2026-03-05T00:00:00Z"
    machine = AssetRecord(asset_id="a-5", hostname="ws-5", ip=OURS, tags=(tag,))
    alert = network_alert("ET POLICY something", outbound=True)
    when = msgspec.structs.replace(alert.event, time=NOW)
    timed = msgspec.structs.replace(alert, event=when)
    ours = triage(dossier("suricata", timed, NetworkDirection.OUTBOUND, machine))
    assert weight(ours, "lookalike.window") < 0
    other = msgspec.structs.replace(machine, ip="10.20.1.6")
    theirs = triage(dossier("suricata", timed, NetworkDirection.OUTBOUND, other))
    assert weight(theirs, "lookalike.window") == 0


def connection(port: int, sent: int | None, received: int | None, way: NetworkDirection) -> Verdict:
    alert = network_alert("ET INFO something", outbound=True)
    alert = msgspec.structs.replace(
        alert,
        source=Endpoint(ip=OURS, port=50000, bytes=sent),
        destination=Endpoint(ip=THEIRS, port=port, bytes=received),
    )
    return triage(dossier("suricata", alert, way))


def test_odd_ports_and_lopsided_uploads_raise_when_they_go_out() -> None:
    out, inward = NetworkDirection.OUTBOUND, NetworkDirection.INBOUND
    assert weight(connection(4444, None, None, out), "channel.odd_port") > 0
    assert weight(connection(443, None, None, out), "channel.odd_port") == 0
    assert weight(connection(4444, None, None, inward), "channel.odd_port") == 0
    assert weight(connection(443, 10**9, 1000, out), "channel.upload") > 0
    assert weight(connection(443, 10**9, 10**9, out), "channel.upload") == 0
    assert weight(connection(443, 1000, 1, out), "channel.upload") == 0


@pytest.mark.parametrize(
    ("measured", "name"),
    [
        ({"beacon_score": 0.97}, "channel.regular"),
        ({"beaconScore": 95}, "channel.regular"),
        ({"duration_seconds": 40_000}, "channel.long"),
    ],
)
def test_a_rhythm_or_length_that_the_sensor_states_raises(
    measured: dict[str, Any], name: str
) -> None:
    def judged(values: dict[str, Any]) -> Verdict:
        event = {"src_ip": OURS, "dst_ip": THEIRS, "dst_port": 443, **values}
        payload = json.dumps({"rule": {"id": "n1", "title": "Odd traffic"}, "event": event})
        source, alert, _ = normalize_payload(payload, None, NOW)
        made = dossier(source, alert, NetworkDirection.OUTBOUND)
        return triage(msgspec.structs.replace(made, payload=payload))

    assert weight(judged(measured), name) > 0
    assert weight(judged(dict.fromkeys(measured, 0.1)), name) == 0
