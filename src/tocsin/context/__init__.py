"""The context step: what is known of the networks, the machine and the person in an alert."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec.structs import replace

from tocsin.context.asset import AssetCollector
from tocsin.context.keys import Answer, Answers, Questions, history_keys
from tocsin.context.network import AddressBook, NetworkCollector
from tocsin.context.user import UserCollector
from tocsin.knowledge.addresses import geography
from tocsin.model import Dossier
from tocsin.ports import EntityKey, Resources, Work


class Collector(Protocol):
    """Finds one kind of context: says what it must know, then makes a fact of the answers."""

    def ask(self, dossier: Dossier, /) -> Questions:
        """What must be known of one alert."""
        ...

    def answer(self, dossier: Dossier, asked: Questions, answers: Answers, /) -> Answer:
        """The fact of one alert, and the gaps in it."""
        ...


COLLECTORS: Final[tuple[Callable[[AddressBook], Collector], ...]] = (
    NetworkCollector,
    AssetCollector,
    UserCollector,
)


def build(resources: Resources) -> Work:
    """The step's function: three facts for every alert, in the order of `COLLECTORS`.

    The inventory, the directory and the history are asked once each per batch.

    Raises:
        SettingsError: an internal network or a zone is not written as a CIDR.
    """
    book = AddressBook(resources.settings)
    collectors = tuple(make(book) for make in COLLECTORS)

    async def collect(batch: Sequence[Dossier]) -> list[Dossier]:
        if not geography.cache_info().currsize:  # reading the data takes half a second, once
            await asyncio.to_thread(geography)
        asked = [[collector.ask(dossier) for collector in collectors] for dossier in batch]
        answers = await _answers(resources, [each for all_ in asked for each in all_])
        return [
            _with_facts(
                dossier,
                [
                    collector.answer(dossier, questions, answers)
                    for collector, questions in zip(collectors, own, strict=True)
                ],
            )
            for dossier, own in zip(batch, asked, strict=True)
        ]

    return collect


async def _answers(resources: Resources, asked: Iterable[Questions]) -> Answers:
    """Ask for every distinct key of the batch, the three sources at the same time."""
    assets: set[EntityKey] = set()
    users: set[EntityKey] = set()
    history: set[EntityKey] = set()
    for questions in asked:
        assets.update(questions.assets)
        users.update(questions.users)
        history.update(questions.history)
    found_assets, found_users, counts = await asyncio.gather(
        resources.inventory.assets(list(assets)),
        resources.inventory.users(list(users)),
        resources.history.prevalence(list(history), datetime.now(UTC)),
    )
    recorded = (1, 1)
    if (assets and not found_assets) or (users and not found_users):
        recorded = await resources.inventory.counts()
    return Answers(
        found_assets,
        found_users,
        counts,
        has_inventory=recorded[0] > 0,
        has_directory=recorded[1] > 0,
    )


def _with_facts(dossier: Dossier, answers: Sequence[Answer]) -> Dossier:
    gaps = tuple([gap for _, found in answers for gap in found])
    facts = tuple([fact for fact, _ in answers])
    if not gaps:
        return replace(dossier, context=facts)
    return replace(dossier, context=facts, gaps=dossier.gaps + gaps)


__all__ = ["COLLECTORS", "Collector", "build", "history_keys"]
