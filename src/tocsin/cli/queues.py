"""`tocsin queue`: what waits on the broker."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from tocsin.app import open_broker, open_store
from tocsin.cli.look import console, table
from tocsin.errors import InputError
from tocsin.pipeline import STEPS
from tocsin.ports import DEAD_LETTERS
from tocsin.runner import ENVELOPE_IDS
from tocsin.settings import Settings, load

app = typer.Typer(no_args_is_help=True, help="Look at and look after the broker's queues.")

BrokerUrl = Annotated[str | None, typer.Option(help="Broker URL; default TOCSIN_BROKER.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]


@app.command("list")
def show(broker: BrokerUrl = None, database: DatabaseUrl = None) -> None:
    """Show how many envelopes wait in each queue, and how many alerts for each step.

    Envelopes hold up to 200 ids each. The alerts are counted in the database, which is the truth.

    Example: tocsin queue list --broker amqp://guest:guest@127.0.0.1:5672/
    """
    asyncio.run(_show(load(broker=broker, database=database)))


@app.command("replay")
def replay(broker: BrokerUrl = None, database: DatabaseUrl = None) -> None:
    """Take the dead letters and ring again for those of their alerts that still wait.

    Nothing can be lost by it: the sweeper rings for them too, only later.
    """
    rung, done = asyncio.run(_replay(load(broker=broker, database=database)))
    typer.echo(f"rang again for {rung} alerts; {done} were done or parked already")


@app.command("purge")
def purge(
    queue: Annotated[str, typer.Argument(help="As shown by: tocsin queue list.")],
    broker: BrokerUrl = None,
) -> None:
    """Empty a queue. No alert is lost: the sweeper rings for those that wait."""
    count = asyncio.run(_purge(load(broker=broker), queue))
    typer.echo(f"took {count} ids out of {queue}")


async def _show(settings: Settings) -> None:
    async with open_broker(settings) as bus, open_store(settings) as store:
        depths = await bus.depths()
        waits = await store.balance.waits()
    steps = {step.takes: step.name for step in STEPS}
    shown = table("queue", "envelopes", "step", "alerts waiting")
    for name, depth in depths.items():
        step = steps.get(name, "")
        count = str(waits.get(step, (0, 0.0))[0]) if step else ""
        shown.add_row(name, str(depth), step, count)
    console().print(shown)


async def _replay(settings: Settings) -> tuple[int, int]:
    async with open_broker(settings) as bus, open_store(settings) as store:
        ids = list(dict.fromkeys(await bus.empty(DEAD_LETTERS)))
        rung = 0
        for start in range(0, len(ids), ENVELOPE_IDS):
            waiting = await store.balance.steps_of(ids[start : start + ENVELOPE_IDS])
            for step in STEPS:
                await bus.ring(step.takes, _of(waiting, step.name))
            rung += len(waiting)
    return rung, len(ids) - rung


async def _purge(settings: Settings, queue: str) -> int:
    async with open_broker(settings) as bus:
        known = await bus.depths()
        if queue not in known:
            raise InputError(f"there is no queue {queue}; there are: {', '.join(known)}")
        return len(await bus.empty(queue))


def _of(waiting: dict[str, str], step: str) -> Sequence[str]:
    return [alert_id for alert_id, found in waiting.items() if found == step]
