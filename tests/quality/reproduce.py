"""Are verdicts reproduced? Alerts through a real server, verified, restarted, moved, verified.

    python -m tests.quality.reproduce --alerts 10000

Half-way, the indicators, the inventory and the catalogue of detections change, so that what stands
in the database at the end is not what the earlier verdicts were made from.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from tests.bench.load import alert
from tests.postgres import postgres
from tests.servers import Server, start, tocsin

from tocsin.store.database import Database
from tocsin.store.tables import metadata

PORTION = 500
LEAVE = frozenset({"audit_logs", "audit_heads"})  # chains are bound to their own database
COPIED = 1000

INDICATORS = [
    "type,value,threat_level,confidence,tlp",
    "ip,198.51.100.8,critical,0.9,amber",
    "ip,198.51.100.64/28,medium,0.4,green",
    "domain,www7.example.com,high,0.8,red",
    f"hash,{7:064x},high,0.95,amber",
]
CHANGED = [
    "type,value,threat_level,confidence,tlp",
    "ip,198.51.100.8,low,0.2,clear",
    "domain,www7.example.com,low,0.3,clear",
    "domain,www8.example.com,critical,0.9,amber",
    f"hash,{7:064x},low,0.5,clear",
    f"hash,{8:064x},critical,0.9,amber",
]
ASSETS = ["asset_id,hostname,ip,criticality,exposed,tags", "A-1,srv-7,10.20.0.8,critical,true,shop"]
RULE = """title: Example suspicious shell pattern {number}
id: 00000000-0000-4000-8000-{number:012}
level: {level}
status: stable
logsource: {{category: process_creation, product: windows}}
detection:
  selection: {{Image|endswith: cmd.exe}}
  condition: selection
falsepositives: [Administrators]
"""


class Verified(NamedTuple):
    """What one run of `tocsin verify --all` said."""

    code: int
    outcomes: dict[str, int]
    pointers: int
    worst: str


def verified(data: Path, **settings: str) -> Verified:
    """All verdicts of a database, verified by a process of its own."""
    done = tocsin(data, "verify", "--all", "--json", **settings)
    outcomes: dict[str, int] = {}
    pointers, worst = 0, done.stderr.decode() if done.returncode > 1 else ""
    for line in done.stdout.splitlines():
        proof = json.loads(line)
        outcomes[proof["outcome"]] = outcomes.get(proof["outcome"], 0) + 1
        pointers += proof["pointers"]
        if proof["outcome"] != "reproduced" and not worst:
            worst = line.decode()
    return Verified(done.returncode, outcomes, pointers, worst)


def send(server: Server, first: int, count: int) -> None:
    """Alerts of these numbers, one in fifty of them hostile."""
    with server.client() as client:
        for begin in range(first, first + count, PORTION):
            numbers = range(begin, min(begin + PORTION, first + count))
            body = [hostile(n) if n % 50 == 49 else alert(n) for n in numbers]
            answer = client.post("/api/v1/alerts", json=body)
            assert answer.status_code == 202, answer.text
    server.settle(600)


def hostile(number: int) -> dict[str, object]:
    """Text that breaks what is put together from text, and times with zones of their own."""
    return {
        "title": f"{{}} {{0}} %s %(x)s \n\u202e '; DROP TABLE alerts -- \x1b[31m {number}",
        "severity": "high",
        "timestamp": f"2026-03-04T12:00:00.{number:06}+05:45",
        "source_ip": "10.20.0.8",
        "destination_ip": "198.51.100.8",
        "command_line": f"powershell -enc {'SQBFAFgA' * 20} %PATH% {number}\n\tnext",
        "url": f"http://www{number % 9}.example.com/a?b={{c}}&d=%00",
        "file_hash": f"{number % 20:064x}",
        "user_name": "J\u00fcrgen \U0001f512",
    }


def know(server: Server, indicators: Sequence[str], level: str) -> None:
    """Indicators, an inventory and a catalogue, through the command line."""
    folder = server.data / "known"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "indicators.csv").write_text("\n".join(indicators) + "\n")
    (folder / "assets.csv").write_text("\n".join(ASSETS) + "\n")
    for number in range(0, 60, 7):
        rule = RULE.format(number=number, level=level)
        (folder / "rules" / f"{number}.yml").write_text(rule)
    for command in (
        ("intel", "import", folder / "indicators.csv", "--source", "a feed"),
        ("assets", "import", folder / "assets.csv"),
        ("detections", "import", folder / "rules" / "*.yml", "--catalogue", "examples"),
    ):
        done = tocsin(server.data, *command, **server.settings)
        assert done.returncode == 0, done.stderr.decode()


def moved(source: str, target: str) -> int:
    """Copy every row from one database to another, empty but migrated one; gives how many."""
    one, other = Database(source), Database(target)
    rows = 0
    try:
        with one._read_engine.connect() as old, other._write_engine.begin() as new:
            for table in metadata.sorted_tables:
                if table.name in LEAVE:
                    continue
                new.execute(sa.delete(table))
                for part in _parts(old.execute(sa.select(table)).mappings().all()):
                    new.execute(sa.insert(table), part)
                    rows += len(part)
    finally:
        one._shut()
        other._shut()
    return rows


def _parts(rows: Sequence[sa.RowMapping]) -> Iterator[list[dict[str, object]]]:
    for begin in range(0, len(rows), COPIED):
        yield [dict(row) for row in rows[begin : begin + COPIED]]


def run(folder: Path, url: str, alerts: int) -> Iterator[tuple[str, Verified]]:
    """Each stage with what verifying said; `url` is an empty PostgreSQL database."""
    data = folder / "data"
    server = start(data)
    try:
        know(server, INDICATORS, "high")
        send(server, 0, alerts // 2)
        know(server, CHANGED, "low")
        send(server, alerts // 2, alerts - alerts // 2)
        yield "on SQLite", verified(data)
    finally:
        server.stop()
    server = start(data)
    try:
        yield "after a restart", verified(data)
    finally:
        server.stop()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    assert tocsin(elsewhere, "db", "upgrade", database=url).returncode == 0
    moved(f"sqlite:///{server.database}", url)
    yield "moved to PostgreSQL", verified(elsewhere, database=url)


def main() -> int:
    """The counts, as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    count = parser.parse_args().alerts
    good = True
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        for stage, found in run(Path(folder), server.create("reproduce"), count):
            share = found.outcomes.get("reproduced", 0)
            print(f"{stage}: {share} of {count} verdicts reproduced, {found.pointers} pointers")
            if found.outcomes != {"reproduced": count}:
                good = False
                print(f"  {found.outcomes} {found.worst}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
