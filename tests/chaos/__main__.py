"""`make chaos`: every kind of fault under load; says what was lost (nothing) and how fast all
caught up.

Faults are cards of a shuffled deck, so each kind strikes at least once however short the run; a
run that is too short for the whole deck goes on until it has been dealt. After each fault the
system must catch up with the load, and in the end accepted = triaged + folded + parked, with one
row each in every table. Exit code 1 if anything is lost, doubled or left over.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.chaos.deck import Deck
from tests.chaos.sender import Sender
from tests.faults import WAITING, Spoilt, account
from tests.postgres import postgres
from tests.rabbitmq import rabbitmq
from tests.services import CHAIN, SEPARATE, fleet

GROUPS = (*SEPARATE, CHAIN)
QUICK = {
    "sweep_interval": "1", "sweep_after": "3", "max_in_flight": "20000", "retry_pause": "0.2",
    "log_level": "warning",
}  # fmt: skip
RATE = 150  # alerts/s: the load must leave room to catch up in
PATIENCE = 180.0  # seconds; what a killed worker held is free after half a minute
SHARE_OF_OUTAGE = 6  # PostgreSQL is stopped for a sixth of the run, at most a minute


@dataclass(frozen=True)
class Struck:
    """What a fault did."""

    name: str
    seconds: float
    accepted: int
    catch_up: float


def main() -> None:
    """Break things for a while, then count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long faults go on")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to repeat a run")
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    outage = min(60.0, max(2.0, wanted.seconds / SHARE_OF_OUTAGE))
    print(f"chaos for {wanted.seconds} s, seed {wanted.seed}", flush=True)
    with (
        postgres() as server,
        rabbitmq() as broker,
        tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as top,
    ):
        url, bus = server.create("chaos"), broker.create("chaos")
        spoilt = Spoilt(server, "chaos")
        with fleet(Path(top), url, bus, GROUPS, spoilable=True, **QUICK) as running:
            sender = Sender(running, RATE)
            deck = Deck(running, sender, spoilt, broker, "chaos", chance, outage)
            sender.start()
            strikes = list(strike(sender, spoilt, deck, wanted.seconds))
            sender.stop()
            started = time.monotonic()
            running.settle(PATIENCE)
            tell(strikes, time.monotonic() - started)
            verdict(spoilt, sender, deck)


def strike(sender: Sender, spoilt: Spoilt, deck: Deck, seconds: float) -> Iterator[Struck]:
    """Deal cards until the time is over and every kind has been dealt."""
    end, left = time.monotonic() + seconds, len(deck.cards())
    for card in deck.deal():
        if time.monotonic() >= end and left <= 0:
            return
        left -= 1
        before, started = len(sender.accepted), time.monotonic()
        card.strike()
        over = time.monotonic()
        took = catch_up(sender, spoilt)
        yield (struck := Struck(card.name, over - started, len(sender.accepted) - before, took))
        print(
            f"{struck.name}: {struck.seconds:.1f} s, {struck.accepted} accepted meanwhile, "
            f"caught up in {struck.catch_up:.1f} s",
            flush=True,
        )


def catch_up(sender: Sender, spoilt: Spoilt) -> float:
    """Seconds until all that was accepted before the end of a fault has come to its own."""
    started = time.monotonic()
    accepted, waiting = sender.accepted.copy(), {""}
    while time.monotonic() - started < PATIENCE:
        waiting = set(spoilt.ids(WAITING)) & accepted
        if not waiting:
            return time.monotonic() - started
        time.sleep(0.1)
    raise SystemExit(f"chaos found: {len(waiting)} alerts still wait after {PATIENCE:g} s")


def tell(strikes: list[Struck], settled: float) -> None:
    """A line for each kind of fault."""
    table = Table("fault", "times", "lasted s", "catch-up s, median", "worst", box=None)
    for name in sorted({struck.name for struck in strikes}):
        some = [struck for struck in strikes if struck.name == name]
        waits = [struck.catch_up for struck in some]
        table.add_row(
            name, str(len(some)), f"{sum(s.seconds for s in some) / len(some):.1f}",
            f"{statistics.median(waits):.1f}", f"{max(waits):.1f}",
        )  # fmt: skip
    Console(soft_wrap=True).print(table)
    print(f"{len(strikes)} faults; all settled {settled:.1f} s after the last alert")


def verdict(spoilt: Spoilt, sender: Sender, deck: Deck) -> None:
    """Compare what was accepted with what is stored; exit 1 if anything differs."""
    found = account(spoilt, sender.accepted)
    print(
        f"accepted {found.accepted} ({sender.refused} requests refused meanwhile, sent again), "
        f"triaged {found.triaged}, parked {found.parked} ({deck.poisoned} were poisoned), "
        f"lost {found.lost}, doubled {found.doubled}"
    )
    wrong = [*found.wrong, *sender.unexpected[:5]]
    if found.lost or found.doubled:
        wrong.append("alerts were lost or doubled")
    if found.parked != deck.poisoned:
        wrong.append("other alerts than the poisoned were parked")
    if wrong:
        raise SystemExit(f"chaos found: {wrong}")


main()
