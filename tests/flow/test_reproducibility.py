"""`tocsin verify` and `tocsin export` as processes, and the same over HTTP."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.flow.questions import ALERTS, is_problem, query
from tests.quality.reproduce import CHANGED, INDICATORS, know, run, send
from tests.servers import Server, serving, tocsin

ODD = "nothing {} %s\x1b[31m \u202e"


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with sixty alerts, after which everything that triage was told has changed."""
    with serving(tmp_path_factory.mktemp("proven")) as server:
        know(server, INDICATORS, "high")
        send(server, 0, 60)
        know(server, CHANGED, "low")
        send(server, 60, 61)  # the same indicators again: their rows are written anew
        yield server


@pytest.fixture
def told(proven: Server) -> str:
    """An alert whose verdict rests on intelligence that has changed since."""
    found = query(
        proven.database,
        "SELECT alert_id FROM triage_results WHERE evidence LIKE '%_listed%' "
        "AND inputs LIKE '%critical%' AND inputs LIKE '%\"amber\"%' ORDER BY alert_id",
    )
    return str(found[0][0])


def change(server: Server, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(server.database, timeout=30)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


@pytest.mark.timeout(600)  # three servers' worth of starts, and imports between them
def test_verdicts_are_reproduced_after_a_restart_and_on_the_other_database(
    tmp_path: Path, postgres_url: str
) -> None:
    stages = dict(run(tmp_path, postgres_url, 300))
    assert list(stages) == ["on SQLite", "after a restart", "moved to PostgreSQL"]
    for stage, found in stages.items():
        assert found.outcomes == {"reproduced": 300}, (stage, found.worst)
        assert found.code == 0
        assert found.pointers > 300
    rows = query(
        tmp_path / "data" / "tocsin.db",
        "SELECT count(*), count(inputs), sum(evidence LIKE '%prior.detection%'), "
        "sum(inputs LIKE '%\"detection\"%') FROM triage_results",
    )
    everything, kept, known, detections = rows[0]
    assert everything == 300
    assert 0 < kept < 150, "most alerts keep nothing"
    assert known == detections > 0


def test_one_verdict_is_reproduced_and_told(proven: Server, told: str) -> None:
    done = tocsin(proven.data, "verify", told)
    assert done.returncode == 0, done.stderr
    assert f"{told} reproduced".encode() in done.stdout
    assert b"1 verdicts: 1 reproduced" in done.stdout
    with proven.client() as client:
        answer = client.get(f"{ALERTS}/{told}/verify")
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "reproduced"


def test_it_needs_what_was_kept_with_the_verdict(proven: Server, told: str) -> None:
    (kept,) = query(proven.database, "SELECT inputs FROM triage_results WHERE alert_id = ?", told)
    put = "UPDATE triage_results SET inputs = ? WHERE alert_id = ?"
    change(proven, put, None, told)
    try:
        done = tocsin(proven.data, "verify", told)
    finally:
        change(proven, put, kept["inputs"], told)
    assert done.returncode == 1
    assert b"differs" in done.stdout


@pytest.mark.parametrize(
    ("column", "value", "path"),
    [
        ("analysis_result", "All is well \x1b[31m {} %s", "/verdict/analysis"),
        ("probability", 0.0001, "/verdict/probability"),
        ("verdict", "false_positive", "/verdict/verdict"),
        ("gaps", '[{"step":"intel","subject":"x","reason":"absent"}]', "/"),
    ],
)
def test_a_changed_row_is_named_field_by_field(
    proven: Server, told: str, column: str, value: object, path: str
) -> None:
    (row,) = query(proven.database, "SELECT * FROM triage_results WHERE alert_id = ?", told)
    put = f"UPDATE triage_results SET {column} = ? WHERE alert_id = ?"
    change(proven, put, value, told)
    try:
        done = tocsin(proven.data, "verify", told)
        with proven.client() as client:
            answer = client.get(f"{ALERTS}/{told}/verify").json()
    finally:
        change(proven, put, row[column], told)
    assert done.returncode == 1
    assert f"  {path}".encode() in done.stdout
    assert b"stored:" in done.stdout
    assert b"\x1b" not in done.stdout
    assert answer["outcome"] == "differs"
    assert any(one["path"].startswith(path) for one in answer["differences"])


def test_verdicts_of_other_weights_say_so(proven: Server, told: str) -> None:
    (row,) = query(
        proven.database, "SELECT model_version FROM triage_results WHERE alert_id = ?", told
    )
    put = "UPDATE triage_results SET model_version = ? WHERE alert_id = ?"
    change(proven, put, "expert-1+000000000000", told)
    try:
        done = tocsin(proven.data, "verify", "--all")
    finally:
        change(proven, put, row["model_version"], told)
    assert done.returncode == 1
    assert b"cannot be re-derived by this version: made by expert-1+000000000000" in done.stdout
    assert b"121 verdicts: 120 reproduced, 1 other version" in done.stdout


def test_a_decision_changes_nothing_of_the_verdict(proven: Server, told: str) -> None:
    with proven.client() as client:
        answer = client.post(
            f"{ALERTS}/{told}/disposition",
            json={"disposition": "true_positive", "reason": "seen {} %s"},
        )
    assert answer.status_code < 300, answer.text
    assert tocsin(proven.data, "verify", told).returncode == 0


def test_some_of_the_newest_can_be_asked_for(proven: Server) -> None:
    done = tocsin(proven.data, "verify", "--since", "2020-01-01", "--limit", "7", "--json")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 7
    none = tocsin(proven.data, "verify", "--since", "2100-01-01T00:00+00:00")
    assert (none.returncode, none.stdout[:10]) == (0, b"0 verdicts")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give alert ids"),
        (("--all", "x"), "give alert ids"),
        ((ODD,), "there is no alert"),
        (("--since", ODD), "--since"),
        (("x", "--limit", "1"), "--limit"),
        (("--all", "--public-key", "x"), "--public-key"),
        (("--bundle", "none.zip"), "none.zip"),
        (("--bundle", __file__), "no zip archive"),
    ],
)
def test_wrong_questions_get_one_clear_line(
    proven: Server, arguments: tuple[str, ...], said: str
) -> None:
    done = tocsin(proven.data, "verify", *arguments)
    assert done.returncode == 2
    assert said.encode() in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr


def test_a_bundle_is_checked_offline(proven: Server, told: str, tmp_path: Path) -> None:
    file = tmp_path / "evidence.zip"
    done = tocsin(proven.data, "export", told, "-o", file)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert (proven.data / "signing.key").stat().st_mode & 0o777 == 0o600
    key = tocsin(proven.data, "export", "--public-key")
    (tmp_path / "key.pem").write_bytes(key.stdout)
    fingerprint = key.stderr.split()[-1].decode()
    assert fingerprint.encode() in done.stderr
    elsewhere = tmp_path / "elsewhere"
    nowhere = "postgresql://127.0.0.1:1/none"
    for given, conclusion, code in (
        ((), b"internally consistent, signer not verified", 0),
        (("--public-key", fingerprint), b"verified", 0),
        (("--public-key", tmp_path / "key.pem"), b"verified", 0),
        (("--public-key", "sha256:" + "0" * 64), b"SIGNED BY ANOTHER KEY", 1),
    ):
        checked = tocsin(elsewhere, "verify", "--bundle", file, *given, database=nowhere)
        assert checked.returncode == code, checked.stderr
        assert checked.stdout.splitlines()[-1].startswith(conclusion)
        assert b"not proven:" in checked.stdout
        assert b"TLP:AMBER" in checked.stdout
    assert not elsewhere.exists(), "checking writes nothing"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert tocsin(elsewhere, "verify", "--bundle", file).returncode in (1, 2)


def test_the_api_gives_the_same_bundle(proven: Server, told: str, tmp_path: Path) -> None:
    with proven.client() as client:
        answer = client.get(f"{ALERTS}/{told}/bundle")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/zip"
        assert told in answer.headers["content-disposition"]
        for what in ("bundle", "verify"):
            is_problem(client.get(f"{ALERTS}/nothing%7B%7D%00/{what}"), 404, "not_found")
        client.headers.pop("Authorization")
        assert client.get(f"{ALERTS}/{told}/bundle").status_code == 401
        assert client.get(f"{ALERTS}/{told}/verify").status_code == 401
    file = tmp_path / "b.zip"
    file.write_bytes(answer.content)
    found = json.loads(tocsin(proven.data, "verify", "--bundle", file, "--json").stdout)
    assert found["proof"]["outcome"] == "reproduced"
    exported = tocsin(proven.data, "export", told, "-o", "-")
    other = tmp_path / "c.zip"
    other.write_bytes(exported.stdout)
    again = json.loads(tocsin(proven.data, "verify", "--bundle", other, "--json").stdout)
    both = [one["manifest"]["members"] for one in (found, again)]
    assert both[0] == both[1]
    assert found["key"] == again["key"]


def test_export_says_what_is_wrong(proven: Server, told: str, tmp_path: Path) -> None:
    for arguments, said in (
        ((), "ALERT_ID -o FILE"),
        ((told,), "ALERT_ID -o FILE"),
        ((ODD, "-o", tmp_path / "x"), "there is no alert"),
        ((told, "-o", tmp_path / "no" / "x"), "No such file"),
        ((told, "--public-key"), "not both"),
    ):
        done = tocsin(proven.data, "export", *arguments)
        assert done.returncode == 2, done.stdout
        assert said.encode() in done.stderr
        assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_hostile_alerts_go_into_bundles_as_they_came(proven: Server, tmp_path: Path) -> None:
    found = query(
        proven.database, "SELECT alert_id FROM alerts WHERE title LIKE '%DROP TABLE%' LIMIT 1"
    )
    file = tmp_path / "hostile.zip"
    assert tocsin(proven.data, "export", found[0][0], "-o", file).returncode == 0
    done = tocsin(proven.data, "verify", "--bundle", file)
    assert done.returncode == 0, done.stdout
    assert b"\x1b" not in done.stdout
