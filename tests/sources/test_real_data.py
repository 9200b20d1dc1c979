"""Real records of three detectors: what a record has must be in the alert made of it.

The records are not part of the repository; without them these tests are skipped and say so.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tocsin.model import Alert, MappingMethod
from tocsin.normalize import normalize_payload

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RECEIVED = datetime(2026, 9, 1, tzinfo=UTC)
SHOWN = (
    "event.time", "event.severity", "event.category", "rule.id", "rule.name", "threat.techniques",
    "source.ip", "source.port", "destination.ip", "destination.port", "host.name", "user.name",
    "process.executable", "process.command_line", "file.path", "file.hash.sha256", "url",
    "dns.question", "network.transport",
)  # fmt: skip
FAST = re.compile(r"\{\w+\} (\S+):(\d+) -> (\S+):(\d+)")

Pair = tuple[dict[str, Any], Alert]


def folder(name: str) -> Path:
    path = DATA / name
    if not path.is_dir():
        pytest.skip(f"the real records of {name} are not on this machine")
    return path


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Several JSON documents, one after the other."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        document, position = decoder.raw_decode(text, position)
        yield document


@cache
def pairs(source: str) -> tuple[Pair, ...]:
    """Every record of a source with its alert."""
    records: list[dict[str, Any]] = []
    if source == "suricata":
        for file in sorted(folder("suricata_frankhassanabad").rglob("alerts-only.json")):
            records += json.loads(file.read_text())
    elif source == "wazuh":
        lines = (folder("wazuh_ossec") / "ossec_insect.json").read_text().splitlines()
        records += [json.loads(line) for line in lines if line.strip()]
    else:
        for file in sorted(folder("sigma_regression").rglob("*.json")):
            records += documents(file.read_text("utf-8-sig"))
    found = []
    for record in records:
        name, alert, _ = normalize_payload(json.dumps(record), None, RECEIVED)
        assert name == source, record
        assert alert.mapping.method is MappingMethod.DECLARED
        found.append((record, alert))
    return tuple(found)


def value(alert: Alert, path: str) -> Any:
    node: Any = alert
    for name in path.split("."):
        node = getattr(node, name)
    return node


def same_instant(alert: Alert, text: str) -> bool:
    """Whether the event time is the instant that a text names; without a zone, UTC and noted."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        assert any("read as UTC" in note for note in alert.mapping.notes)
        instant = instant.replace(tzinfo=UTC)
    return alert.event.time == instant


def test_every_suricata_record_keeps_its_rule_time_source_and_destination() -> None:
    every = pairs("suricata")
    assert len(every) == 548
    for record, alert in every:
        assert alert.rule.id == str(record["alert"]["signature_id"])
        assert alert.rule.name == record["alert"]["signature"].strip()
        assert same_instant(alert, record["timestamp"])
        assert (alert.source.ip, alert.source.port) == (record["src_ip"], record["src_port"])
        assert (alert.destination.ip, alert.destination.port) == (
            record["dest_ip"],
            record["dest_port"],
        )
        assert alert.event.severity is not None
        if "url" in record.get("http", {}):
            assert alert.url is not None
            assert alert.url.endswith(record["http"]["url"].strip())


def test_every_wazuh_record_keeps_its_rule_time_source_and_destination() -> None:
    every = pairs("wazuh")
    assert len(every) == 497
    for record, alert in every:
        assert alert.rule.id == record["rule"]["id"]
        assert alert.rule.name == record["rule"]["description"]
        assert same_instant(alert, record["timestamp"])
        assert alert.host.name
        data = record.get("data", {})
        source = data.get("srcip") or data.get("src_ip")
        destination = data.get("dstip") or data.get("dest_ip")
        if source:
            assert alert.source.ip == source.split(":")[0]
        if destination:
            assert alert.destination.ip == destination.split(":")[0]
        if line := FAST.search(record["full_log"]):
            got = (alert.source.ip, alert.source.port, alert.destination.ip, alert.destination.port)
            assert got == (line[1], int(line[2]), line[3], int(line[4]))
        if "src_port" in data:
            assert (alert.source.port, alert.destination.port) == (
                int(data["src_port"]),
                int(data["dest_port"]),
            )
        if data.get("dstuser"):
            assert alert.user.name == data["dstuser"]


def test_every_sigma_regression_event_keeps_host_user_time_and_process() -> None:
    every = pairs("windows")
    assert len(every) == 238
    for record, alert in every:
        system = record["Event"]["System"]
        data = record["Event"].get("EventData") or {}
        assert alert.host.name == system["Computer"]
        assert same_instant(alert, system["TimeCreated"]["#attributes"]["SystemTime"])
        assert alert.rule.name
        if user := data.get("User"):
            assert alert.user.name == user.split("\\")[-1]
            assert alert.user.domain == user.split("\\")[0]
        if account := data.get("SubjectUserName"):
            assert alert.user.name == account
        if image := data.get("Image"):
            assert alert.process.executable == image
            assert alert.process.name == image.split("\\")[-1]
            assert alert.process.pid == data["ProcessId"]
        if data.get("CommandLine"):
            assert alert.process.command_line == data["CommandLine"].strip()
        if data.get("ParentImage") and data["ParentImage"] != "-":
            assert alert.process.parent.executable == data["ParentImage"]
        if "SHA256=" in str(data.get("Hashes")):
            wanted = re.search(r"SHA256=(\w+)", data["Hashes"])
            assert wanted is not None
            assert alert.file.hash.sha256 == wanted[1].lower()
        if target := data.get("TargetFilename"):
            assert alert.file.path == target
        if target := data.get("TargetObject"):
            assert alert.registry.path == target


@pytest.mark.parametrize("source", ["suricata", "wazuh", "windows"])
def test_the_share_of_filled_fields_is_printed(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    every = pairs(source)
    filled = Counter(
        path for _, alert in every for path in SHOWN if value(alert, path) not in (None, ())
    )
    mapped = sum(alert.mapping.mapped for _, alert in every)
    unmapped = sum(alert.mapping.unmapped for _, alert in every)
    with capsys.disabled():
        print(
            f"\n{source}: {len(every)} records, {mapped / (mapped + unmapped):.0%} of leaves mapped"
        )
        for path in SHOWN:
            print(f"  {path:<22} {filled[path] / len(every):>5.0%}")
    assert filled["event.time"] == len(every)
    assert filled["rule.id"] == len(every)


def test_real_unknown_formats_are_mapped_without_an_error() -> None:
    file = folder("panther_unit_tests") / "panther_tests.jsonl"
    logs = [json.loads(line)["log"] for line in file.read_text().splitlines()]
    logs = [log for log in logs if log][::7]
    times = 0
    for log in logs:
        _, alert, _ = normalize_payload(json.dumps(log), None, RECEIVED)
        assert alert.title
        times += alert.event.time is not None
    assert times / len(logs) > 0.7  # the others are inventory records and cut-down test logs
