"""What a running server leaves in the data folder, so that other commands find it."""

import os
from pathlib import Path

import msgspec

from tocsin.errors import InputError
from tocsin.settings import Settings

SERVER = "server.json"
FIRST_KEY = "first.key"
LOG = "tocsin.log"


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
    """The server that runs on this data folder, if its process lives."""
    try:
        server = msgspec.json.decode((settings.data / SERVER).read_bytes(), type=Server)
        os.kill(server.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return server


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
