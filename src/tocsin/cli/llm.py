"""`tocsin llm`: whether the language models answer, and what they cost."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from tocsin.app import open_models, open_store
from tocsin.cli.look import console, plain, table
from tocsin.errors import ModelRefused, TocsinError
from tocsin.llm import Ledger, Router
from tocsin.ports import ChatReply, ChatRequest
from tocsin.settings import Settings, load
from tocsin.store.model_usage import Usage

app = typer.Typer(no_args_is_help=True, help="Look after the language models.")

Database = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
NONE = "no language model is configured, and none is needed; docs/models.md says how to add one"
QUESTION = "Reply with the single word: pong"
TOKENS = 256  # enough for a model that thinks before it says one word


class By(StrEnum):
    """What `usage` sums by."""

    DAY = "day"
    PROVIDER = "provider"
    PURPOSE = "purpose"


@app.command("check")
def check(
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Only this provider; repeat for several. Default: all."),
    ] = None,
    database: Database = None,
) -> None:
    """Ask each provider one tiny question, past cache and fall-back; prints time and cost.

    The calls are charged to the day's budget, purpose "check". Exit code 1 if one does not answer.

    Example: tocsin llm check --provider local
    """
    settings = load(database=database)
    if not settings.llm_providers:
        typer.echo(NONE)
        return
    raise typer.Exit(asyncio.run(_check(settings, provider or [])))


@app.command("usage")
def usage(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many UTC days back.")] = 30,
    by: Annotated[By, typer.Option(help="What to sum by.")] = By.DAY,
    as_json: Annotated[bool, typer.Option("--json", help="Every row, as JSON lines.")] = False,
    database: Database = None,
) -> None:
    """What the models were asked and what it cost, and what is left of today's budget.

    Example: tocsin llm usage --days 7 --by purpose
    """
    rows, left = asyncio.run(_usage(load(database=database), days))
    if as_json:
        for row in rows:
            typer.echo(json.dumps(_fields(row)))
        return
    if not rows:
        typer.echo(f"no calls in the last {days} days")
    else:
        shown = table(by.value, "calls", "failed", "cached", "tokens in", "tokens out", "cost USD")
        for name, sums in _sums(rows, by).items():
            counts = (f"{sums[field]:,}" for field in COUNTS)
            shown.add_row(name, *counts, f"{sums['cost_usd']:.4f}")
        console().print(shown)
        if estimated := sum(row.estimated for row in rows):
            typer.echo(f"{estimated} calls had no believable usage; theirs is our estimate")
    for unit, amount in left.items():
        typer.echo(
            f"left today: {amount:,.0f} tokens"
            if unit == "tokens"
            else f"left today: {amount:.4f} USD"
        )


COUNTS = ("calls", "failed", "cached", "prompt_tokens", "completion_tokens")


async def _check(settings: Settings, wanted: Sequence[str]) -> int:
    async with open_store(settings) as store:
        router = open_models(settings, store)
        try:
            known = [member.name for member in router.members]
            for name in wanted:
                if name not in known:
                    raise ModelRefused(
                        f"there is no provider {name}; there are: {', '.join(known)}"
                    )
            names = [name for name in known if not wanted or name in wanted]
            with console(stderr=True).status(f"asking {', '.join(names)} …"):
                found = await asyncio.gather(*(_try_out(router, name) for name in names))
        finally:
            await router.close()
    shown = table("provider", "model", "answer", "seconds", "tokens in", "tokens out", "cost USD")
    for name, answer in zip(names, found, strict=True):
        if isinstance(answer, ChatReply):
            counted = "~" if answer.estimated else ""
            shown.add_row(
                name,
                plain(answer.model),
                plain(answer.text.strip().replace("\n", " ")[:40]),
                f"{answer.seconds:.2f}",
                f"{counted}{answer.prompt_tokens}",
                f"{counted}{answer.completion_tokens}",
                f"{answer.cost_usd:.6f}",
            )
        else:
            shown.add_row(name, "-", plain(_said(answer)), "-", "-", "-", "-")
    console().print(shown)
    return int(any(not isinstance(answer, ChatReply) for answer in found))


async def _try_out(router: Router, name: str) -> ChatReply | TocsinError:
    timeout = next(m.config.timeout for m in router.members if m.name == name)
    request = ChatRequest(
        messages=({"role": "user", "content": QUESTION},),
        max_tokens=TOKENS,
        purpose="check",
        deadline=timeout,
    )
    try:
        return await router.try_out(name, request)
    except TocsinError as error:
        return error


def _said(error: TocsinError) -> str:
    detail = error.detail if isinstance(error, ModelRefused) else ""
    return f"FAIL: {error} {detail}".strip()


async def _usage(settings: Settings, days: int) -> tuple[list[Usage], dict[str, float]]:
    since = (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat()
    async with open_store(settings) as store:
        return await store.model_usage.usage(since), await Ledger(
            store.model_usage, settings
        ).left()


def _sums(rows: Sequence[Usage], by: By) -> dict[str, dict[str, Any]]:
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        found = sums.setdefault(getattr(row, by.value), dict.fromkeys((*COUNTS, "cost_usd"), 0))
        for name in found:
            found[name] += getattr(row, name)
    return sums


def _fields(row: Usage) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
