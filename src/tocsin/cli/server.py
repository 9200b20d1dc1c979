"""The HTTP server of a running system, and how both stop."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from tocsin import logs
from tocsin.api import create_application
from tocsin.app import System, running
from tocsin.cli.lessons import Lessons
from tocsin.errors import SettingsError
from tocsin.pipeline import STEPS
from tocsin.settings import Settings

HEARD_SECONDS = 0.3

log = logs.get("server")


class _Server(uvicorn.Server):
    """uvicorn, but who stops it is decided here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Parts:
    """What one process runs; `alone` says that no other process shares its database."""

    steps: tuple[str, ...]
    ingest: bool
    alert_routes: bool
    alone: bool
    models: bool = False


EVERYTHING = Parts(
    tuple(step.name for step in STEPS), ingest=True, alert_routes=True, alone=True, models=True
)


def bind(settings: Settings) -> socket.socket:
    """The socket that the server will listen on.

    Raises:
        SettingsError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "choose another with --port (0 picks a free one)"
        ) from error
    return listener


async def serve(
    settings: Settings,
    listener: socket.socket,
    started: Callable[[System], object],
    parts: Parts = EVERYTHING,
) -> None:
    """Run a system and its server until SIGTERM or SIGINT, then drain.

    While draining, new alerts are answered 503 with Retry-After; what was begun is finished and
    the rest waits in the database. A second signal ends the process at once. A system that still
    waits for its database, or its turn at the migrations, has nothing to drain: it just ends.
    """
    stop, opened = asyncio.Event(), asyncio.Event()
    this, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop, opened, this)
    try:
        await _serve(settings, listener, started, parts, stop, opened)
    except asyncio.CancelledError:
        if opened.is_set() or not stop.is_set():
            raise
    log.info("server.stopped")


async def _serve(
    settings: Settings,
    listener: socket.socket,
    started: Callable[[System], object],
    parts: Parts,
    stop: asyncio.Event,
    opened: asyncio.Event,
) -> None:
    async with running(
        settings,
        steps=parts.steps,
        ingest=parts.ingest,
        alone=parts.alone,
        models=parts.models,
        people=parts.alert_routes,
    ) as system:
        opened.set()
        application = create_application(system, alert_routes=parts.alert_routes)
        server = _Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                loop="none",
                lifespan="off",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=int(settings.drain_timeout),
                server_header=False,
            )
        )
        task = asyncio.create_task(server.serve([listener]))  # awaited below
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        started(system)
        lessons = asyncio.create_task(_lessons(settings, system, parts))  # ended below
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        lessons.cancel()
        await asyncio.wait({lessons})
        log.info("server.draining")
        application.state.draining.set()
        await asyncio.sleep(HEARD_SECONDS)
        await system.drain()
        server.should_exit = True
        await task


async def _lessons(settings: Settings, system: System, parts: Parts) -> None:
    """Where alerts are triaged, learn from decisions now and then."""
    if settings.learn_interval > 0 and "triage" in parts.steps:
        await Lessons(settings, system.store.leases).run()


def _on_signal(stop: asyncio.Event, opened: asyncio.Event, serving: "asyncio.Task[None]") -> None:
    if stop.is_set():
        sys.exit(130)
    stop.set()
    if not opened.is_set():
        serving.cancel()
