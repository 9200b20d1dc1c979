"""Tocsin as services: processes of `tocsin serve` on a real PostgreSQL and RabbitMQ."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from tests.postgres import free_port
from tests.servers import ROOT, environment, tocsin

SEPARATE = (("ingestor",), ("normalizer",), ("context",), ("intel",), ("triage",), ("after",))
CHAIN = ("normalizer", "context", "intel", "triage", "after")


@dataclass
class Service:
    """One process."""

    roles: tuple[str, ...]
    port: int
    environment: Mapping[str, str]
    log: Path
    module: tuple[str, ...] = ("tocsin",)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def control(self) -> Path:
        """The file that spoils the process, if it is one of `tests.faulty`."""
        return self.log.with_suffix(".fault")

    def set_clock(self, ahead: float) -> None:
        """Put the clock of this process forward, or back."""
        self.control.write_text(json.dumps({"clock": ahead}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process; `wait` waits for it."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    *self.module,
                    "serve",
                    *self.roles,
                    "--port",
                    str(self.port),
                ],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait(self, seconds: float = 60) -> None:
        """Until /ready answers 200."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/ready", timeout=5, verify=False).status_code == 200:
                    return
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.05)
        raise AssertionError(f"{self.roles} did not become ready: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass
class Fleet:
    """Several services on one database and one broker."""

    folder: Path
    database: str
    broker: str
    services: list[Service] = field(default_factory=list)
    key: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    spoilable: bool = False

    @property
    def ingestor(self) -> Service:
        return next(s for s in self.services if "ingestor" in s.roles)

    def add(self, *roles: str) -> Service:
        """One more process; started, not waited for."""
        settings = {
            "database": self.database, "broker": self.broker, "log_level": "info", **self.settings
        }  # fmt: skip
        service = Service(
            roles,
            free_port(),
            environment(self.folder, **settings),
            self.folder / f"{'-'.join(roles)}-{len(self.services)}.log",
        )
        if self.spoilable:
            service.module = ("tests.faulty", str(service.control))
        self.services.append(service)
        service.start()
        return service

    def client(self) -> httpx2.Client:
        """A client of the ingestor."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.ingestor.url, headers=headers, timeout=60, verify=False)

    def balance(self, client: httpx2.Client | None = None) -> dict[str, int]:
        """`tocsin_alerts` by state, as the ingestor says it."""
        if client is None:
            with self.client() as own:
                return self.balance(own)
        text = client.get(f"{self.ingestor.url}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if line.startswith("tocsin_alerts{")]
        return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}

    def settle(self, seconds: float = 180) -> dict[str, int]:
        """Wait until nothing is in flight; gives the balance."""
        end = time.monotonic() + seconds
        balance: dict[str, int] = {}
        with httpx2.Client(timeout=30, verify=False) as client:
            while time.monotonic() < end:
                with contextlib.suppress(httpx2.TransportError):
                    balance = self.balance(client)
                    if balance.get("in_flight") == 0:
                        return balance
                time.sleep(0.1)
        raise AssertionError(f"still in flight after {seconds} s: {balance}\n{self.tails()}")

    def sum_of(self, metric: str) -> float:
        """A counter over all services and those of its labels that the text holds."""
        return sum(
            float(line.split()[-1])
            for service in self.services
            for line in httpx2.get(
                f"{service.url}/metrics", timeout=30, verify=False
            ).text.splitlines()
            if line.startswith(metric)
        )

    def tails(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"{s.log.name}: {s.log.read_text()[-1500:]}" for s in self.services)


@contextlib.contextmanager
def fleet(
    folder: Path,
    database: str,
    broker: str,
    groups: tuple[tuple[str, ...], ...] = SEPARATE,
    *,
    spoilable: bool = False,
    **settings: str,
) -> Iterator[Fleet]:
    """Services of these roles, ready; killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Fleet(folder, database, broker, settings=settings, spoilable=spoilable)
    done = tocsin(folder, "key", "create", "test", "--scope", "ingest", "--scope", "read",
                  "--scope", "write", database=database)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    made.key = done.stdout.decode().strip()
    try:
        for roles in groups:
            made.add(*roles)
        for service in made.services:
            service.wait()
        yield made
    finally:
        for service in made.services:
            service.kill()


def post(running: Fleet, alerts: list[dict[str, object]]) -> list[str]:
    """Send alerts; gives their ids."""
    with running.client() as client:
        answer = client.post(
            "/api/v1/alerts",
            content=json.dumps(alerts).encode(),
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code == 202, answer.text
    return [sent["alert_id"] for sent in answer.json()["alerts"]]
