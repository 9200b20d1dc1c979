"""Tocsin as a process of its own, as users run it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.commands import run

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


def environment(data: Path, **settings: str) -> dict[str, str]:
    """The environment of a command: nothing of the caller's Tocsin settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
    return {
        **kept,
        "TOCSIN_DATA": str(data),
        "TOCSIN_CONFIG": str(data / "none.toml"),
        **{f"TOCSIN_{name.upper()}": value for name, value in settings.items()},
    }


def tocsin(
    data: Path, *arguments: str | Path, stdin: bytes | None = None, **settings: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end."""
    return run(
        [str(argument) for argument in arguments],
        env=environment(data, **settings),
        cwd=ROOT,
        stdin=stdin,
        timeout=240,
    )


@dataclass
class Server:
    """A running `tocsin up`."""

    data: Path
    process: "subprocess.Popen[bytes]"
    url: str
    key: str
    log: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.data / "tocsin.db"

    def client(self, **options: Any) -> httpx2.Client:
        """A client with the first key; it reads no certificates, which costs more than asking."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(
            base_url=self.url, headers=headers, timeout=60, verify=False, **options
        )

    def kill(self) -> None:
        """kill -9, as it is."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def settle(self, seconds: float = 120) -> dict[str, float]:
        """Wait until nothing is in flight; gives the balance."""
        end = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < end:
                balance = self.balance(client)
                if balance["in_flight"] == 0:
                    return balance
                time.sleep(0.05)
        raise AssertionError(f"still in flight after {seconds} s: {self.balance()}")

    def balance(self, client: httpx2.Client | None = None) -> dict[str, float]:
        """`tocsin_alerts` by state."""
        if client is None:
            with self.client() as own:
                return self.balance(own)
        text = client.get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("tocsin_alerts{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def start(
    data: Path, *, port: int = 0, module: tuple[str, ...] = ("tocsin",), **settings: str
) -> Server:
    """Start a server on this data folder and wait until it answers."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "server.json").unlink(missing_ok=True)
    log = data / "test.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "up", "--port", str(port)],
            env=environment(data, **settings),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    end = time.monotonic() + 120  # it is one or two; the machine may be busy
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((data / "server.json").read_text())
            if found["pid"] == process.pid:
                key = (data / "first.key").read_text().strip()
                return Server(data, process, found["url"], key, log, settings)
        if process.poll() is not None:
            raise AssertionError(f"the server ended: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def serving(
    data: Path, *, module: tuple[str, ...] = ("tocsin",), **settings: str
) -> Iterator[Server]:
    """A server for a test; ended with it."""
    server = start(data, module=module, **settings)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
