"""Hostile input through the front door: never a 500, never a parked alert, never a changed byte."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.flow.questions import (
    ALERTS,
    NDJSON,
    TEXT,
    accepted,
    has_no_trouble,
    is_problem,
    query,
    stored,
)
from tests.servers import Server, tocsin

TEXTS = (
    "alert_type", "title", "description", "protocol", "asset_id", "host_name", "user_name",
    "user_id", "user_email", "file_name", "file_path", "file_hash", "url", "dns_query",
    "process_name", "process_path", "command_line", "parent_process", "rule_id", "rule_name",
    "tactics", "techniques", "email_sender", "email_recipients", "email_subject", "action",
    "outcome", "severity", "timestamp", "source_ip", "destination_ip", "source_port", "ports",
    "tags",
)  # fmt: skip
NOTHING = ("", "-", "--", "null", "(null)", "none", "nil", "undefined", "nan", "{}")  # words for it
LONGEST = {"title": 500, "description": 32_768}
KEPT = ("title", "description")  # columns that hold what was sent, and nothing else
ODD = [
    "{", "}", "{}", "{0}", '{"a": 1}', "%", "%s %(x)s %d", "\\", "\n", "\r\n\t", "\0", "a\0b",
    "\x1b[31mred\x1b[0m", "\u202egnp.exe", "\ufeff", "\uffff", "\U0010ffff", "é" * 300,
    "' OR '1'='1", "'; DROP TABLE alerts; --", "$(reboot)", "${jndi:ldap://x}", "[/bold]",
    "<script>alert(1)</script>", "{{7*7}}", "=1+1", "../../etc/passwd", "NaN", "-0", "1e999",
    "x" * 1000, " " * 1000,
]  # fmt: skip


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as opened:
        yield opened


def everywhere(text: str) -> dict[str, object]:
    return dict.fromkeys(TEXTS, text)


def send_in_every_field(client: httpx2.Client, texts: list[str]) -> dict[str, str]:
    """Alerts with one text in every field of the generic form; gives the texts by id."""
    body = "\n".join(json.dumps(everywhere(text)) for text in texts)
    return dict(
        zip(accepted(client.post(ALERTS, content=body, headers=NDJSON)), texts, strict=True)
    )


def check_stored(server: Server, texts: dict[str, str]) -> None:
    rows = query(server.database, "SELECT * FROM alerts")
    found = {row["alert_id"]: row for row in rows if row["alert_id"] in texts}
    assert set(found) == set(texts)
    for alert_id, text in texts.items():
        row = found[alert_id]
        assert json.loads(row["raw_data"]) == everywhere(text)
        assert row["status"] == "triaged", text
        for column in KEPT:
            kept, sent = (row[column] or "").strip(), text.replace("\0", "\ufffd").strip()
            if sent.lower() not in NOTHING:
                assert kept == sent[: LONGEST[column]].strip(), column


def test_the_whole_json_suite_is_answered_without_a_defect(
    client: httpx2.Client, server: Server, shared: Path
) -> None:
    files = sorted((shared / "robust" / "jsontestsuite" / "test_parsing").glob("*.json"))
    assert len(files) == 318
    for file in files:
        content = file.read_bytes()
        for headers in ({"Content-Type": "application/json"}, NDJSON, {}):
            answer = client.post(ALERTS, content=content, headers=headers)
            status, kind = answer.status_code, file.name[:2]
            assert status == 202 or 400 <= status < 500, (file.name, status)
            if kind == "n_" and headers is not NDJSON:
                assert 400 <= status < 500, (file.name, status, answer.text)
            if status != 202:
                is_problem(answer, status, answer.json()["reason"])
    has_no_trouble(server)


def test_every_naughty_string_in_every_field_is_stored_unchanged(
    client: httpx2.Client, server: Server, shared: Path
) -> None:
    texts = json.loads((shared / "robust" / "blns" / "blns.json").read_text())
    texts = list(dict.fromkeys(texts))
    sent = send_in_every_field(client, texts)
    has_no_trouble(server)
    check_stored(server, sent)
    for alert_id, text in list(sent.items())[::8]:
        dossier = client.get(f"{ALERTS}/{alert_id}").json()
        assert json.loads(dossier["payload"]) == everywhere(text)
        for form in ("ecs", "ocsf"):
            answer = client.get(f"{ALERTS}/{alert_id}", params={"format": form})
            assert answer.status_code == 200, text


def test_every_line_of_the_naughty_file_is_an_alert_as_text(
    client: httpx2.Client, server: Server, shared: Path
) -> None:
    body = (shared / "robust" / "blns" / "blns.txt").read_bytes()
    lines = [line.strip() for line in body.split(b"\n") if line.strip()]
    ids = accepted(client.post(ALERTS, content=body, headers=TEXT))
    assert len(ids) == len(lines)
    has_no_trouble(server)
    for alert_id, line in list(zip(ids, lines, strict=True))[::5]:
        assert stored(server, alert_id)["raw_data"] == line.decode()


def test_odd_texts_in_every_field_are_stored_unchanged(
    client: httpx2.Client, server: Server
) -> None:
    sent = send_in_every_field(client, ODD)
    has_no_trouble(server)
    check_stored(server, sent)


def test_explain_gives_back_what_was_sent(client: httpx2.Client, server: Server) -> None:
    text = "".join(ODD[:22])
    ((alert_id, _),) = send_in_every_field(client, [text]).items()
    server.settle()
    payload = stored(server, alert_id)["raw_data"]
    raw = tocsin(server.data, "explain", alert_id, "--raw")
    assert raw.stdout.decode() == payload + "\n"
    dossier = json.loads(tocsin(server.data, "explain", alert_id, "--json").stdout)
    assert json.loads(dossier["payload"]) == everywhere(text)
    assert dossier["alert"]["title"].strip() == text.replace("\0", "\ufffd").strip()
    shown = tocsin(server.data, "explain", alert_id)
    assert shown.returncode == 0, shown.stderr
    for control in ("\x1b", "\0", "\u202e", "\r"):
        assert control not in shown.stdout.decode()


def test_bytes_that_are_not_utf_8_stay_visible_in_lines_of_text(
    client: httpx2.Client, server: Server
) -> None:
    cef = b"CEF:0|Example|Fire{wall}|1|100%|bad \xff\xfe bytes|5|src=192.0.2.1 msg=\x00 {0}"
    body = cef + b"\n\xc3\x28\n"
    ids = accepted(client.post(ALERTS, content=body, headers=TEXT))
    assert len(ids) == 2
    has_no_trouble(server)
    row = stored(server, ids[0])
    assert "bad \\xff\\xfe bytes" in row["raw_data"]
    assert row["source_ip"] == "192.0.2.1"
    assert stored(server, ids[1])["raw_data"] == "\\xc3("


@pytest.mark.parametrize(
    "value",
    [None, True, -1, 10**30, -(10**400), 1.5, 1e308, [], {}, [[]], [{}], {"": ""}, {"a": {"b": 1}},
     [1, "a", None], "", [""] * 50, {"{}": "%s"}, list(range(300))],
    ids=repr,
)  # fmt: skip
def test_any_type_in_any_field_is_taken(
    client: httpx2.Client, server: Server, value: object
) -> None:
    alone = [{"title": f"only {name}", name: value} for name in TEXTS]
    ids = accepted(client.post(ALERTS, json=[dict.fromkeys(TEXTS, value), *alone]))
    assert len(set(ids)) >= len(TEXTS) - 1
    has_no_trouble(server)


def test_texts_of_a_megabyte_are_taken(client: httpx2.Client, server: Server) -> None:
    size = 1024 * 1024 - 200
    for name in ("title", "description", "url", "command_line", "user_name", "source_ip"):
        for unit in ("x", "http://a.example/ ", "10.0.0.1 ", "{%s}"):
            alert = {name: (unit * size)[:size], "severity": "high"}
            (alert_id,) = accepted(client.post(ALERTS, json=alert))
    assert alert_id
    has_no_trouble(server)


def test_nesting_and_width_at_the_caps_are_taken(client: httpx2.Client, server: Server) -> None:
    deep = b'{"a":' * 64 + b"1" + b"}" * 64
    wide = json.dumps({f"k{number} {{}}": number for number in range(40_000)}).encode()
    lists = b'{"a":[' + b"[]," * 100_000 + b"[]]}"
    for body in (deep, wide, lists):
        accepted(client.post(ALERTS, content=body))
    has_no_trouble(server)


def test_hostile_requests_get_clear_answers(client: httpx2.Client, server: Server) -> None:
    hostile = "{}%s\x00\n'\"<>"
    for answer in (
        client.get(ALERTS, params={hostile: hostile, "severity": hostile}),
        client.get(ALERTS, params={"cursor": hostile}),
        client.get(ALERTS, params={"since": hostile}),
        client.post(ALERTS, params={"source": hostile}, json={}),
        client.get("/api/v1/%7B%7D%25s%00"),
        client.get("/api/assets/%2e%2e/%2e%2e/etc/passwd"),
        client.get("/api/assets/..%2f..%2fetc/passwd"),
    ):
        assert 400 <= answer.status_code < 500, answer.text
        is_problem(answer, answer.status_code, answer.json()["reason"])
    kinds = ("{}%s", "text/html", "multipart/form-data", "application/json; charset=utf-16", ";")
    for number, kind in enumerate(kinds):
        body = b'{"title": "%d"}' % number
        accepted(client.post(ALERTS, content=body, headers={"Content-Type": kind}))
    has_no_trouble(server)
