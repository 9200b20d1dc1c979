"""Routers for tests: real stores, real servers, settings as a person would write them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tocsin.app import Store, open_models
from tocsin.llm import Router
from tocsin.ports import ChatRequest
from tocsin.settings import Settings

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"verdict": {"enum": ["raise", "keep"]}, "cites": {"type": "array"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


def at(url: str, name: str = "local", **more: Any) -> dict[str, Any]:
    """A provider that speaks as OpenAI does, on this server."""
    return {"name": name, "url": f"{url}/v1", "model": f"{name}-model", "timeout": 5.0, **more}


def ask(text: str = "hello", **more: Any) -> ChatRequest:
    """A request; the deadline is short, so that a test that waits for it is not long."""
    given: dict[str, Any] = {"max_tokens": 64, "purpose": "test", "deadline": 10.0, **more}
    return ChatRequest(messages=({"role": "user", "content": text},), **given)


def configured(settings: Settings, *providers: dict[str, Any], **more: Any) -> Settings:
    """The settings with these providers, checked as they are at the start."""
    given = {**settings.model_dump(exclude_unset=True), "llm_providers": providers, **more}
    return Settings(**given)


@asynccontextmanager
async def routing(
    settings: Settings, store: Store, *providers: dict[str, Any], **more: Any
) -> AsyncIterator[Router]:
    """A router of these providers on this store."""
    router = open_models(configured(settings, *providers, **more), store)
    try:
        yield router
    finally:
        await router.close()
