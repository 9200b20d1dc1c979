"""`tocsin learn`: learn from decisions, and go live only if that is better."""

import asyncio
import os
import secrets
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Annotated, Any, cast

import msgspec
import typer

from tocsin.app import Store, open_store
from tocsin.cli.decide import actor
from tocsin.cli.model import show_card
from tocsin.errors import NotEnough, Unavailable
from tocsin.model import ModelStatus, Record
from tocsin.ports import Learner
from tocsin.settings import Settings, load
from tocsin.trial.card import Card
from tocsin.trial.split import check
from tocsin.trial.trial import Verdict, hold

LEASE = "learn"
LEASE_SECONDS = 3600.0
MOST = 20_000  # decisions; their dossiers take some 10 KB each while they are learned from
NICENESS = 10
MAX_SEED = 2**32 - 1  # what every generator takes
TOO_LITTLE = "not_enough"

_card = msgspec.json.Decoder(Card)


class Outcome(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What came of learning: live, challenger, rejected, not_enough or dry_run; and why."""

    outcome: str
    why: str
    version: str | None = None


def learn(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare and show the card; change nothing.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Keep a better model as challenger; a person puts it live."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Only the outcome, as one line.")] = False,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
) -> None:
    """Learn weights from people's decisions; they go live only if they are better.

    Needs 50 decisions of both kinds. The newest quarter is held back by whole groups (one rule on
    one day). A challenger learns from the rest and meets the live model on what was held back: it
    goes live if its log-loss is less in at least 90 % of 2,000 resamples of the groups, and then
    learns from all decisions. The card says what it was learned from and how it did.

    \b
    Examples:
      tocsin learn --dry-run
      tocsin learn
      tocsin model use shipped        (take it back)
    """
    settings = load(database=database)
    if scheduled:
        with suppress(OSError):
            os.nice(NICENESS)
    who = "schedule" if scheduled else actor()
    outcome, card = asyncio.run(_learn(settings, dry_run, wait, seed, who))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        return
    if card is not None:
        show_card(card)
    typer.echo(f"{outcome.outcome}: {outcome.why}")


async def _learn(
    settings: Settings, dry_run: bool, wait: bool, seed: int, who: str
) -> tuple[Outcome, Card | None]:
    owner = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
    async with open_store(settings) as store:
        if not await store.leases.take(LEASE, owner, LEASE_SECONDS):
            raise Unavailable("somebody else is learning on this database now; try again later")
        try:
            verdict = await _trial(store, seed)
        except NotEnough as error:
            return Outcome(outcome=TOO_LITTLE, why=str(error)), None
        finally:
            await store.leases.give_back(LEASE, owner)
        if dry_run:
            outcome = Outcome(outcome="dry_run", why=verdict.why)
            return outcome, verdict.card
        status = _status(verdict, wait)
        await store.models.add(verdict.learned, verdict.card, status, verdict.why, actor=who)
    said = "live" if status is ModelStatus.CHAMPION else status.value
    return Outcome(outcome=said, why=verdict.why, version=verdict.learned.version), verdict.card


async def _trial(store: Store, seed: int) -> Verdict:
    now = datetime.now(UTC)
    champion, card = await store.models.champion(), await store.models.champion_card()
    seen: set[str] = set()
    if card is not None:
        seen = await store.decided.stored_by(_card.decode(card).created_at)
    examples, by_rule, undecided = await store.decided.teaching(MOST)
    check(examples)
    held = partial(hold, mathematics(), examples, champion, by_rule=by_rule, undecided=undecided)
    return await asyncio.to_thread(held, seen=seen, now=now, seed=seed)


def mathematics() -> Learner:
    """What fits and assesses; its libraries are loaded here, in the process that learns, alone."""
    module: Any = import_module("tocsin.learn")
    return cast("Learner", module)


def _status(verdict: Verdict, wait: bool) -> ModelStatus:
    if not verdict.better:
        return ModelStatus.REJECTED
    return ModelStatus.CHALLENGER if wait else ModelStatus.CHAMPION
