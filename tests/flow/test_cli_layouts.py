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


CEF = "CEF:0|Example|Wall|1|100|Denied {%d}|5|src=192.0.2.1"
ONE, TWO = json.dumps(ALERTS[0]), json.dumps(ALERTS[1])
BROKEN = '{\n  "title": oops,\n  "a": {\n    "b": 1\n  }\n}'
# name: lines, and what is found: "error", or the id of the rule (None for text without one)
MIXED = {
    "text, then JSON": (["Nov 25 10:00:00 fw: {denied}", ONE, CEF % 1], [None, "R-1", "100"]),
    "JSON, then text": ([ONE, CEF % 1, TWO], ["R-1", "100", "R-2"]),
    "JSON with mistakes": (
        [ONE, '{"broken', '"a string"', "12", TWO],
        ["R-1", "error", "error", "error", "R-2"],
    ),
    "text in braces": (
        ["fw: denied", "{wall} denied", '{"cut": ', ONE],
        [None, None, None, "R-1"],
    ),
    "pretty between text": (
        [CEF % 1, json.dumps(ALERTS[0], indent=2), CEF % 2, json.dumps(ALERTS[1], indent=2)],
        ["100", "R-1", "100", "R-2"],
    ),
    "pretty, then text": (
        [json.dumps(ALERTS[0], indent=2), "[2026-11-25] sshd: a line", CEF % 1],
        ["R-1", None, "100"],
    ),
    "broken, then text": (
        [BROKEN, CEF % 1, "[1, 2] is text", '{"cut', CEF % 2],
        ["error", "100", None, "error", "100"],
    ),
    "a number of 5,000 digits": (['{"n":\n  ' + "9" * 5000 + "\n}", ONE], ["error", "R-1"]),
}


@pytest.mark.parametrize("name", MIXED)
def test_json_and_text_are_told_apart_line_by_line(tmp_path: Path, name: str) -> None:
    lines, wanted = MIXED[name]
    done = tocsin(tmp_path, "normalize", "-", stdin=("\ufeff" + "\n".join(lines)).encode())
    assert done.returncode == int("error" in wanted), done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [
        "error" if "error" in one else one["alert"].get("rule", {}).get("id") for one in found
    ] == wanted


def test_a_damaged_gzip_file_is_one_clear_sentence(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LAYOUTS["ndjson"] * 50))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) // 2)
    file = tmp_path / "alerts.gz"
    file.write_bytes(packed)
    done = tocsin(tmp_path, "normalize", file)
    assert done.returncode == 2
    assert str(file).encode() in done.stderr
    assert b"Traceback" not in done.stderr


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


HITS = [{"_index": "alerts", "_id": str(n), "_source": alert} for n, alert in enumerate(ALERTS)]
EXPORTS = {
    "CloudTrail": {"Records": ALERTS},
    "Graph": {"@odata.context": "https://example.com/$metadata", "value": ALERTS},
    "Elasticsearch": {"took": 3, "timed_out": False, "hits": {"total": {"value": 5}, "hits": HITS}},
    "Splunk": {"preview": False, "init_offset": 0, "messages": [], "results": ALERTS},
    "GuardDuty": {"Findings": ALERTS, "NextToken": "abc"},
    "a page": {"total": 5, "page": 1, "alerts": ALERTS},
}


@pytest.mark.parametrize("product", EXPORTS)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_that_wraps_its_list_loses_no_alert(
    tmp_path: Path, product: str, indent: int | None
) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps(EXPORTS[product], indent=indent))
    done = tocsin(tmp_path, "normalize", file)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["alert"]["rule"]["id"] for line in lines] == [a["rule_id"] for a in ALERTS]


def test_lines_that_wrap_one_result_each_are_read(tmp_path: Path) -> None:
    file = tmp_path / "export.ndjson"
    file.write_text("\n".join(json.dumps({"preview": False, "result": a}) for a in ALERTS))
    done = tocsin(tmp_path, "normalize", file)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["alert"]["rule"]["id"] for line in lines] == [a["rule_id"] for a in ALERTS]


def test_an_alert_that_lists_its_events_stays_one(tmp_path: Path) -> None:
    alert = {"title": "Many logons failed", "host": "a", "alerts": [{"n": 1}, {"n": 2}]}
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(alert))
    done = tocsin(tmp_path, "normalize", file)
    assert len(done.stdout.splitlines()) == 1


def test_text_in_a_table_without_a_header_stays_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_text(
        "1,2026/03/01 10:00:00,THREAT,192.0.2.1\n1,2026/03/01 10:00:01,THREAT,192.0.2.2"
    )
    done = tocsin(tmp_path, "normalize", file)
    assert len(done.stdout.splitlines()) == 2
