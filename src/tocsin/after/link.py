"""How strongly two alerts belong together, and why.

Each entity that both have speaks for it: the rarer, the more. What speaks adds up like
independent witnesses (1 - the product of what each leaves open), fades with the time between the
alerts, and counts more where the later alert stands further along an attack. The measure is the
same from either side, so it does not matter which of the two comes first.
"""

import math
from collections.abc import Collection, Mapping, Sequence
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
MOST_LEFT_OPEN = 1 - (LEAST - 0.0001) / FORWARD  # with more, no time and no order makes a link
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
    speaking = _speaking(trail, met)
    if math.prod(1 - _strength(one.kind, times) for one, times, _ in speaking) > MOST_LEFT_OPEN:
        return ()
    strong = _strong(trail, speaking)
    why = _reasons(speaking, {one.alert_id for _, one in strong})
    return tuple(
        Link(alert_id=one.alert_id, at=one.at, score=score, reasons=why[one.alert_id])
        for score, one in strong
    )


def asked(trail: Trail) -> Trail:
    """The same with only the entities that may link it: of the others nobody need be looked up.

    An entity that thousands have says nothing, and those are the entities that would bring most.
    """
    speaking = [one for one in trail.entities if _strength(one.kind, one.seen) > 0]
    least = math.prod(1 - _strength(one.kind, one.seen) for one in speaking)
    return trail._replace(entities=speaking if least <= MOST_LEFT_OPEN else ())


def _strong(
    trail: Trail, speaking: Sequence[tuple[Entity, int, Sequence[Met]]]
) -> list[tuple[float, Met]]:
    """The alerts that are linked, and how strongly; the strongest first.

    It looks at thousands of alerts for one. So what cannot make a link at any time and in any order
    is left out before those are looked at.
    """
    left_open: dict[str, float] = {}
    others: dict[str, Met] = {}
    for entity, times, found in speaking:
        usual = 1 - _strength(entity.kind, times)
        for one in found:
            left = usual if one.seen <= times else 1 - _strength(entity.kind, one.seen)
            alert_id = one.alert_id
            if alert_id in left_open:
                left_open[alert_id] *= left
            else:
                left_open[alert_id], others[alert_id] = left, one
    left_open.pop(trail.alert_id, None)
    near = (
        (others[alert_id], left)
        for alert_id, left in left_open.items()
        if left <= MOST_LEFT_OPEN and abs(trail.at - others[alert_id].at) <= WINDOW
    )
    scored = ((_score(trail, one, left), one) for one, left in near)
    strong = (found for found in scored if found[0] >= LEAST)
    return sorted(strong, key=lambda found: (-found[0], found[1].alert_id))[:MOST_LINKS]


def _speaking(
    trail: Trail, met: Mapping[tuple[str, str], Sequence[Met]]
) -> list[tuple[Entity, int, Sequence[Met]]]:
    """Each entity that may link, how many alerts have it at least, and who has it."""
    speaking = []
    for entity in trail.entities:
        found = met.get((entity.kind, entity.value), ())
        if len({one.beside for one in found if one.beside}) > FAN_OUT:
            continue
        counted = len(found) if entity.kind in (EntityKind.HASH, EntityKind.DOMAIN) else 0
        times = max(entity.seen, counted)
        if _strength(entity.kind, times) > 0:
            speaking.append((entity, times, found))
    return speaking


def _reasons(
    speaking: Sequence[tuple[Entity, int, Sequence[Met]]], wanted: Collection[str]
) -> dict[str, tuple[Reason, ...]]:
    """By alert, what speaks for its link, the strongest first.

    Alerts share the reasons that are the same: making one costs more than all else here.
    """
    why: dict[str, list[Reason]] = {alert_id: [] for alert_id in wanted}
    for entity, least, found in speaking if why else ():
        made: dict[int, Reason] = {}
        for one in found:
            if one.alert_id in why:
                times = max(least, one.seen)
                reason = made.get(times) or made.setdefault(times, _reason(entity, times))
                if reason.strength > 0:
                    why[one.alert_id].append(reason)
    return {
        alert_id: tuple(sorted(found, key=lambda r: (-r.strength, r.kind, r.value)))
        for alert_id, found in why.items()
    }


def _reason(entity: Entity, times: int) -> Reason:
    return Reason(
        kind=entity.kind,
        value=entity.value,
        strength=_strength(entity.kind, times),
        statement=_statement(entity.kind, entity.value, times),
    )


@lru_cache(maxsize=4096)
def _strength(kind: EntityKind, times: int) -> float:
    return round(STRENGTH[kind] * rarity(times), 4)


def rarity(times: int) -> float:
    """1 for what nobody else has, falling with the logarithm to 0 for what thousands have."""
    return max(0.0, 1 - math.log1p(times) / math.log1p(COMMON))


def _score(trail: Trail, other: Met, left_open: float) -> float:
    apart = abs(trail.at - other.at)
    fading: float = 0.5 ** (apart / HALF_LIFE)
    first, second = (trail, other) if trail.at <= other.at else (other, trail)
    order = _order(first.stage, second.stage) if apart else 1.0
    return round(min((1 - left_open) * fading * order, MOST_CERTAIN), 4)


def _order(earlier: int, later: int) -> float:
    """What the order of the two on ATT&CK's matrix says; nothing when one is unknown."""
    if earlier < 0 or later < 0 or earlier == later:
        return 1.0
    return FORWARD if later > earlier else BACKWARD


def _statement(kind: EntityKind, value: str, times: int) -> str:
    often = f"{times} alerts of 30 days have it" if times else "no other alert of 30 days had it"
    return "Both have the " + CALLED[kind] + " " + value + "; " + often + "."
