"""Alerts taken through the whole pipeline by hand, and a day on which two intruders are at work."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.flow.test_runner import accept

from tocsin.app import Store, resources
from tocsin.bus.memory import MemoryBus
from tocsin.model import AssetRecord
from tocsin.pipeline import STEPS, TO_VERDICT
from tocsin.runner import Worker
from tocsin.settings import Settings

AFTER = STEPS[-1]
DAY = datetime(2026, 3, 4, tzinfo=UTC)
SCANNER = "10.9.9.9"
BATCH = 40


async def judge(store: Store, settings: Settings, alerts: Sequence[object]) -> list[str]:
    """Alerts up to their verdicts; what follows waits."""
    ids = [answer.alert_id for answer in await accept(store, settings, alerts)]
    worker = Worker(TO_VERDICT, resources(settings, store), store.dossiers, MemoryBus(), settings)
    await worker.process(ids)
    return ids


async def follow(store: Store, settings: Settings, ids: Sequence[str]) -> None:
    """What follows their verdicts."""
    worker = Worker([AFTER], resources(settings, store), store.dossiers, MemoryBus(), settings)
    for start in range(0, len(ids), BATCH):
        await worker.process(ids[start : start + BATCH])


async def drive(store: Store, settings: Settings, alerts: Sequence[object]) -> list[str]:
    """Alerts through everything, in batches."""
    found: list[str] = []
    for start in range(0, len(alerts), BATCH):
        ids = await judge(store, settings, alerts[start : start + BATCH])
        await follow(store, settings, ids)
        found += ids
    return found


def attack_alert(minute: float, title: str, **fields: Any) -> dict[str, Any]:
    """An alert that triage takes for an attack, so many minutes into the day."""
    when = DAY + timedelta(minutes=minute)
    return {
        "title": title,
        "severity": "high",
        "timestamp": when.isoformat(),
        "rule_id": "R-" + str(sum(title.encode()) % 997),
        **fields,
    }


@dataclass(frozen=True)
class Told:
    """An alert of the day with what it really belongs to; None: nothing."""

    alert: dict[str, Any]
    story: str | None


def intrusion(
    name: str, start: float, hosts: Sequence[str], user: str, outside: str, file: str
) -> list[Told]:
    """An attack from the lure to the leak over three machines and eight hours."""
    first, second, third = hosts
    told = [
        (0, "Phishing link led to a trojan", first, {"technique_id": "T1566.002"}),
        (4, "Trojan dropper was started", first, {"technique_id": "T1204.002"}),
        (6, "Malware loader beacon", first, {"technique_id": "T1071.001"}),
        (31, "Malware command and control beacon", first, {"technique_id": "T1071.001"}),
        (55, "Mimikatz credential dumping", first, {"technique_id": "T1003.001"}),
        (90, "Lateral movement by psexec with malware", second, {"technique_id": "T1021.002"}),
        (97, "Malware loader beacon", second, {"technique_id": "T1071.001"}),
        (120, "Mimikatz credential dumping", second, {"technique_id": "T1003.001"}),
        (200, "Lateral movement by psexec with malware", third, {"technique_id": "T1021.002"}),
        (260, "Malware archive was staged", third, {"technique_id": "T1074"}),
        (300, "Malware command and control exfiltration", third, {"technique_id": "T1041"}),
        (470, "Ransomware note found", third, {"technique_id": "T1486"}),
    ]
    found = []
    for minute, title, host, more in told:
        fields: dict[str, Any] = {"host_name": host, "user_name": user, **more}
        if "beacon" in title or "exfiltration" in title:
            fields["destination_ip"] = outside
        if "loader" in title or "dropper" in title:
            fields["file_hash"] = file
        found.append(Told(attack_alert(start + minute, title, **fields), name))
    return found


def noise(chance: random.Random, count: int) -> list[Told]:
    """Single detections all over the place, most of them of no consequence."""
    found = []
    for number in range(count):
        machine = chance.randrange(150)
        person = machine if chance.random() < 0.9 else chance.randrange(150)
        host, user = f"ws-{machine}", f"user{person}"
        serious = number % 6 == 0
        alert = attack_alert(
            chance.uniform(0, 1440),
            "Trojan found by the scanner" if serious else "Policy: a new device was attached",
            host_name=host,
            user_name=user,
            destination_ip="10.0.0.53" if number % 2 else f"198.18.{number % 200}.{number % 250}",
        )
        found.append(Told({**alert, "severity": "high" if serious else "low"}, None))
    return found


def scanning(chance: random.Random) -> list[Told]:
    """Our own scanner tries exploits everywhere; a stranger tries all that is exposed."""
    ours = [
        attack_alert(
            600 + number / 2, "Exploit attempt: malware upload", source_ip=SCANNER,
            destination_ip=f"10.1.{number % 150}.5", host_name=f"ws-{number % 150}",
        )
        for number in range(120)
    ]  # fmt: skip
    theirs = [
        attack_alert(
            300 + chance.uniform(0, 240), "Exploit attempt: malware upload",
            source_ip="203.0.113.250", destination_ip=f"10.1.{number % 150}.5",
            host_name=f"ws-{number % 150}",
        )
        for number in range(80)
    ]  # fmt: skip
    return [Told(alert, None) for alert in (*ours, *theirs)]


def day(seed: int = 7) -> list[Told]:
    """Two intrusions, noise and scanners, in the order of time."""
    chance = random.Random(seed)
    told = [
        *intrusion("first", 420, ("ws-17", "srv-3", "srv-9"), "dora", "203.0.113.44", "a1" * 32),
        *intrusion("second", 500, ("ws-88", "srv-5", "srv-12"), "emil", "203.0.113.91", "b2" * 32),
        *noise(chance, 600),
        *scanning(chance),
    ]
    return sorted(told, key=lambda each: str(each.alert["timestamp"]))


async def know_the_scanner(store: Store) -> None:
    """The inventory says which machine the scanner is."""
    scanner = AssetRecord(asset_id="scan-1", ip=SCANNER, tags=("vulnerability-scanner",))
    await store.inventory.upsert_assets([scanner])
