"""However a file of JSON alerts is laid out, every command reads the same alerts."""

import gzip
import json
from pathlib import Path

import pytest
from tests.servers import tocsin

ALERTS = [
    {"title": f"Alert {n}", "severity": "high", "source_ip": f"192.0.2.{n}", "rule_id": f"R-{n}"}
    for n in range(1, 6)
]
PRETTY = "\n".join(json.dumps(alert, indent=2) for alert in ALERTS).encode()
LAYOUTS = {
    "array": json.dumps(ALERTS).encode(),
    "pretty array": json.dumps(ALERTS, indent=4).encode(),
    "ndjson": "\n".join(map(json.dumps, ALERTS)).encode(),
    "pretty documents": PRETTY,
    "gzip": gzip.compress(PRETTY),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_normalize_reads_every_layout(tmp_path: Path, layout: str, piped: bool) -> None:
    file = tmp_path / "alerts.json"
    file.write_bytes(LAYOUTS[layout])
    stdin = LAYOUTS[layout] if piped else None
    done = tocsin(tmp_path, "normalize", "-" if piped else file, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["alert"]["rule"]["id"] for line in lines] == [a["rule_id"] for a in ALERTS]
    assert "source.ip" in done.stderr.decode()
    assert "100%" in done.stderr.decode()


def test_triage_reads_pretty_documents(tmp_path: Path) -> None:
    file = tmp_path / "alerts.json"
    file.write_bytes(PRETTY)
    done = tocsin(tmp_path, "triage", file, "--format", "ndjson")
    assert done.returncode == 0, done.stderr.decode()
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["title"] for result in results] == [alert["title"] for alert in ALERTS]


def test_the_real_suricata_files_are_normalised_to_the_last_record(
    tmp_path: Path, shared: Path
) -> None:
    files = sorted((shared / "suricata_frankhassanabad").glob("samples/*/alerts-only.json"))
    assert files
    done = tocsin(tmp_path, "normalize", *files)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    records = [record for file in files for record in json.loads(file.read_bytes())]
    assert len(lines) == len(records)
    for line, record in zip(lines, records, strict=True):
        assert line["alert"]["rule"]["id"] == str(record["alert"]["signature_id"])
        assert line["alert"]["source"]["ip"] == record["src_ip"] or record["src_ip"] == "0.0.0.0"
