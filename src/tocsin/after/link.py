"""How strongly two alerts belong together, and why.

Each entity that both have speaks for it: the rarer, the more. What speaks adds up like
independent witnesses (1 - the product of what each leaves open), fades with the time between the
alerts, and counts more where the later alert stands further along an attack. The measure is the
same from either side, so it does not matter which of the two comes first.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache

from tocsin.model import Entity, EntityKind, Link, Reason
from tocsin.ports import Met, Trail

WINDOW = timedelta(hours=72)  # intruders pause over nights and weekends
HALF_LIFE = timedelta(hours=24)
LEAST = 0.35  # a weaker link is none
MOST_MET = 100  # alerts of one entity that are looked at, the latest first
MOST_LINKS = 20
FAN_OUT = 25  # what turns up beside more different things than this is a crossroads
COMMON = 5000  # alerts in 30 days from which on an entity says nothing
FORWARD, BACKWARD = 1.25, 0.85
MOST_CERTAIN = 0.99
# What one entity that nobody else has says on its own.
STRENGTH: Mapping[EntityKind, float] = {
    EntityKind.HASH: 0.9,
    EntityKind.DOMAIN: 0.8,
    EntityKind.IP: 0.75,
    EntityKind.HOST: 0.7,
    EntityKind.USER: 0.5,
}
CALLED: Mapping[EntityKind, str] = {
    EntityKind.HASH: "file",
    EntityKind.DOMAIN: "domain",
    EntityKind.IP: "address",
    EntityKind.HOST: "host",
    EntityKind.USER: "account",
}


def links(trail: Trail, met: Mapping[tuple[str, str], Sequence[Met]]) -> tuple[Link, ...]:
    """The alerts that this one belongs to, the strongest link first.

    Args:
        trail: what the alert has.
        met: by kind and value, everything that has it, this alert included.
    """
    shared: dict[str, tuple[Met, list[tuple[float, Entity, int]]]] = {}
    for entity in trail.entities:
        found = met.get((entity.kind, entity.value), ())
        if len({one.beside for one in found if one.beside}) > FAN_OUT:
            continue
        counted = len(found) if entity.kind in (EntityKind.HASH, EntityKind.DOMAIN) else 0
        for one in found:
            if one.alert_id == trail.alert_id:
                continue
            times = max(entity.seen, one.seen, counted)
            strength = _strength(entity.kind, times)
            if strength > 0:
                shared.setdefault(one.alert_id, (one, []))[1].append((strength, entity, times))
    scored = (
        (_score(trail, one, [strength for strength, _, _ in why]), one, why)
        for one, why in shared.values()
        if abs(trail.at - one.at) <= WINDOW
    )
    strong = sorted(
        (found for found in scored if found[0] >= LEAST),
        key=lambda found: (-found[0], found[1].alert_id),
    )
    return tuple(
        Link(alert_id=one.alert_id, at=one.at, score=score, reasons=_reasons(why))
        for score, one, why in strong[:MOST_LINKS]
    )


@lru_cache(maxsize=4096)
def _strength(kind: EntityKind, times: int) -> float:
    return round(STRENGTH[kind] * rarity(times), 4)


def rarity(times: int) -> float:
    """1 for what nobody else has, falling with the logarithm to 0 for what thousands have."""
    return max(0.0, 1 - math.log1p(times) / math.log1p(COMMON))


def _score(trail: Trail, other: Met, strengths: Sequence[float]) -> float:
    apart = abs(trail.at - other.at)
    left_open = math.prod(1 - strength for strength in strengths)
    fading: float = 0.5 ** (apart / HALF_LIFE)
    first, second = (trail, other) if trail.at <= other.at else (other, trail)
    order = _order(first.stage, second.stage) if apart else 1.0
    return round(min((1 - left_open) * fading * order, MOST_CERTAIN), 4)


def _reasons(why: Sequence[tuple[float, Entity, int]]) -> tuple[Reason, ...]:
    """The strongest first."""
    found = [
        Reason(
            kind=entity.kind,
            value=entity.value,
            strength=strength,
            statement=_statement(entity.kind, entity.value, times),
        )
        for strength, entity, times in why
    ]
    return tuple(sorted(found, key=lambda reason: (-reason.strength, reason.kind, reason.value)))


def _order(earlier: int, later: int) -> float:
    """What the order of the two on ATT&CK's matrix says; nothing when one is unknown."""
    if earlier < 0 or later < 0 or earlier == later:
        return 1.0
    return FORWARD if later > earlier else BACKWARD


def _statement(kind: EntityKind, value: str, times: int) -> str:
    often = f"{times} alerts of 30 days have it" if times else "no other alert of 30 days had it"
    return "Both have the " + CALLED[kind] + " " + value + "; " + often + "."
