"""What a server writes down: JSON lines, one per batch and step, and nobody's secrets."""

import json
import socket
from collections import Counter
from pathlib import Path

from tests.flow.questions import ALERTS, accepted, log_lines
from tests.servers import Server, serving, start

SECRET = "PAYLOAD-SECRET-7261"
HOSTILE = '{} {0} {"a": 1} %s %(x)s \n\r\0 \u2028 \x1b[31m \U0001f525'


def test_every_line_is_json_with_its_event_level_and_time(server: Server) -> None:
    with server.client() as client:
        accepted(client.post(ALERTS, json={"title": HOSTILE, "source_ip": HOSTILE}))
        client.get("/nowhere{}%s")
        client.post(ALERTS, content=b"{broken")
    address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    with socket.create_connection(address) as stranger:
        stranger.sendall(b"{} %s \x00\xff\r\n\r\n")
        assert b"400" in stranger.recv(1000)
    server.settle()
    lines = [json.loads(line) for line in log_lines(server)]
    assert lines
    for line in lines:
        assert {"event", "level", "timestamp", "component"} <= set(line), line
        assert line["event"].replace(".", "").replace("_", "").isalpha(), line
    assert any(line["component"] == "uvicorn.error" for line in lines), "libraries' lines as well"


def test_there_is_one_line_per_batch_and_step(server: Server) -> None:
    before = len(log_lines(server))
    with server.client() as client:
        accepted(client.post(ALERTS, json=[{"title": f"canonical {n}"} for n in range(250)]))
    server.settle()
    lines = [json.loads(line) for line in log_lines(server)[before:]]
    done = [line for line in lines if line["event"] == "step.done"]
    batches = Counter(line["step"] for line in done)
    assert set(batches) == {"normalize", "context", "intel", "triage"}
    assert len(set(batches.values())) == 1, "as many for each step"
    assert batches["triage"] < 20, "per batch, never per alert"
    for step in batches:
        assert sum(line["count"] for line in done if line["step"] == step) == 250
    for line in done:
        assert line["ms"] >= 0
        assert line["gaps"] >= 0
        assert line["failed"] == 0


def test_no_payload_and_no_key_is_ever_written_down(tmp_path: Path) -> None:
    names = (
        "title", "description", "command_line", "url", "user_name", "timestamp", "severity",
        "source_ip", "file_hash", "ports", "unknown_field",
    )  # fmt: skip
    alert = dict.fromkeys(names, f"{SECRET} {HOSTILE}")
    with serving(tmp_path, log_level="debug") as server:
        with server.client() as client:
            accepted(client.post(ALERTS, json=[alert, {**alert, "alert_id": SECRET * 20}]))
            client.post(ALERTS, content=f'{{"{SECRET}": '.encode())
            client.post(ALERTS, content=f"{SECRET}\n".encode() * 3)
            client.get(ALERTS, params={"user_name": SECRET, "cursor": SECRET})
            client.get(ALERTS, headers={"Authorization": f"Bearer {SECRET}"})
        server.settle()
        assert server.stop() == 0
        log = server.log.read_text()
    assert "step.done" in log
    assert SECRET not in log
    assert server.key not in log
    assert server.key.removeprefix("tocsin_") not in log


def test_the_level_is_kept_and_starts_and_stops_are_lines(tmp_path: Path) -> None:
    server = start(tmp_path, log_level="warning")
    with server.client() as client:
        accepted(client.post(ALERTS, json={"title": "quiet"}))
    server.settle()
    assert server.stop() == 0
    assert log_lines(server) == []
    again = start(tmp_path)
    assert again.stop() == 0
    events = [json.loads(line)["event"] for line in log_lines(again)]
    for event in ("system.started", "server.draining", "system.stopped", "server.stopped"):
        assert event in events
