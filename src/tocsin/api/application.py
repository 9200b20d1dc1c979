"""The ASGI application of a running system."""

import asyncio
import time
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from swagger_ui_bundle import swagger_ui_path

from tocsin import __version__, metrics
from tocsin.api import alerts, chat, closing, decisions, health, incidents, models, remediation
from tocsin.api.access import Doorkeeper
from tocsin.api.asked import without_nul
from tocsin.api.problems import (
    on_any_error,
    on_http_error,
    on_tocsin_error,
    on_too_deep,
    on_undecodable,
)
from tocsin.app import System
from tocsin.errors import TocsinError

ASSETS = "/api/assets"


def create_application(system: System, *, alert_routes: bool = True) -> Litestar:
    """The API of a running system; its `state.draining` is set when it should stop.

    Without `alert_routes` it answers only for its own health: what a worker needs.
    """
    return Litestar(
        route_handlers=[
            *(
                [
                    alerts.router,
                    decisions.router,
                    models.router,
                    closing.router,
                    incidents.router,
                    remediation.router,
                ]
                if alert_routes
                else []
            ),
            *([chat.router] if system.models is not None else []),
            health.health,
            health.live,
            health.ready,
            health.show_metrics,
            welcome,
            create_static_files_router(
                path=ASSETS, directories=[str(swagger_ui_path)], include_in_schema=False
            ),
        ],
        state=State(
            {
                "system": system,
                "doorkeeper": Doorkeeper(system.store.accounts),
                "draining": asyncio.Event(),
            }
        ),
        exception_handlers={
            TocsinError: on_tocsin_error,
            HTTPException: on_http_error,
            UnicodeDecodeError: on_undecodable,
            RecursionError: on_too_deep,
            Exception: on_any_error,
        },
        guards=[without_nul],
        middleware=[_measured],
        request_max_body_size=system.settings.max_body_bytes,
        openapi_config=_openapi(),
        logging_config=None,
    )


@get("/", include_in_schema=False)
async def welcome(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Where things are."""
    base = str(request.base_url).rstrip("/")
    return Response(
        {
            "name": "Tocsin",
            "version": __version__,
            "send_alerts": f"POST {base}/api/v1/alerts",
            "documentation": f"{base}/api",
            "health": f"{base}/health",
        }
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Tocsin",
        version=__version__,
        description="Security alert triage: send alerts, read verdicts with their reasons.",
        path="/api",
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}
        ),
        security=[{"key": []}],
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{ASSETS}/swagger-ui-bundle.js",
                css_url=f"{ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{ASSETS}/swagger-ui-standalone-preset.js",
                favicon=f'<link rel="icon" type="image/png" href="{ASSETS}/favicon-32x32.png">',
            )
        ],
    )


def _measured(app: ASGIApp) -> ASGIApp:
    """Times every request."""

    async def measure(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method = scope["method"]
        started = time.perf_counter()
        status = 500

        async def remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, remember)
        finally:
            metrics.HTTP_SECONDS.labels(method, f"{status // 100}xx").observe(
                time.perf_counter() - started
            )

    return measure
