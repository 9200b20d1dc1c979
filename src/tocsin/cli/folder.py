"""What a running server leaves in the data folder, so that other commands find it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tocsin.errors import InputError, SettingsError
from tocsin.settings import Settings

SERVER = "server.json"
FIRST_KEY = "first.key"
LOG = "tocsin.log"
LOCK = "lock"
LOCK_TRIES = 5
LOCK_PAUSE = 0.05


class Server(msgspec.Struct, frozen=True):
    """Where the server on this data folder answers."""

    pid: int
    url: str


def write_server(settings: Settings, server: Server) -> None:
    """Say where the server is."""
    (settings.data / SERVER).write_bytes(msgspec.json.encode(server))


def forget_server(settings: Settings) -> None:
    """The server is gone."""
    (settings.data / SERVER).unlink(missing_ok=True)


def running_server(settings: Settings) -> Server | None:
    """The server that runs on this data folder.

    A server that was killed leaves its file behind, and its process number may be somebody else's
    by now: only a server that is alive holds the folder's lock.
    """
    try:
        server = msgspec.json.decode((settings.data / SERVER).read_bytes(), type=Server)
        os.kill(server.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return server if is_locked(settings) else None


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock: there is one server on it.

    Raises:
        SettingsError: another one holds it.
    """
    with (settings.data / LOCK).open("w") as lock:
        for _ in range(LOCK_TRIES):  # somebody may just be asking whether it is held
            if _take(lock.fileno(), fcntl.LOCK_EX):
                break
            time.sleep(LOCK_PAUSE)
        else:
            raise SettingsError(
                f"a server runs on {settings.data} already; stop it with: tocsin down"
            )
        yield


def is_locked(settings: Settings) -> bool:
    """Whether a server holds the data folder."""
    try:
        with (settings.data / LOCK).open() as lock:
            return not _take(lock.fileno(), fcntl.LOCK_SH)
    except OSError:
        return False


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def server_url(settings: Settings) -> str:
    """The server that client commands talk to."""
    if settings.url:
        return settings.url
    server = running_server(settings)
    return server.url if server else f"http://{settings.host}:{settings.port}"


def save_first_key(settings: Settings, secret: str) -> Path:
    """Keep the first key where only this account can read it."""
    path = settings.data / FIRST_KEY
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path


def first_key(settings: Settings) -> str | None:
    """The first key, if this data folder has one."""
    try:
        return (settings.data / FIRST_KEY).read_text().strip() or None
    except OSError:
        return None


def client_key(settings: Settings) -> str:
    """The key that client commands send.

    Raises:
        InputError: there is none.
    """
    key = settings.key.get_secret_value() or first_key(settings)
    if not key:
        raise InputError(
            "no API key: give --key or TOCSIN_KEY (make one with: tocsin key create NAME)"
        )
    return key
