"""The steps of the pipeline over files, in memory.

The work is that of the same steps in the same order, so the same numbers come out. What surrounds
them is different: nothing is stored, alerts are numbered instead of identified, and the history
holds only what this rehearsal has seen.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from msgspec.structs import replace as replaced

from tocsin.context import history_keys
from tocsin.ingest import Item
from tocsin.learn import Sample, levelled
from tocsin.model import Disposition, Dossier, Example, Learned, Prevalence
from tocsin.pipeline import STEPS
from tocsin.ports import EntityKey, Resources, Work

BATCH = 500
FILLS = ("alert", "context", "intel", "verdict")  # what follows a verdict is not rehearsed


class MemoryHistory:
    """Answers `ports.History` from what this rehearsal has seen; a day has no end in it."""

    def __init__(self) -> None:
        self._seen: dict[EntityKey, int] = {}

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        """How many alerts had each value so far."""
        del now
        seen = self._seen
        return {
            key: Prevalence(
                subject=key.kind,
                value=key.value,
                day=(count := seen.get(key, 0)),
                week=count,
                month=count,
            )
            for key in keys
        }

    def record(self, batch: Iterable[Dossier]) -> None:
        """Count what a batch was about."""
        seen = self._seen
        for dossier in batch:
            for key in history_keys(dossier):
                seen[key] = seen.get(key, 0) + 1


class FixedModel:
    """Answers `ports.Models` with the one model that was learned here."""

    def __init__(self) -> None:
        self.learned: Learned | None = None
        self._version = 0

    def use(self, learned: Learned | None) -> None:
        """Judge by this model from the next batch on."""
        self.learned = learned
        self._version += 1

    async def version(self) -> int:
        """Changes with every `use`."""
        return self._version

    async def champion(self) -> Learned | None:
        """The model in use."""
        return self.learned


class Rehearsal:
    """Takes alerts through the steps in order, and can learn from decided ones on the way.

    Args:
        resources: what steps may ask; history and models are replaced by the rehearsal's own.
    """

    def __init__(self, resources: Resources) -> None:
        self.models = FixedModel()
        self._history = MemoryHistory()
        fresh = resources.settings.model_copy(update={"indicator_refresh": 1e-9})
        own = replace(resources, settings=fresh, history=self._history, models=self.models)
        works = {step.fills: step.work(own) for step in STEPS if step.fills in FILLS}
        self._find: Sequence[Work] = [works["alert"], works["context"]]
        self._judge: Sequence[Work] = [works["intel"], works["verdict"]]
        self._count = 0

    async def triage(self, items: Sequence[Item], source: str | None = None) -> list[Dossier]:
        """The dossiers of these alerts, whole, in order."""
        done: list[Dossier] = []
        for start in range(0, len(items), BATCH):
            batch = await self._found(items[start : start + BATCH], source)
            for work in self._judge:
                batch = await work(batch)
            done += batch
        return done

    async def settle(self, dossiers: Sequence[Dossier]) -> list[Dossier]:
        """The same, with what they show together of rules that nobody has decided on.

        A model that has learned what a rule's level is worth takes the levels of such rules from
        these alerts, and judges them again.
        """
        learned = self.models.learned
        level = levelled(learned, dossiers, inside=True) if learned is not None else None
        if level is learned:
            return list(dossiers)
        self.models.use(level)
        done: list[Dossier] = []
        for start in range(0, len(dossiers), BATCH):
            batch = [_unjudged(dossier) for dossier in dossiers[start : start + BATCH]]
            done += await self._judge[-1](batch)
        return done

    async def remember(self, items: Sequence[Item]) -> None:
        """Let these alerts have come before; nothing is judged and nothing learned."""
        for start in range(0, len(items), BATCH):
            await self._found(items[start : start + BATCH], None)

    async def learn(
        self,
        lines: Iterable[tuple[Item, Disposition]],
        fit: Callable[[Sample], Awaitable[Learned]],
        told: Callable[[int], object] = int,
    ) -> Learned:
        """Learn from decided alerts, and judge by what was learned from then on.

        Every alert is normalised and put into context, so that the hour before the next one is
        known; only those that learning keeps are judged. `told` hears how many more were read.

        Raises:
            InputError: the decisions are all of one kind, or there are none.
        """
        sample, lines = Sample(), iter(lines)
        while portion := list(islice(lines, BATCH)):
            batch = await self._found([item for item, _ in portion], None)
            kept = [
                (dossier, disposition)
                for dossier, (_, disposition) in zip(batch, portion, strict=True)
                if sample.wants(dossier, disposition)
            ]
            judged = [dossier for dossier, _ in kept]
            for work in self._judge:
                judged = await work(judged)
            for dossier, (_, disposition) in zip(judged, kept, strict=True):
                sample.take(
                    Example(
                        dossier=dossier, disposition=disposition, decided_at=dossier.received_at
                    )
                )
            told(len(portion))
        learned = await fit(sample)
        self.models.use(learned)
        return learned

    async def _found(self, items: Sequence[Item], source: str | None) -> list[Dossier]:
        now = datetime.now(UTC)
        batch = []
        for item in items:
            self._count += 1
            name = f"rehearsal-{self._count:08d}"
            batch.append(
                Dossier(alert_id=name, received_at=now, payload=item.payload, source=source)
            )
        for work in self._find:
            batch = await work(batch)
        self._history.record(batch)
        return batch


def _unjudged(dossier: Dossier) -> Dossier:
    gaps = tuple([gap for gap in dossier.gaps if gap.step != "triage"])
    return replaced(dossier, verdict=None, gaps=gaps)
