"""A real RabbitMQ on free ports of the loopback address, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import free_port

LIBRARY = Path("/usr/lib/rabbitmq/bin")


def installed() -> bool:
    """Whether the server is on this machine."""
    return (LIBRARY / "rabbitmq-server").exists()


@dataclass
class RabbitMQ:
    """A broker; virtual hosts are made in it one for each test that asks."""

    folder: Path
    name: str
    port: int
    distribution: int
    epmd: int
    process: "subprocess.Popen[bytes] | None" = None

    def environment(self) -> dict[str, str]:
        """What names this broker to its own tools."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": str(self.folder / "rabbit.log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }

    def start(self) -> None:
        """Start the broker and wait until it takes connections."""
        with (self.folder / "out.log").open("ab") as log:
            self.process = subprocess.Popen(
                [LIBRARY / "rabbitmq-server"],
                env=self.environment(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_as_server(),
            )
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if self.control("await_startup", "--timeout", "2", check=False).returncode == 0:
                return
            if self.process.poll() is not None:
                break
        raise AssertionError((self.folder / "out.log").read_text()[-3000:])

    def stop(self) -> None:
        """Stop the broker in order."""
        self.control("shutdown", "--timeout", "30", check=False)
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=40)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def control(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run rabbitmqctl."""
        done = subprocess.run(
            [LIBRARY / "rabbitmqctl", *arguments],
            env=self.environment(), cwd=self.folder, capture_output=True, text=True, timeout=60,
            check=False, **_as_server(),
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def create(self, name: str) -> str:
        """A new virtual host; gives its URL."""
        self.control("add_vhost", name)
        self.control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove a virtual host and everything in it."""
        self.control("delete_vhost", name, check=False)


@contextlib.contextmanager
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running broker, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-mq-"))
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text("vm_memory_high_watermark.relative = 0.6\n")
    if os.geteuid() == 0:
        account = pwd.getpwnam("rabbitmq")
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    server = RabbitMQ(folder, f"tocsin{os.getpid()}", free_port(), free_port(), free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        subprocess.run(
            ["epmd", "-port", str(server.epmd), "-kill"],
            check=False, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def _as_server() -> dict[str, object]:
    if os.geteuid() == 0:
        return {"user": "rabbitmq", "group": "rabbitmq", "extra_groups": []}
    return {}
