"""Learning on a schedule goes on after a process that could not be started or understood."""

import asyncio
import sys

import pytest
import structlog

from tocsin.app import Store
from tocsin.cli.lessons import Lessons
from tocsin.settings import Settings


@pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/echo"])
async def test_a_process_that_cannot_be_used_is_logged_and_tried_again(
    store: Store, settings: Settings, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    often = settings.model_copy(update={"learn_interval": 1e-4})  # hours: 0.36 s
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(Lessons(often, store.leases).run())
        for _ in range(200):
            if len(lines) > 1 or task.done():
                break
            await asyncio.sleep(0.05)
        assert not task.done(), "it is over at the first failure"
        task.cancel()
        await asyncio.wait({task})
    assert [line["event"] for line in lines[:2]] == ["learn.failed"] * 2


async def test_a_database_that_is_away_is_not_taken_for_somebody_who_learns(
    store: Store, settings: Settings
) -> None:
    away = {"database": "postgresql://x@127.0.0.1:1/x", "learn_interval": 1e-4}
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(Lessons(settings.model_copy(update=away), store.leases).run())
        for _ in range(600):
            if lines:
                break
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait({task})
    assert (lines[0]["event"], lines[0]["code"]) == ("learn.failed", 3)
    assert "does not answer" in lines[0]["error"]
