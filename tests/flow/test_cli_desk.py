"""The commands for the desk, as processes: explain, watch, keys, imports, doctor, help."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.flow.questions import ALERTS, accepted, query
from tests.servers import Server, tocsin
from typer.main import get_command
from typer.testing import CliRunner

from tocsin.cli.main import app

HOSTILE = "\x1b[2J{evil} 100%\x07 [bold]%s\u202e"


def commands() -> Iterator[list[str]]:
    root = get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]  # it is a group
        children = getattr(command, "commands", None)
        yield from ([name, child] for child in children) if children else ([name],)


@pytest.fixture(scope="module")
def sent(server: Server) -> str:
    alert = {
        "title": HOSTILE, "user_name": HOSTILE, "host_name": HOSTILE, "rule_id": HOSTILE,
        "url": f"http://example.com/{HOSTILE}", "command_line": HOSTILE, "file_name": HOSTILE,
        "severity": "critical", "source_ip": "192.0.2.55",
    }  # fmt: skip
    with server.client() as client:
        (alert_id,) = accepted(client.post(ALERTS, json=alert))
    server.settle()
    return alert_id


def test_explain_shows_the_waterfall_and_steers_no_terminal(server: Server, sent: str) -> None:
    done = tocsin(server.data, "explain", sent)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    for control in ("\x1b", "\x07", "\u202e"):
        assert control not in text
    assert r"\x1b[2J{evil} 100%\x07 [bold]%s" in text.splitlines()[0]
    assert sent in text
    with server.client() as client:
        verdict = client.get(f"{ALERTS}/{sent}").json()["verdict"]
    for item in verdict["evidence"]:
        assert f"{item['weight']:+.2f}" in text
    assert f"risk {verdict['risk_score']:.1f}" in text


def test_explain_of_nothing_is_a_clear_line(server: Server) -> None:
    done = tocsin(server.data, "explain", "nothing{}%s\x1b")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"there is no alert" in done.stderr
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_watch_waits_until_all_is_settled_and_shows_the_newest(server: Server, sent: str) -> None:
    alerts = [{"title": f"watched {number}", "source_ip": "192.0.2.9"} for number in range(400)]
    with server.client() as client:
        accepted(client.post(ALERTS, json=alerts))
    done = tocsin(server.data, "watch", "--settled", "--rows", "5")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "0 in flight" in text
    assert text.count("watched") == 5
    riskiest = tocsin(server.data, "watch", "--once", "--rows", "500", "--sort", "riskiest")
    assert sent in riskiest.stdout.decode()
    assert "\x1b" not in riskiest.stdout.decode()


def test_a_key_is_made_listed_and_revoked(server: Server) -> None:
    made = tocsin(server.data, "key", "create", "sensor {1}", "--scope", "read", "--days", "30")
    assert made.returncode == 0
    (secret,) = made.stdout.decode().splitlines()
    assert made.stderr == b""
    (row,) = query(server.database, "SELECT * FROM api_keys WHERE name = 'sensor {1}'")
    assert secret not in [str(value) for value in tuple(row)], "only its hash is stored"
    with httpx2.Client(base_url=server.url) as client:
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.get(ALERTS, headers=headers).status_code == 200
    shown = tocsin(server.data, "key", "list").stdout.decode()
    assert row["key_id"] in shown
    assert "sensor {1}" in shown
    assert secret not in shown
    assert tocsin(server.data, "key", "revoke", row["key_id"]).returncode == 0
    twice = tocsin(server.data, "key", "revoke", row["key_id"])
    assert twice.returncode == 2
    assert b"no active key" in twice.stderr


def test_the_database_is_made_and_examined(tmp_path: Path) -> None:
    first = tocsin(tmp_path, "db", "upgrade")
    assert first.returncode == 0
    assert b"empty ->" in first.stdout
    again = tocsin(tmp_path, "db", "upgrade")
    assert (again.returncode, b"nothing to do" in again.stdout) == (0, True)
    well = tocsin(tmp_path, "doctor")
    assert well.returncode == 0
    assert b"balance: 0 received" in well.stdout
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ill = tocsin(blocked / "data", "doctor")
    assert ill.returncode == 1
    assert b"FAIL" in ill.stdout
    assert b"Traceback" not in ill.stderr


def test_a_database_that_cannot_be_is_named(tmp_path: Path) -> None:
    for url in ("mysql://user:secret@host/name", "sqlite://"):
        done = tocsin(tmp_path, "db", "upgrade", "--database", url)
        assert done.returncode == 2
        (line,) = done.stderr.decode().splitlines()
        assert "TOCSIN_DATABASE" in line
        assert "secret" not in line


def test_assets_are_imported_updated_and_listed(tmp_path: Path) -> None:
    good = "asset_id,hostname,ip,criticality\nA-1,h1,10.0.0.1,high\n"
    done = tocsin(tmp_path, "assets", "import", "-", stdin=f"{good}A-2,h2,{{no}}%s,high\n".encode())
    assert (done.returncode, done.stdout) == (1, b"assets: 1 inserted, 0 updated, 1 refused\n")
    assert b"{no}%s" in done.stderr, "the row that was refused is named"
    again = tocsin(tmp_path, "assets", "import", "-", stdin=good.encode())
    assert (again.returncode, again.stdout) == (0, b"assets: 0 inserted, 1 updated, 0 refused\n")
    shown = tocsin(tmp_path, "assets", "list", "--ndjson")
    (row,) = map(json.loads, shown.stdout.splitlines())
    assert (row["asset_id"], row["criticality"]) == ("A-1", "high")


def test_users_and_indicators_are_imported(tmp_path: Path) -> None:
    users = b"user_id,user_name,email\nU-1,jdoe,jdoe@example.com\n"
    done = tocsin(tmp_path, "users", "import", "-", stdin=users)
    assert (done.returncode, done.stdout) == (0, b"users: 1 inserted, 0 updated, 0 refused\n")
    shown = tocsin(tmp_path, "users", "list", "--ndjson")
    assert json.loads(shown.stdout)["email"] == "jdoe@example.com"
    intel = b"type,value\nip,198.51.100.66\nip,no address {}\n"
    done = tocsin(tmp_path, "intel", "import", "-", "--source", "test", stdin=intel)
    assert done.returncode == 1
    assert b"1 inserted, 0 updated, 1 refused" in done.stdout
    rows = query(tmp_path / "tocsin.db", "SELECT value, source FROM indicators")
    assert [tuple(row) for row in rows] == [("198.51.100.66", "test")]


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    text = " ".join(done.stdout.split())
    assert f"Usage: tocsin {' '.join(command)}" in text
    assert len(text) > 150
    assert "TODO" not in text


def test_the_exit_codes_are_documented() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    for code in ("0 done", "1 done, but", "2 wrong usage", "3 a server"):
        assert code in text
    assert CliRunner().invoke(app, ["triage", "--nonsense"]).exit_code == 2
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2
