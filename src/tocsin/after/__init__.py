"""What follows a verdict: which alerts belong to one incident, and why.

The step finds what an alert has in common with others (`links`); the store then places it by the
rules of `Rules`, in the transaction that ends the work.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tocsin.after import entities, place, telling
from tocsin.after.link import MOST_MET, WINDOW, asked, links
from tocsin.model import (
    Account,
    Action,
    Disposition,
    Dossier,
    Gist,
    Link,
    Member,
    ResponsePhase,
    RiskLevel,
)
from tocsin.ports import Extent, Met, Move, Placed, Resources, Work

__all__ = ["Rules", "build", "wants"]

FOLLOWED = frozenset({RiskLevel.MEDIUM, RiskLevel.HIGH, RiskLevel.CRITICAL})
REMEDIES = frozenset({ResponsePhase.CONTAINMENT, ResponsePhase.ERADICATION, ResponsePhase.RECOVERY})


def wants(dossier: Dossier) -> bool:
    """Whether anything follows this verdict: an attack, or a risk of medium or more."""
    verdict = dossier.verdict
    return verdict is not None and (
        verdict.risk_level in FOLLOWED or verdict.verdict is Disposition.TRUE_POSITIVE
    )


def build(resources: Resources) -> Work:
    """The step: fills `links` of each dossier.

    Raises:
        SettingsError: the shipped list of what never links cannot be used.
    """
    generic = entities.shipped()

    async def work(batch: Sequence[Dossier]) -> list[Dossier]:
        keys = entities.addresses(batch)
        assets = await resources.inventory.assets(keys) if keys else {}
        trails = [entities.trail(dossier, generic, assets) for dossier in batch]
        wanted = [asked(trail) for trail in trails]
        met = await resources.incidents.meet(trails, wanted, WINDOW, MOST_MET) if trails else ()
        by_entity: dict[tuple[str, str], list[Met]] = {}
        for one in met:
            by_entity.setdefault((one.kind, one.value), []).append(one)
        return [
            msgspec.structs.replace(dossier, links=links(trail, by_entity))
            for dossier, trail in zip(batch, trails, strict=True)
        ]

    return work


class Rules:
    """How alerts become incidents and proposals; see `ports.Grouping`."""

    def place(
        self,
        links: Mapping[str, Sequence[Link]],
        placed: Mapping[str, Placed],
        extents: Mapping[str, Extent],
        parted: Collection[tuple[str, str]],
    ) -> Sequence[Move]:
        """See `ports.Grouping.place`."""
        return place.place(links, placed, extents, parted)

    def gist(self, members: Sequence[Member], before: Gist | None = None) -> Gist:
        """See `ports.Grouping.gist`."""
        return telling.gist(members, before)

    def account(self, of: Gist) -> Account:
        """See `ports.Grouping.account`."""
        return telling.account(of)

    def proposals(self, dossier: Dossier) -> Sequence[Action]:
        """See `ports.Grouping.proposals`: remedies, where an attack is taken to be real."""
        verdict = dossier.verdict
        if verdict is None or verdict.verdict is not Disposition.TRUE_POSITIVE:
            return ()
        if verdict.risk_level not in FOLLOWED:
            return ()
        return [
            action
            for action in verdict.recommended_actions
            if action.phase in REMEDIES and action.entity_type != "alert"
        ]
