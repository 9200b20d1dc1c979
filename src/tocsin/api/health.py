"""`/health`, `/ready` and `/metrics`: the dependencies are asked, not assumed."""

import asyncio
import time
from typing import Any

from litestar import Request, Response, get

from tocsin import __version__, metrics
from tocsin.app import System
from tocsin.errors import TocsinError
from tocsin.pipeline import STEPS
from tocsin.ports import DEAD_LETTERS

ASK_SECONDS = 3.0


@get("/health", summary="Is everything that Tocsin needs alive?", tags=["operation"])
async def health(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Ask the database, the bus and the language models; 503 names what does not answer.

    A model is no dependency: without any, alerts are triaged all the same. So providers that are
    down make the status `degraded`; only a process that does nothing else is down with them all.
    """
    system: System = request.app.state.system
    checks, providers = await asyncio.gather(_needed(system), _providers(system))
    well = all(check["status"] == "up" for check in checks.values())
    lost = [check for check in providers.values() if check["status"] == "down"]
    if lost and len(lost) == len(providers) and not system.steps and system.gate is None:
        well = False
    status = ("degraded" if lost else "up") if well else "down"
    answer = {"status": status, "version": __version__, "checks": checks}
    if system.models is not None:
        answer["models"] = providers
    return Response(answer, status_code=200 if well else 503)


@get("/live", summary="Does this process run?", tags=["operation"])
async def live() -> dict[str, bool]:
    """200 whatever the dependencies do: a restart would not bring them back."""
    return {"live": True}


@get("/ready", summary="Does this process take new alerts?", tags=["operation"])
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """503 while the process is stopping or its database is away."""
    system: System = request.app.state.system
    stopping = request.app.state.draining.is_set()
    database = await _ask(system.store.queries.check)
    well = not stopping and database["status"] == "up"
    return Response({"ready": well, "stopping": stopping}, status_code=200 if well else 503)


@get("/metrics", summary="Metrics for Prometheus", tags=["operation"], media_type="text/plain")
async def show_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """All metrics; the balance and the waits are read from the database."""
    system: System = request.app.state.system
    bus = asyncio.create_task(_dead(system))  # awaited below
    try:
        async with asyncio.timeout(ASK_SECONDS):
            counts = await system.store.balance.counts()
            waits = await system.store.balance.waits()
            await _model_budgets(system)
            following = await system.store.balance.follow_ups()
    except (TocsinError, TimeoutError):  # no figures are better than old ones
        counts, waits = None, {}
        metrics.BALANCE.clear()
        metrics.FOLLOW_UPS.clear()
        metrics.WAITING.clear()
        metrics.OLDEST.clear()
    if counts is not None:
        for state in ("received", "triaged", "folded", "parked", "in_flight"):
            metrics.BALANCE.labels(state).set(getattr(counts, state))
        for state in ("waiting", "parked", "done"):
            metrics.FOLLOW_UPS.labels(state).set(getattr(following, state))
        for step in STEPS:
            waiting, seconds = waits.get(step.name, (0, 0.0))
            metrics.WAITING.labels(step.name).set(waiting)
            metrics.OLDEST.labels(step.name).set(seconds)
    metrics.DEPENDENCY.labels("database").set(counts is not None)
    dead = await bus
    metrics.DEAD.clear()
    if dead is not None:
        metrics.DEAD.labels(DEAD_LETTERS).set(dead)
    metrics.DEPENDENCY.labels("bus").set(dead is not None)
    return Response(metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _needed(system: System) -> dict[str, dict[str, Any]]:
    return {
        "database": await _ask(system.store.queries.check),
        "bus": await _ask(system.bus.check),
    }


async def _providers(system: System) -> dict[str, dict[str, Any]]:
    if system.models is None:
        return {}
    found = await system.models.reach()
    return {
        name: {"status": "up"} if failure is None else {"status": "down", "error": str(failure)}
        for name, failure in found.items()
    }


async def _dead(system: System) -> int | None:
    """Dead letters; None where the bus does not answer."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await system.bus.dead()
    except (TocsinError, TimeoutError):
        return None


async def _model_budgets(system: System) -> None:
    metrics.MODEL_BUDGET_LEFT.clear()
    if system.models is not None:
        for unit, left in (await system.models.ledger.left()).items():
            metrics.MODEL_BUDGET_LEFT.labels(unit).set(left)


async def _ask(question: Any) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await question()
    except TimeoutError:
        return {"status": "down", "error": f"no answer within {ASK_SECONDS:g} s"}
    except TocsinError as error:
        return {"status": "down", "error": error.told}
    return {"status": "up", "ms": round((time.perf_counter() - started) * 1000, 2)}
