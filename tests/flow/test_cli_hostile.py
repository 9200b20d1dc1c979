"""Lines and answers that nobody would write by hand: each a clear error, nothing lost beside it."""

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.flow.questions import query
from tests.servers import Server, tocsin

BAD = {
    "bytes that are no UTF-8": b'"n \xff"',
    "a number out of range": b"1e999",
    "a number of many digits": b"9" * 5000,
    "half a surrogate pair": b'"\\ud800 n"',
    "a bare NUL": b'"n\x00"',
    "brackets without end": b"[" * 100_000,
}


def around(bad: bytes) -> list[bytes]:
    """A good alert, one that holds something bad, and another good one."""
    return [b'{"title": "before"}', b'{"title": ' + bad + b"}", b'{"title": "after"}']


def decided(lines: list[bytes]) -> list[bytes]:
    return [b'{"alert": ' + line + b', "disposition": "false_positive"}' for line in lines]


def test_send_tells_of_every_hostile_line_and_loses_none_beside_it(server: Server) -> None:
    lines = [b'{"title": "first of the hostile"}']
    for bad in BAD.values():
        lines += [b'{"title": ' + bad + b"}", b'{"title": "nul \\u0000 %d"}' % len(lines)]
    lines += [
        b"CEF:0|Example|Wall|1|100|Denied|5|src=192.0.2.9 msg=\xff\x00",
        b'[{"title": "an array within lines"}]',  # the first JSON after text: begins a body
        b'{"title": "last of the hostile"}',
    ]
    done = tocsin(server.data, "send", "-", stdin=b"\n".join(lines))
    assert done.returncode == 1
    good = len(BAD) + 3
    assert done.stdout.decode().startswith(f"accepted {good}, duplicates 0, refused {len(BAD) + 1}")
    told = [int(number) for number in re.findall(r"-: alert (\d+): ", done.stderr.decode())]
    assert told == [*range(1, 2 * len(BAD), 2), len(lines) - 2], done.stderr.decode()
    assert b"Traceback" not in done.stderr
    server.settle()
    kept = query(server.database, "SELECT raw_data FROM alerts")
    assert sum("of the hostile" in payload for (payload,) in kept) == 2


@pytest.mark.parametrize("layout", ["ndjson", "array"])
def test_an_import_of_decisions_refuses_hostile_rows_alone(tmp_path: Path, layout: str) -> None:
    bad = {name: value for name, value in BAD.items() if layout == "ndjson" or b"[[" not in value}
    bad = {name: value for name, value in bad.items() if layout == "ndjson" or b"\x00" not in value}
    rows = [row for value in bad.values() for row in decided(around(value))]
    content = b"\n".join(rows) if layout == "ndjson" else b"[" + b",\n".join(rows) + b"]"
    done = tocsin(tmp_path, "decisions", "import", "-", stdin=content)
    assert done.returncode == 1, done.stderr.decode()
    told = [int(number) for number in re.findall(r"-: row (\d+): ", done.stderr.decode())]
    assert told == list(range(2, 3 * len(bad), 3))
    # the same two good alerts again and again are two decisions
    assert f"2 imported (2 false_positive), {2 * len(bad) - 2} known before" in done.stdout.decode()
    assert b"Traceback" not in done.stderr


def test_normalize_gives_an_error_in_the_place_of_each_hostile_element(tmp_path: Path) -> None:
    values = [BAD["bytes that are no UTF-8"], BAD["half a surrogate pair"], b"1e999"]
    rows = [row for value in values for row in around(value)]
    done = tocsin(tmp_path, "normalize", "-", stdin=b"[" + b",\n".join(rows) + b"]")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in one for one in found] == [False, True, False] * len(values)
    cut = tocsin(tmp_path, "normalize", "-", stdin=b'[{"title": "before"}, {"title": "cut')
    before, error = map(json.loads, cut.stdout.splitlines())
    assert before["alert"]["title"] == "before"
    assert "character 22" in error["error"], "said once, and where"


def test_an_export_is_one_line_for_each_decision_however_alerts_were_laid_out(
    tmp_path: Path,
) -> None:
    alert = {"title": "pretty {}", "numbers": [1.50, 12345678901234567890], "text": "a\nb"}
    line = {"alert": json.dumps(alert, indent=2), "disposition": "true_positive"}
    tocsin(tmp_path, "decisions", "import", "-", stdin=json.dumps(line).encode())
    done = tocsin(tmp_path, "decisions", "export")
    (row,) = [json.loads(text) for text in done.stdout.splitlines()]
    assert row["alert"] == alert
    assert row["analyst"] == "", "nobody said who decided"


class Stranger(BaseHTTPRequestHandler):
    """Answers everything with the body it was given, as a proxy before a server might."""

    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def stranger(body: bytes) -> Iterator[str]:
    answers = type("Answers", (Stranger,), {"body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"alerts": "\xff"}',
        b"[" * 100_000,
        b'{"alerts": [{"index": 99, "status": "accepted"}]}',
        b'{"alerts": []}',
        b'{"alerts": [7]}',
        b'{"detail": {"\\u0000": 1e999}}',
        b"<html>{} %s \x1b[31m</html>",
    ],
)
def test_an_answer_that_is_not_tocsins_ends_send_with_a_sentence(
    tmp_path: Path, body: bytes
) -> None:
    with stranger(body) as url:
        done = tocsin(tmp_path, "send", "-", "--url", url, "--key", "k", stdin=b'{"title": "a"}')
    assert done.returncode == 2, done.stderr.decode()
    assert b"the server answered 200" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize("seed", ["-1", "4294967296", "{}"])
def test_a_seed_that_cannot_be_one_is_wrong_usage(tmp_path: Path, seed: str) -> None:
    done = tocsin(tmp_path, "learn", "--dry-run", "--seed", seed)
    assert done.returncode == 2
    assert b"Invalid value for '--seed'" in done.stderr
    assert not (tmp_path / "tocsin.db").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("db", "retention", "--older-than", "999999w"), b"nothing can be that old"),
        (("db", "retention", "--older-than", "\u0663d"), b"give a number and h, d or w"),
        (
            ("autoclose", "shadow", "--class", "a/b", "--rules", '{"a":' + "[" * 50_000),
            b"the rules cannot work",
        ),
    ],
    ids=["an age before the calendar", "foreign digits", "brackets without end"],
)
def test_an_argument_that_cannot_work_is_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], told: bytes
) -> None:
    done = tocsin(tmp_path, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_decision_on_nothing_is_refused(tmp_path: Path) -> None:
    lines = [
        b'{"disposition": "false_positive"}',
        b'{"alert_id": 5, "disposition": "false_positive"}',
        b'{"alert": {}, "reason": "why", "disposition": "false_positive"}',
    ]
    done = tocsin(tmp_path, "decisions", "import", "-", stdin=b"\n".join(lines))
    assert done.returncode == 1
    assert done.stderr.count(b"it holds no alert") == 3
    assert b"decisions: 0 imported" in done.stdout


def test_a_name_of_a_source_is_no_part_of_the_address(server: Server) -> None:
    done = tocsin(server.data, "send", "-", "--source", "a&source=b", stdin=b'{"title": "x"}')
    assert done.returncode == 2
    assert b"the server answered 422: source: 1" in done.stderr


def test_triage_on_a_database_waits_for_its_own_alerts_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first = tocsin(tmp_path, "triage", "-", "--database", url, stdin=b'{"title": "first"}')
    assert first.returncode == 0, first.stderr
    with sqlite3.connect(tmp_path / "shared.db") as database:  # another's, and leased for long
        database.execute(
            "INSERT INTO alert_work (alert_id, step, since, rung_at, lease_owner, lease_until) "
            "SELECT alert_id, 'normalize', ?1, ?1, 'another', ?1 + 60 FROM alerts",
            [time.time()],
        )
    began = time.monotonic()
    second = tocsin(tmp_path, "triage", "-", "--database", url, stdin=b'{"title": "second"}')
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["title"] == "second"
    assert time.monotonic() - began < 50, "the lease of the other alert is not waited for"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@h:abc/x",
        "postgresql://u@[::1/x",
        "postgresql://u@h/x?nosuch=1",
        "odd",
    ],
)
def test_a_url_that_names_no_database_is_a_line_and_no_traceback(url: str, tmp_path: Path) -> None:
    done = tocsin(tmp_path, "db", "upgrade", "--database", url)
    assert done.returncode == 2, done.stderr
    assert b"TOCSIN_DATABASE" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"hidden" not in done.stderr
