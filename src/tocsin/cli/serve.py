"""`tocsin serve`: one or several roles as a service of their own."""

from dataclasses import dataclass
from typing import Annotated

import typer
import uvloop

from tocsin import logs
from tocsin.app import System
from tocsin.cli import server
from tocsin.errors import SettingsError
from tocsin.pipeline import STEPS
from tocsin.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Role:
    """One service: its port, and what it does."""

    port: int
    step: str | None = None
    ingest: bool = False
    alert_routes: bool = False
    models: bool = False


ROLES: dict[str, Role] = {
    "console": Role(9000, alert_routes=True),
    "ingestor": Role(9001, ingest=True, alert_routes=True),
    "normalizer": Role(9002, step="normalize"),
    "context": Role(9003, step="context"),
    "intel": Role(9004, step="intel"),
    "llm": Role(9005, models=True),
    "triage": Role(9006, step="triage"),
    "after": Role(9007, step="after"),
}


def serve(
    role: Annotated[list[str], typer.Argument(help=f"One or more of: {', '.join(ROLES)}.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; default: that of the first role (9000-9007).")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    broker: Annotated[str | None, typer.Option(help="Broker URL.")] = None,
) -> None:
    """Run roles as a service, beside others on the same PostgreSQL and RabbitMQ.

    Steps that run in one process are chained: no queue and no load between them, one transaction
    at the end; what follows a verdict (after) has its own. Each process answers /health, /ready
    and /metrics on its port; SIGTERM drains it.
    llm is the router of language models: an OpenAI-compatible API with budgets and fall-back.

    Example: tocsin serve ingestor
    Example: tocsin serve llm
    Example: tocsin serve normalizer context intel triage --port 9002
    """
    settings = load(host=host, port=port, database=database, broker=broker)
    roles = [_role(name) for name in role]
    if "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": roles[0].port})
    parts = server.Parts(
        steps=tuple(r.step for r in roles if r.step),
        ingest=any(r.ingest for r in roles),
        alert_routes=any(r.alert_routes for r in roles),
        alone=False,
        models=any(r.models for r in roles),
    )
    _check(settings, parts)
    logs.configure(settings.log_level, settings.log_format)
    listener = server.bind(settings)
    uvloop.run(server.serve(settings, listener, _announce, parts))


def _role(name: str) -> Role:
    if name not in ROLES:
        raise SettingsError(f"there is no role {name}; there are: {', '.join(ROLES)}")
    return ROLES[name]


def _check(settings: Settings, parts: server.Parts) -> None:
    everything = parts.ingest and len(set(parts.steps)) == len(STEPS)
    if settings.broker.startswith("memory:") and not everything and (parts.steps or parts.ingest):
        raise SettingsError(
            "TOCSIN_BROKER is memory://, which works only within one process: give "
            "amqp://USER:PASSWORD@HOST:PORT/VHOST, or run everything with: tocsin up"
        )
    steps_apart = (parts.steps or parts.ingest or parts.alert_routes) and not everything
    if not settings.database.startswith("postgres") and steps_apart:
        raise SettingsError(
            "TOCSIN_DATABASE must be postgresql://… when several processes share it"
        )


def _announce(_: System) -> None:
    """The log says that the service has started."""
