"""The commands that bring alerts in, as processes: send, triage, normalize."""

import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.flow.questions import query
from tests.servers import ROOT, Server, environment, tocsin

LISTED = [
    "index", "alert_id", "source", "verdict", "probability", "risk_score", "risk_level",
    "confidence", "requires_human_review", "analysis", "evidence", "recommended_actions", "gaps",
]  # fmt: skip
CEF = "CEF:0|Example|Wall|1|100|Denied {%d}|5|src=192.0.2.%d dst=198.51.100.7 act=deny"


def alert(number: int) -> dict[str, object]:
    return {"title": f"alert {number}", "severity": "high", "source_ip": f"192.0.2.{number}"}


def counts(text: bytes) -> tuple[int, ...]:
    found = re.search(rb"accepted (\d+), duplicates (\d+), refused (\d+)", text)
    assert found, text
    return tuple(map(int, found.groups()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine alerts in every form that files have, and three that cannot be used."""
    (tmp_path / "1.ndjson").write_text("".join(json.dumps(alert(n)) + "\n" for n in (1, 2)))
    (tmp_path / "2.json").write_text(json.dumps([alert(3), alert(4)]))
    pretty = "\n".join(json.dumps(alert(n), indent=2) for n in (5, 6))
    (tmp_path / "3.json").write_text(pretty)
    (tmp_path / "4.cef").write_text(f"{CEF % (7, 7)}\n{CEF % (8, 8)}\n")
    (tmp_path / "5.json.gz").write_bytes(gzip.compress(json.dumps(alert(9)).encode()))
    return tmp_path


def test_send_takes_every_form_of_file_by_name_and_glob(server: Server, folder: Path) -> None:
    pattern = str(folder / "*.*")
    first = tocsin(server.data, "send", pattern)
    assert (first.returncode, counts(first.stdout)) == (0, (9, 0, 0)), first.stderr
    again = tocsin(server.data, "send", folder / "1.ndjson", folder / "4.cef", folder / "5.json.gz")
    assert (again.returncode, counts(again.stdout)) == (0, (0, 5, 0)), "sending twice is no harm"
    server.settle()
    sources = query(server.database, "SELECT source, count(*) FROM alerts GROUP BY source")
    assert dict(map(tuple, sources))["cef"] == 2


def test_send_reads_standard_input_and_tells_what_was_refused(server: Server) -> None:
    lines = b'{"title": "from stdin"}\n{"broken\n"text"\n{"title": "after"}\n'
    done = tocsin(server.data, "send", "-", "--source", "piped", stdin=lines)
    assert (done.returncode, counts(done.stdout)) == (1, (2, 0, 2))
    complaints = done.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in complaints] == ["-", "-"]
    assert "alert 1" in complaints[0]
    assert "alert 2" in complaints[1]
    cut = tocsin(server.data, "send", "-", stdin=b'{\n "title": "whole"\n}\n{\n "title": oops\n}')
    assert (cut.returncode, counts(cut.stdout)) == (1, (1, 0, 1))
    assert b"cannot be read at character" in cut.stderr, "the reason is the file's, not a stand-in"


def test_send_goes_on_where_a_run_broke_off(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    file.write_text("".join(json.dumps({"title": f"resumed {n}"}) + "\n" for n in range(20_000)))
    command = [sys.executable, "-m", "tocsin", "send", str(file), "--batch", "20"]
    process = subprocess.Popen(
        command, env=environment(server.data), cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    marks = server.data / "sends"
    while not (marks.is_dir() and any(marks.iterdir())):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    rest = tocsin(server.data, "send", file)
    assert rest.returncode == 0, rest.stderr
    assert re.search(rb"going on after \d+ alerts", rest.stderr)
    accepted, _, refused = counts(rest.stdout)
    assert accepted < 20_000
    assert refused == 0
    titles = query(server.database, "SELECT count(*) FROM alerts WHERE raw_data LIKE '%resumed %'")
    assert titles[0][0] == 20_000
    assert not any(marks.iterdir()), "a file that was sent leaves no mark"


def test_send_without_a_key_or_a_server_says_so(tmp_path: Path) -> None:
    nokey = tocsin(tmp_path, "send", "-", stdin=b"{}")
    assert nokey.returncode == 2
    assert b"tocsin key create" in nokey.stderr
    began = time.monotonic()
    away = tocsin(
        tmp_path, "send", "-", "--key", "k", "--url", "http://127.0.0.1:9", "--patience", "0.5",
        stdin=b'{"title": "a"}',
    )  # fmt: skip
    assert away.returncode == 3
    assert time.monotonic() - began < 10
    assert b"does not answer" in away.stderr
    assert b"Traceback" not in nokey.stderr + away.stderr


def test_send_says_what_a_server_that_refuses_it_says(server: Server) -> None:
    done = tocsin(server.data, "send", "-", "--key", "wrong{}%s", stdin=b'{"title": "a"}')
    assert done.returncode == 2
    assert b"401" in done.stderr
    assert b"Traceback" not in done.stderr


def test_triage_gives_one_result_per_input_in_input_order(tmp_path: Path) -> None:
    records = [alert(1), "no alert", alert(2), alert(1), {"alert_id": "mine", **alert(3)}]
    lines = [json.dumps(record).encode() for record in records]
    lines.insert(3, b'{"broken')
    done = tocsin(tmp_path, "triage", "-", "--format", "ndjson", stdin=b"\n".join(lines))
    assert done.returncode == 1, "two could not be triaged"
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["index"] for result in results] == list(range(6))
    assert [("error" in result) for result in results] == [0, 1, 0, 1, 0, 0]
    good = [result for result in results if "error" not in result]
    assert [result["analysis"].count(f"alert {n}") > 0 for result, n in
            zip(good, (1, 2, 1, 3), strict=True)] == [True] * 4  # fmt: skip
    assert good[0]["alert_id"] == good[2]["alert_id"], "the same alert is the same alert"
    assert good[3]["alert_id"] == "mine"
    for result in good:
        assert [name for name in result if name in LISTED] == LISTED
        assert set(result) - set(LISTED) <= {"title", "impact", "model_version"}
        assert 0 <= result["probability"] <= 1
        assert 0 <= result["risk_score"] <= 100
        assert result["evidence"]
        assert result["analysis"]
    assert not (tmp_path / "tocsin.db").exists(), "nothing is kept unless asked for"


def test_triage_prints_tables_and_json_and_keeps_what_it_is_told_to(
    folder: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    files = [folder / "1.ndjson", folder / "4.cef"]
    table = tocsin(tmp_path, "triage", *files, "--format", "table", "--database", url)
    assert table.returncode == 0, table.stderr
    lines = table.stdout.decode().splitlines()
    assert len(lines) == 5
    assert "alert 1" in lines[1]
    assert "\x1b" not in table.stdout.decode()
    assert query(tmp_path / "kept.db", "SELECT count(*) FROM triage_results")[0][0] == 4
    again = tocsin(tmp_path, "triage", *files, "--format", "json", "--database", url)
    results = json.loads(again.stdout)
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    assert [result["source"] for result in results] == ["generic", "generic", "cef", "cef"]
    assert query(tmp_path / "kept.db", "SELECT count(*) FROM triage_results")[0][0] == 4


def test_a_file_that_ends_too_early_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"title": "a"}\n' * 9999)[:-20])
    done = tocsin(tmp_path, "triage", tmp_path / "cut.gz")
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert "cut.gz" in line


def test_normalize_writes_a_line_per_record_in_order(tmp_path: Path) -> None:
    lines = [json.dumps(alert(1)).encode(), b"7", b'{"{}%s', json.dumps(alert(2)).encode()]
    done = tocsin(tmp_path, "normalize", "-", stdin=b"\n".join(lines))
    assert done.returncode == 1
    first, second, third, fourth = map(json.loads, done.stdout.splitlines())
    assert first["alert"]["source"]["ip"] == "192.0.2.1"
    assert (second["index"], second["reason"]) == (1, "not_an_object")
    assert (third["index"], third["reason"]) == (2, "invalid_json")
    assert third["error"]
    assert (fourth["index"], fourth["alert"]["title"]) == (3, "alert 2")
    ecs = tocsin(tmp_path, "normalize", "-", "--format", "ecs", stdin=lines[0])
    assert ecs.returncode == 0
    document = json.loads(ecs.stdout)
    assert document["source"]["ip"] == "192.0.2.1"
    assert document["event"]["severity"] is not None


@pytest.mark.parametrize("command", ["triage", "normalize"])
def test_a_reader_that_goes_away_is_no_defect(tmp_path: Path, command: str) -> None:
    (tmp_path / "many.ndjson").write_text(
        "".join(json.dumps({**alert(n % 250), "n": n}) + "\n" for n in range(2500))
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tocsin", command, str(tmp_path / "many.ndjson")],
        env=environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["index"] == 0
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) in (0, 1)
    assert errors == b""


def test_a_setting_that_cannot_work_is_named(tmp_path: Path) -> None:
    wrong = {"batch": "many {}", "log_level": "loud", "port": "99999"}
    done = tocsin(tmp_path, "triage", "-", stdin=b"{}", **wrong)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    for setting in wrong:
        assert f"TOCSIN_{setting.upper()}" in line
