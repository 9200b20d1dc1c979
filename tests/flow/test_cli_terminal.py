"""Commands between a terminal and a file: what goes where."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

from tests.servers import ROOT, environment, tocsin


def test_verify_writes_into_the_file_while_the_terminal_shows_a_bar(tmp_path: Path) -> None:
    line = b'{"alert": {"title": "[/red] {} %s"}, "disposition": "false_positive"}'
    done = tocsin(tmp_path, "decisions", "import", "-", stdin=line)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "tocsin.db") as database:
        database.execute("UPDATE triage_results SET risk_score = risk_score + 1")
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side is closed
                return
            seen.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    process = subprocess.run(
        [sys.executable, "-m", "tocsin", "verify", "--all"],
        env=environment(tmp_path), cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=False,
    )  # fmt: skip
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert process.returncode == 1
    told = process.stdout.decode()
    assert "differs" in told
    assert "derived:" in told
    assert "derived:" not in b"".join(seen).decode()


def test_a_server_behind_has_no_password_in_its_command_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'secret-name.db'}"
    started = tocsin(tmp_path, "up", "--detach", "--port", "0", "--database", url)
    try:
        assert started.returncode == 0, started.stderr
        server = json.loads((tmp_path / "server.json").read_bytes())
        command = Path(f"/proc/{server['pid']}/cmdline").read_bytes()
        assert b"up" in command
        assert b"secret-name" not in command
        assert (tmp_path / "secret-name.db").exists()
        assert not (tmp_path / "tocsin.db").exists()
    finally:
        assert tocsin(tmp_path, "down").returncode == 0
    (tmp_path / "first.key").unlink()
    again = tocsin(tmp_path, "up", "--detach", "--port", "0", "--database", url)
    try:
        assert b"Bearer KEY" in again.stdout, "keys cannot be read back, and none is made anew"
        assert b"A key: tocsin key create NAME" in again.stdout
    finally:
        assert tocsin(tmp_path, "down").returncode == 0
