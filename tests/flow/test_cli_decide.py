"""`tocsin decide` as a process, on both databases."""

import re
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest
from tests.decided import HOSTILE, alert, counts, decided_server, sent, sql, state, url_of
from tests.servers import Server, tocsin


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("decide")
    with decided_server(
        request.param, folder, lambda: request.getfixturevalue("postgres_server")
    ) as server:
        yield server


def run(server: Server, *arguments: str) -> "CompletedProcess[bytes]":
    return tocsin(server.data, *arguments, database=url_of(server))


def test_one_is_decided_and_taken_back(running: Server) -> None:
    (alert_id,) = sent(running, [alert(1, "C-one")])
    done = run(running, "decide", alert_id, "false_positive", "--reason", HOSTILE)
    assert done.returncode == 0, done.stderr
    status, who, why, at = state(running, alert_id)
    assert (status, why, at) == ("closed", HOSTILE.strip(), True)
    assert str(who).startswith("cli:")
    (undo,) = re.findall(rb"tocsin decide --undo (\S+)", done.stdout)
    back = run(running, "decide", "--undo", undo.decode())
    assert back.returncode == 0, back.stderr
    assert state(running, alert_id) == ("triaged", None, None, False)
    twice = run(running, "decide", "--undo", undo.decode())
    assert (twice.returncode, twice.stdout) == (2, b"")
    assert b"undone before" in twice.stderr


def test_many_are_shown_decided_and_taken_back(running: Server) -> None:
    ids = sent(running, [{**alert(n, "C-many"), "title": f"{n} {HOSTILE}"} for n in range(5)])
    where = ("--where", "rule_id=C-many", "--where", "min_risk=0")
    shown = run(running, "decide", "benign_positive", *where, "--preview")
    assert shown.returncode == 0, shown.stderr
    assert b"5 alerts match" in shown.stdout
    assert b"\x1b" not in shown.stdout
    assert all(i.encode() in shown.stdout for i in ids)
    unsure = run(running, "decide", "benign_positive", *where, "--reason", "x")
    assert unsure.returncode == 2
    assert b"--yes" in unsure.stderr
    assert state(running, ids[0])[0] == "triaged"
    done = run(running, "decide", "benign_positive", *where, "--reason", "the scanner", "--yes")
    assert done.returncode == 0, done.stderr
    assert b"5 alerts are benign_positive" in done.stdout
    assert {state(running, i)[0] for i in ids} == {"closed"}
    assert counts(running, "host", "web-1")[1] >= 5
    (bulk,) = re.findall(rb"tocsin decide --undo (\S+)", done.stdout)
    assert run(running, "decide", "--undo", bulk.decode()).returncode == 0
    assert {state(running, i)[0] for i in ids} == {"triaged"}
    assert sql(running, "SELECT undone_by FROM bulk_decisions")[0]["undone_by"].startswith("cli:")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing{}%s", "false_positive", "--reason", "x"], b"there is no alert nothing{}%s"),
        (["a", "clean", "--reason", "x"], b"is no disposition"),
        (["a", "false_positive"], b"--reason"),
        (["a"], b"--help"),
        ([], b"--help"),
        (["false_positive", "--where", "rule=1", "--reason", "x"], b"rule"),
        (["false_positive", "--where", "rule_id", "--reason", "x"], b"FIELD=VALUE"),
        (["false_positive", "--where", "min_risk=many", "--reason", "x"], b"min_risk"),
        (["false_positive", "--where", "since=2026-01-01T00:00:00", "--reason", "x"], b"zone"),
        (["a", "false_positive", "--where", "rule_id=1", "--reason", "x"], b"no alert id"),
        (["--undo", "none"], b"no decision and no bulk decision"),
        (["\udcff", "false_positive", "--reason", "\udcff"], b"no such alert"),
        (["false_positive", "--where", "rule_id=\udcff", "--reason", "x"], b"NUL"),
        (["a", "--undo", "b"], b"nothing beside"),
        (["false_positive", "--where", "rule_id=none", "--reason", "x", "--yes"], b"no alert"),
    ],
)
def test_wrong_usage_is_a_clear_line(running: Server, arguments: list[str], says: bytes) -> None:
    done = run(running, "decide", *arguments)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert says in done.stderr
    assert b"Traceback" not in done.stderr
