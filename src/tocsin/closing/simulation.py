"""Does the bound hold? Many synthetic histories through the functions that the server uses.

A history is one class: alerts with a score each, some of them attacks; random samples that people
judge; the threshold that they prove; and what then happens while alerts are closed. numpy works on
all histories at once. Commands import this module; servers never do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.closing.bounds import START_MARGIN, climb, samples_needed
from tocsin.closing.drift import Alarm, shift
from tocsin.model import EDGES, ClosingRules

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SHIFT = ClosingRules(classes=()).shift
LOOKS = (300, 600, 1200, 2000)
"""Alerts since it is on after which the scores are compared."""
REPEATS = 20
"""Alerts that one thing sets off, where an assumption says that it sets off one."""


@dataclass(frozen=True, slots=True)
class World:
    """What the truth is, and which assumption is broken.

    Attributes:
        name: shown to people.
        text: what is different.
        rates: the share of attacks at each score (one of `EDGES`), times alpha.
        seen: the chance that a sampled attack gets into the calibration; 1: samples are random.
        called: the chance that people call an attack one; 1: no noise in the labels.
        grows: how many times more attacks there are once it is enabled; 1: no drift.
        repeats: alerts that each thing sets off; 1: alerts are independent.
        moves: whether the scores lie elsewhere once it is on.
    """

    name: str
    text: str
    rates: Floats
    seen: float = 1.0
    called: float = 1.0
    grows: float = 1.0
    repeats: int = 1
    moves: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all histories of a world; shares are between 0 and 1.

    Attributes:
        world: which.
        broken: histories that close more attacks than alpha, of all.
        proven: histories in which a threshold was proven, of all.
        closed: alerts that are closed, on average over all histories.
        refused: histories that the guard against repeats would have refused, of those proven.
        noticed: histories in which a drift test switched it off, of those proven.
        delay: alerts of the class until then; the median of those; not a number without any.
    """

    world: World
    broken: float
    proven: float
    closed: float
    refused: float
    noticed: float
    delay: float


def worlds(cells: int) -> tuple[tuple[World, ...], tuple[World, ...]]:
    """Worlds in which all assumptions hold, and worlds in which one is broken."""
    level = np.full(cells, 1.05)
    rising = np.geomspace(0.05, 40.0, cells)
    good = np.geomspace(0.02, 1.2, cells)
    bottom = np.full(cells, 0.2)
    bottom[: cells // 3] = 3.0  # the scores are wrong where they are surest
    return (
        World("level", "5 % too many attacks at every score, the hardest case", level),
        World("rising", "attacks become more with the score", rising),
        World("good", "few attacks at any score", good),
        World("misleading", "most attacks at the lowest scores", bottom),
    ), (
        World("chosen samples", "4 of 5 attacks miss the calibration", level * 1.5, seen=0.2),
        World("more attacks", "10 times as many attacks once it is on", good, grows=10.0),
        World("moved scores", "the scores lie higher once it is on", rising, moves=True),
        World("wrong labels", "people call 4 of 5 attacks harmless", level * 1.5, called=0.2),
        World("repeats", f"each thing sets off {REPEATS} alerts", level * 1.5, repeats=REPEATS),
    )


def simulate(
    world: World,
    *,
    histories: int,
    alpha: float,
    delta: float,
    samples: int,
    seed: int,
    sample_rate: float = 0.05,
    alarm: float = 0.01,
    watched: int = 2000,
) -> Outcome:
    """Run all histories of one world.

    Args:
        world: the truth.
        histories: how many.
        alpha: largest share of attacks among closed alerts.
        delta: chance that the bound does not hold, for this one class at one look.
        samples: judged samples that the calibration takes.
        seed: of the random numbers; the same gives the same.
        sample_rate: share of alerts that is drawn.
        alarm: chance of a false alarm, ever.
        watched: judged samples of closed scores after it is on, that the alarm is given.
    """
    random = np.random.default_rng(seed)
    cells = len(world.rates)
    shares = random.dirichlet(np.full(cells, 1.0), size=histories)  # how the scores lie
    rates = np.minimum(world.rates * alpha, 1.0)
    below, attacks = _judged(random, world, shares, rates, samples)
    passing = random.multinomial(round(samples / sample_rate), shares)
    start = _starts(passing, samples, samples_needed(alpha, delta))
    found = climb(below, attacks, start, alpha, delta)
    proven = found >= 0
    place = np.maximum(found, 0)
    upward = np.geomspace(0.05, 5.0, cells)  # most of them where attacks are more
    later = random.dirichlet(upward, size=histories) if world.moves else shares
    mass = np.cumsum(later, axis=1)
    bad = np.cumsum(later * np.minimum(rates * world.grows, 1.0), axis=1)
    every = np.arange(histories)
    truth = bad[every, place] / mass[every, place]
    rang = _alarms(random, world, truth[proven], alpha, alarm, watched)
    delays = np.where(rang > 0, rang / (sample_rate * mass[every, place][proven]), np.inf)
    moved = _shifts(random, passing[proven], later[proven])
    delays = np.minimum(delays, moved)  # in alerts of the class
    things = samples / world.repeats
    return Outcome(
        world=world,
        broken=float(np.mean(proven & (truth > alpha))),
        proven=float(np.mean(proven)),
        closed=float(np.mean(np.where(proven, mass[every, place], 0.0)) * (1 - sample_rate)),
        refused=float(things < samples_needed(alpha, delta)),
        noticed=float(np.mean(np.isfinite(delays))) if delays.size else 0.0,
        delay=float(np.median(delays[np.isfinite(delays)]))
        if np.any(np.isfinite(delays))
        else float("nan"),
    )


def _judged(
    random: np.random.Generator, world: World, shares: Floats, rates: Floats, samples: int
) -> tuple[Ints, Ints]:
    """Samples up to each score, and what people called attacks among them."""
    things = max(samples // world.repeats, 1)
    drawn = random.multinomial(things, shares)
    attacks = random.binomial(drawn, rates)
    if world.seen < 1:  # attacks left out are made up for by harmless alerts
        attacks = random.binomial(attacks, world.seen)
    if world.called < 1:
        attacks = random.binomial(attacks, world.called)
    repeats = world.repeats
    return np.cumsum(drawn * repeats, axis=1), np.cumsum(attacks * repeats, axis=1)


def _starts(passing: Ints, samples: int, fewest: int) -> Ints:
    """`bounds.first_candidate` for all histories."""
    sums = np.cumsum(passing, axis=1)
    enough = samples * sums / sums[:, -1:] >= START_MARGIN * fewest
    last = passing.shape[1] - 1
    found: Ints = np.where(enough.any(axis=1), enough.argmax(axis=1), last)
    return found


def _alarms(
    random: np.random.Generator,
    world: World,
    truth: Floats,
    alpha: float,
    chance: float,
    watched: int,
) -> Ints:
    """The number of the judged sample at which each alarm rang; 0 where it did not."""
    alarm = Alarm(alpha)
    rang = np.zeros(len(truth), dtype=np.int64)
    attack = np.zeros(len(truth))
    for number in range(1, watched + 1):
        if (number - 1) % world.repeats == 0:  # otherwise the same thing again
            attack = (random.random(len(truth)) < truth * world.called).astype(np.float64)
        alarm.take(attack)
        rang[(rang == 0) & (alarm.highest >= 1 / chance)] = number
    return rang


def _shifts(random: np.random.Generator, passing: Ints, later: Floats) -> Floats:
    """After how many alerts each shift of the scores was found; infinite where none was."""
    found = np.full(len(passing), np.inf)
    seen = np.zeros_like(passing)
    for size in LOOKS:
        more = size - int(seen[0].sum()) if len(seen) else 0
        seen = seen + random.multinomial(more, later)
        for number in np.flatnonzero(np.isinf(found)):
            before = {n: int(c) for n, c in enumerate(passing[number]) if c}
            now = {n: int(c) for n, c in enumerate(seen[number]) if c}
            moved = shift(before, now)
            if moved is not None and moved[0] >= SHIFT + moved[1]:
                found[number] = size
    return found


def all_outcomes(
    *, histories: int, alpha: float, delta: float, samples: int, seed: int
) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
    """Every world: those where all assumptions hold, and those where one is broken."""
    holding, broken = worlds(len(EDGES))
    done = [
        simulate(
            world, histories=histories, alpha=alpha, delta=delta, samples=samples, seed=seed + n
        )
        for n, world in enumerate((*holding, *broken))
    ]
    return done[: len(holding)], done[len(holding) :]
