"""`tocsin up` and `tocsin down`: the whole of Tocsin in one process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Annotated

import typer
import uvloop

from tocsin import logs
from tocsin.app import System, data_folder, open_store
from tocsin.cli import folder
from tocsin.cli.server import bind, serve
from tocsin.errors import Unavailable
from tocsin.model import KeyScope
from tocsin.settings import Settings, environment_of, load

START_SECONDS = 60.0
STOP_SECONDS = 40.0
FIRST_SCOPES = (KeyScope.INGEST, KeyScope.READ, KeyScope.WRITE)


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks one.")] = None,
    data: Annotated[str | None, typer.Option(help="Folder for everything that is kept.")] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start in the background and come back.")
    ] = False,
) -> None:
    """Start everything: ingest, all steps and the API, in one process.

    The first start creates the database and an API key. Ctrl-C (SIGTERM) drains and stops.
    """
    settings = load(host=host, port=port, data=data, database=database)
    data_folder(settings)
    if detach:
        _start_behind(settings)
        return
    logs.configure(settings.log_level, settings.log_format)
    with folder.only_server(settings):
        listener = bind(settings)
        secret = asyncio.run(_first_key(settings))
        try:
            uvloop.run(
                serve(
                    settings,
                    listener,
                    lambda system: _welcome(
                        system, listener_url(settings, listener.getsockname()[1]), secret
                    ),
                )
            )
        finally:
            folder.forget_server(settings)


def down(
    data: Annotated[str | None, typer.Option(help="The data folder of the server.")] = None,
) -> None:
    """Stop the server that runs on the data folder, and wait until it has drained."""
    settings = load(data=data)
    server = folder.running_server(settings)
    if server is None:
        typer.echo("no server runs on this data folder")
        return
    os.kill(server.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while folder.is_locked(settings):
        if time.monotonic() > end:
            raise Unavailable(f"process {server.pid} did not stop within {STOP_SECONDS:g} s")
        time.sleep(0.1)
    typer.echo(f"stopped {server.url}")


def listener_url(settings: Settings, port: int) -> str:
    """The URL to open, from the port that was really bound."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _welcome(system: System, url: str, secret: str | None) -> None:
    folder.write_server(system.settings, folder.Server(os.getpid(), url))
    if sys.stdout.isatty():  # else it may be a log, whose lines are JSON
        _print_welcome(system.settings, url, secret)


def _print_welcome(settings: Settings, url: str, secret: str | None) -> None:
    kept = settings.data / folder.FIRST_KEY
    key, where = (secret, f"The key stands in {kept}; more keys") if secret else ("KEY", "A key")
    typer.echo(
        f"""
Tocsin runs at {url}
  documentation   {url}/api
  health          {url}/health
  verdicts        tocsin watch          why: tocsin explain ALERT_ID

Send an alert:
  curl -sS {url}/api/v1/alerts -H "Authorization: Bearer {key}" \\
    -H 'Content-Type: application/json' \\
    -d '{{"title":"Beacon to a known C2","severity":"high","source_ip":"192.0.2.10",\
"destination_ip":"198.51.100.7"}}'

{where}: tocsin key create NAME
""".rstrip()
    )


async def _first_key(settings: Settings) -> str | None:
    """The data folder's key, made on the first start; None where others were made before."""
    async with open_store(settings) as store:
        known = folder.first_key(settings)
        if known and await store.accounts.find_key(known):
            return known
        if await store.accounts.list_keys():
            return None
        _, secret = await store.accounts.create_key("first key", FIRST_SCOPES)
    folder.save_first_key(settings, secret)
    return secret


def _start_behind(settings: Settings) -> None:
    running = folder.running_server(settings)
    if running is None:
        address = ("--host", settings.host, "--port", str(settings.port))
        with (settings.data / folder.LOG).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "tocsin", "up", *address],
                env=environment_of(
                    settings
                ),  # a database's password is nothing for a list of processes
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = _wait_for(settings, process)
    _print_welcome(settings, running.url, folder.first_key(settings))
    typer.echo(
        f"\nIts log is {settings.data / folder.LOG}; stop it with: tocsin down "
        f"--data {settings.data}"
    )


def _wait_for(settings: Settings, process: "subprocess.Popen[bytes]") -> folder.Server:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        server = folder.running_server(settings)
        if server is not None and server.pid == process.pid:
            return server
        if process.poll() is not None:
            tail = (settings.data / folder.LOG).read_text(errors="replace").splitlines()[-5:]
            raise Unavailable("the server did not start:\n" + "\n".join(tail))
        time.sleep(0.05)
    raise Unavailable(f"the server did not start within {START_SECONDS:g} s")
