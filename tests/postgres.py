"""A real PostgreSQL on a free port of the loopback address, in a folder of its own."""

import contextlib
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USER = "triage_user"
PORTS = range(12_000, 32_000)
_chance = random.SystemRandom()  # not what is seeded alike for all workers of a run


def free_port() -> int:
    """A port of the loopback address that nobody listens on.

    Below those that the system gives to connections going out: a server that takes its time to
    start would find one of those in use. At random, so that runs side by side do not meet.
    """
    while True:
        port = _chance.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def binaries() -> Path | None:
    """The folder of the newest installed server, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@dataclass
class Postgres:
    """A server; databases are made in it one for each test that asks."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        bin_ = _bin()
        with (self.folder.parent / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    bin_ / "postgres", "-D", self.folder, "-p", str(self.port), "-h", "127.0.0.1",
                    "-k", self.folder, "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB",
                    "-c", "max_connections=200", *self.options,
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                **_as_server(),
            )  # fmt: skip
        end = time.monotonic() + 30
        while time.monotonic() < end:
            ready = subprocess.run(
                [bin_ / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError((self.folder.parent / "postgres.log").read_text()[-2000:])

    def stop(self, *, immediately: bool = False) -> None:
        """Stop the server: in order, or as in a crash."""
        mode = "immediate" if immediately else "fast"
        subprocess.run(
            [_bin() / "pg_ctl", "-D", self.folder, "-m", mode, "-w", "stop"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_server(),
        )  # fmt: skip
        if self.process is not None:
            self.process.wait(timeout=30)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement with psql; gives what it prints, unaligned."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
             "-p", str(self.port), "-U", "postgres", "-d", database, "-c", statement],
            capture_output=True, text=True, check=False, env=_clean_environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def create(self, name: str) -> str:
        """A new, empty database; gives its URL."""
        self.sql(f"CREATE DATABASE {name} OWNER {USER}")
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def postgres(*options: str) -> Iterator[Postgres]:
    """A running server with these options, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tocsin-pg-", ignore_cleanup_errors=True) as top:
        folder = Path(top) / "data"
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            for path in (Path(top), folder):
                os.chown(path, account.pw_uid, account.pw_gid)
        subprocess.run(
            [_bin() / "initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale", "C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, **_as_server(),
        )  # fmt: skip
        server = Postgres(folder, free_port(), options)
        server.start()
        try:
            server.sql(f"CREATE ROLE {USER} LOGIN")
            yield server
        finally:
            server.stop(immediately=True)


def _bin() -> Path:
    found = binaries()
    assert found is not None, "PostgreSQL is not installed"
    return found


def _as_server() -> dict[str, object]:
    """PostgreSQL refuses to run as root; Debian's package has an account for it."""
    options: dict[str, object] = {"cwd": "/", "env": _clean_environment()}
    if os.geteuid() == 0:
        options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    return options


def _clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")}
