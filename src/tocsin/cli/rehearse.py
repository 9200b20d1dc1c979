"""Rehearsals for the command line: learn from a file, triage another, with progress."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

from rich.progress import Progress, TaskID

from tocsin.app import open_store, resources
from tocsin.cli.labels import Count, Labelled, Reading, disposition_of, read_labelled, settle
from tocsin.errors import InputError
from tocsin.ingest import Item, Limits
from tocsin.learn import Sample, fit_sample
from tocsin.model import Disposition, Dossier, Learned
from tocsin.rehearsal import Rehearsal
from tocsin.settings import Settings

PORTION = 2000


@asynccontextmanager
async def rehearsals(settings: Settings) -> AsyncIterator["Rehearsals"]:
    """Rehearsals with the inventory, directory and indicators of the database, if one is named."""
    if settings.database:
        async with open_store(settings) as store:
            yield Rehearsals(settings, lambda: Rehearsal(resources(settings, store)))
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        url = f"sqlite:///{Path(folder) / 'rehearsal.db'}"
        empty = settings.model_copy(update={"database": url})
        async with open_store(empty) as store:
            yield Rehearsals(empty, lambda: Rehearsal(resources(empty, store)))


class Rehearsals:
    """Makes rehearsals: each begins without history."""

    def __init__(self, settings: Settings, begin: Callable[[], Rehearsal]) -> None:
        self.begin = begin
        self.limits = Limits(settings.max_alert_bytes, settings.max_depth)


async def fitted(sample: Sample) -> Learned:
    """The model of a sample, worked out on a thread so that the bar goes on."""
    return await asyncio.to_thread(fit_sample, sample)


def read_whole(name: str, reading: Reading, limits: Limits, count: Count) -> list[Labelled]:
    """The labelled alerts of a file with their truth.

    Raises:
        InputError: the file cannot be read, or a label is not known.
    """
    return settle(list(read_labelled(name, reading, limits, count)), count, name)


def decisions(
    names: Sequence[str], reading: Reading, limits: Limits, count: Count
) -> Iterator[tuple[Item, Disposition]]:
    """The decided alerts of files, one after the other; a file is not held whole.

    Raises:
        InputError: a label is a word that is not known.
    """
    for name in names:
        for one in _settled(name, reading, limits, count):
            yield one.item, disposition_of(one)


def _settled(name: str, reading: Reading, limits: Limits, count: Count) -> Iterator[Labelled]:
    """In portions; a set that marks harmless alerts with a sign shows it in its first portion."""
    lines = read_labelled(name, reading, limits, count)
    while portion := list(islice(lines, PORTION * 10)):
        yield from settle(portion, count, name)


async def learn_from(
    rehearsal: Rehearsal,
    lines: Iterable[tuple[Item, Disposition]],
    bar: Progress,
    task: TaskID,
) -> Learned:
    """Learn from decided alerts, with progress.

    Raises:
        InputError: the decisions are all of one kind.
    """
    return await rehearsal.learn(lines, fitted, lambda count: bar.advance(task, count))


async def triaged(
    rehearsal: Rehearsal,
    items: Sequence[Item],
    bar: Progress,
    task: TaskID,
    source: str | None = None,
) -> list[Dossier]:
    """The dossiers of these alerts, with progress."""
    done: list[Dossier] = []
    for start in range(0, len(items), PORTION):
        portion = items[start : start + PORTION]
        done += await rehearsal.triage(portion, source)
        bar.advance(task, len(portion))
    return await rehearsal.settle(done)


def require_both(found: Sequence[Labelled], name: str) -> None:
    """Both kinds are needed to tell how good a ranking is.

    Raises:
        InputError: all alerts are of one kind.
    """
    attacks = sum(bool(one.attack) for one in found)
    if not 0 < attacks < len(found):
        raise InputError(
            f"{name}: {attacks} of {len(found)} alerts are attacks; both kinds are needed"
        )
