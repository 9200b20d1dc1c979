"""`tocsin model`: the registry of learned models."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tocsin.api.decisions import named
from tocsin.api.models import diagram_of
from tocsin.app import open_store
from tocsin.cli.decide import actor
from tocsin.cli.look import console, plain, table
from tocsin.errors import InputError, NotFoundError
from tocsin.model import ModelMetrics
from tocsin.settings import Settings, load
from tocsin.store.models import SHIPPED, ModelEntry
from tocsin.trial.card import Card

app = typer.Typer(no_args_is_help=True, help="Learned models: which there are, which one is live.")

DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
_card = msgspec.json.Decoder(Card)


@app.command("list")
def list_models(database: DatabaseUrl = None) -> None:
    """List models, newest first: champion (live), challenger, retired, rejected.

    While no learned model is live, alerts are judged by the expert model that ships with Tocsin.

    Example: tocsin model list
    """
    entries = asyncio.run(_list(load(database=database)))
    shown = table("version", "status", "created", "why")
    for entry in entries:
        created = entry.created_at.isoformat(timespec="seconds")
        shown.add_row(entry.version, entry.status.value, created, plain(entry.why))
    live = next((entry.version for entry in entries if entry.status == "champion"), SHIPPED)
    if entries:
        console().print(shown)
    typer.echo(f"live: {live}")


@app.command("show")
def show(
    version: Annotated[str, typer.Argument(help="From: tocsin model list.")],
    diagram: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the reliability diagram (SVG) here.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The card and the model as JSON.")] = False,
    database: DatabaseUrl = None,
) -> None:
    """Show a model's card: its decisions, measures beside others, and weights that moved most.

    Example: tocsin model show VERSION --diagram reliability.svg
    """
    entry, artifact, stored = asyncio.run(_find(load(database=database), version))
    if diagram is not None:
        try:
            diagram.write_text(diagram_of(_card.decode(stored)), encoding="utf-8")
        except OSError as error:
            raise InputError(f"--diagram {diagram}: {error.strerror or error}") from error
    if json:
        whole = {**msgspec.structs.asdict(entry), "card": stored, "artifact": artifact}
        typer.echo(msgspec.json.encode(whole).decode())
        return
    show_card(_card.decode(stored))
    typer.echo(f"{entry.status.value}: {plain(entry.why)}")


@app.command("use")
def use(
    version: Annotated[str, typer.Argument(help="From: tocsin model list; or shipped.")],
    database: DatabaseUrl = None,
) -> None:
    """Put a model live; running workers take it up within seconds.

    Verdicts that were given stay as they are. `shipped` is the expert model that comes with Tocsin.

    Example: tocsin model use shipped
    """
    before = asyncio.run(_use(load(database=database), version))
    typer.echo(f"live: {version} (before: {before})\nback with: tocsin model use {before}")


@app.command("shipped")
def shipped(database: DatabaseUrl = None) -> None:
    """Go back to the expert model that ships with Tocsin.

    The same as: tocsin model use shipped. The learned model is retired and can be put live again.
    """
    before = asyncio.run(_use(load(database=database), SHIPPED))
    typer.echo(f"live: {SHIPPED} (before: {before})\nback with: tocsin model use {before}")


def show_card(card: Card) -> None:
    """Print a card."""
    screen = console()
    data = card.data
    said = ", ".join(f"{count} {word}" for word, count in data.by_disposition.items())
    sources = ", ".join(f"{plain(name)} {count}" for name, count in data.by_source.items())
    screen.print(f"model {card.version}", style="bold")
    screen.print(
        f"decisions: {data.decisions} ({said}), {data.first:%Y-%m-%d} to {data.last:%Y-%m-%d}\n"
        f"sources: {sources}\n"
        f"contradicting: {data.contradicting}, of which {data.left_out} left out\n"
        f"learned on {data.learned_on}, held back {data.held_back} in {data.held_groups} groups\n"
    )
    shown = table("on what was held back", "log-loss", "Brier", "ECE", "ROC-AUC", "PR-AUC")
    rows = {
        "this model": card.challenger,
        f"champion ({card.champion_version[:24]})": card.champion,
        **{f"baseline: {name}": metrics for name, metrics in card.baselines.items()},
    }
    for name, metrics in rows.items():
        shown.add_row(name, *_measures(metrics))
    screen.print(shown)
    screen.print(
        f"\nlog-loss {card.comparison.difference:+.4f} beside the champion "
        f"(95 %: {card.comparison.low:+.4f} to {card.comparison.high:+.4f})"
    )
    if card.moved:
        moves = table("weight", "before", "after", "moved")
        for move in card.moved:
            change = f"{move.after - move.before:+.3f}"
            moves.add_row(plain(move.name), f"{move.before:+.3f}", f"{move.after:+.3f}", change)
        screen.print(moves)


def _measures(metrics: ModelMetrics) -> list[str]:
    values = (metrics.log_loss, metrics.brier, metrics.ece, metrics.roc_auc, metrics.pr_auc)
    return ["-" if value is None else f"{value:.4f}" for value in values]


async def _list(settings: Settings) -> list[ModelEntry]:
    async with open_store(settings) as store:
        return await store.models.list_models()


async def _find(settings: Settings, version: str) -> tuple[ModelEntry, msgspec.Raw, msgspec.Raw]:
    named(version, NotFoundError("there is no such model"))
    async with open_store(settings) as store:
        return await store.models.find(version)


async def _use(settings: Settings, version: str) -> str:
    named(version, NotFoundError("there is no such model"))
    async with open_store(settings) as store:
        return await store.models.use(version, actor=actor())
