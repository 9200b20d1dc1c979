"""Penalised maximum likelihood around the expert's weights, and its calibration."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from tocsin.errors import InputError
from tocsin.learn import kinds
from tocsin.learn.design import Design, expert_sum
from tocsin.learn.levels import Scored, levels, relative
from tocsin.learn.penalties import Tuning, chosen
from tocsin.learn.sample import Row, Sample
from tocsin.learn.version import versioned
from tocsin.model import Calibration, Decided, Learned
from tocsin.triage.learned import Sum

Vector = NDArray[np.float64]

FOLDS = 5
ITERATIONS = 300
FEW_RULES = 10  # below it, rules that nobody has decided on cannot be told apart
LEAST_SLOPE, MOST_SLOPE = 0.2, 2.0
SLOPE_PULL = 2.0  # how strongly a slope is pulled to 1: so many observations' worth
SMALLEST = 0.005  # weights nearer to nothing are left out
MOST_WORDS = 40_000
HOURS = 24
MOST_TUNED = 1000  # rows that penalties are chosen on; it costs their cube


def fit_sample(
    sample: Sample, *, seed: int = 0, by_rule: Mapping[str, Decided] | None = None
) -> Learned:
    """A calibrated model of a sample.

    `by_rule`: how all alerts of each rule stand decided, where the sample has only some of them.

    Raises:
        InputError: the decisions are all of one kind, or there are none.
    """
    rows = sample.rows
    attacks = sum(row.attack for row in rows)
    if not 0 < attacks < len(rows):
        raise InputError(
            "learning needs decisions of both kinds: some true_positive, and some "
            "benign_positive or false_positive"
        )
    design = Design.of(rows)
    data = _Data.of(design, rows)
    rules = {row.rule for row in rows if row.rule is not None}
    many = len(rules) >= FEW_RULES
    fit = _Fit(design, design.penalty(_penalties(design, data, rows, seed, by_rule=many)))
    weights, base = fit.solve(data)
    new = known = fit.calibration(data, [_fold(repr(row.repeat), seed) for row in rows])
    if many:
        new = fit.calibration_of_new(data, rows, seed)
    learned = Learned(
        version="",
        examples=len(rows),
        attacks=attacks,
        base=round(base, 4),
        expert=round(1.0 + float(weights[0]), 4),
        evidence=_named(design.evidence, weights),
        words=_named(design.words, weights),
        curves=design.curves(weights),
        rules=_stand(sample.by_rule(), by_rule or {}),
        known=known,
        new=new,
    )
    return versioned(learned)


@dataclass(slots=True)
class _Data:
    """Rows as numbers: columns, truth (0 or 1), weight, and the expert's sum."""

    matrix: csr_matrix
    truth: Vector
    counts: Vector
    offset: Vector

    @classmethod
    def of(cls, design: Design, rows: Sequence[Row]) -> "_Data":
        return cls(
            design.matrix(rows),
            np.array([row.attack for row in rows], dtype=np.float64),
            np.array([row.weight for row in rows]),
            np.array([expert_sum(row) for row in rows]),
        )

    def only(self, chosen: NDArray[np.bool_]) -> "_Data":
        return _Data(
            self.matrix[chosen], self.truth[chosen], self.counts[chosen], self.offset[chosen]
        )


@dataclass(slots=True)
class _Fit:
    """Solves for weights with these penalties, as often as is needed."""

    design: Design
    penalty: Vector

    def solve(self, data: _Data) -> tuple[Vector, float]:
        """The weights and the base, by L-BFGS-B (Byrd et al., 1995); some may not lower."""
        matrix, truth, counts, offset = data.matrix, data.truth, data.counts, data.offset
        turned = matrix.T.tocsr()
        penalty = self.penalty

        def loss(point: Vector) -> tuple[float, Vector]:
            weights, base = point[:-1], point[-1]
            total = matrix @ weights + offset + base
            error = counts * (1 / (1 + np.exp(-np.clip(total, -40, 40))) - truth)
            likelihood = counts @ np.logaddexp(0, np.where(truth > 0, -total, total))
            pull = penalty * weights
            return float(likelihood + 0.5 * weights @ pull), np.append(
                turned @ error + pull, error.sum()
            )

        bounds = [(low, None) for low in self.design.lowest] + [(None, None)]
        start = np.zeros(len(bounds))
        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return found.x[:-1], float(found.x[-1])

    def calibration(self, data: _Data, folds: Sequence[int]) -> Calibration:
        """Platt's correction (1999), from sums of rows that the fit behind each has not seen."""
        seen = self._unseen(data, folds)
        used = seen.used
        if not used.any():
            return Calibration()
        return _platt(seen.sums[used], data.truth[used], data.counts[used])

    def calibration_of_new(self, data: _Data, rows: Sequence[Row], seed: int) -> Calibration:
        """The same for rules that nobody has decided on, and what a rule's level is worth."""
        seen = self._unseen(
            data,
            [_fold(row.rule or "", seed) for row in rows],
            _Data.of(self.design, [row.written() for row in rows]),
        )
        used = seen.used
        if not used.any():
            return Calibration()
        by_rule = levels(
            [
                Scored(row.rule, row.repeat, Sum(total - written, written))
                for row, total, written in zip(rows, seen.sums, seen.written, strict=True)
                if row.rule is not None
            ]
        )
        centre = round(float(np.average(seen.sums[used], weights=data.counts[used])), 4)
        standings = Learned(
            version="",
            new=Calibration(centre=centre),
            levels={rule: relative(level, centre) for rule, level in by_rule.items()},
            inside=True,
        )
        standing = np.array(
            [standings.standing(row.rule, sum_) for row, sum_ in zip(rows, seen.sums, strict=True)]
        )
        found = _platt(seen.sums[used], data.truth[used], data.counts[used], standing[used])
        return msgspec.structs.replace(found, centre=centre)

    def _unseen(self, data: _Data, folds: Sequence[int], written: _Data | None = None) -> "_Unseen":
        place = np.array(folds)
        sums, parts = np.zeros(len(place)), np.zeros(len(place))
        used = np.zeros(len(place), dtype=bool)
        for fold in range(FOLDS):
            held = place == fold
            inside = data.only(~held)
            if not held.any() or not 0 < inside.truth.sum() < len(inside.truth):
                continue
            weights, base = self.solve(inside)
            outside = data.only(held)
            sums[held] = outside.matrix @ weights + outside.offset + base
            if written is not None:
                part = written.only(held)
                parts[held] = part.matrix @ weights + part.offset
            used[held] = True
        return _Unseen(sums, parts, used)


class _Unseen(NamedTuple):
    """The sums of rows, whole and of what was written alone, by fits that did not see them."""

    sums: Vector
    written: Vector
    used: NDArray[np.bool_]


def _penalties(
    design: Design, data: _Data, rows: Sequence[Row], seed: int, *, by_rule: bool
) -> dict[str, float]:
    """The penalty of each kind, chosen on some rows, up to half of them attacks.

    Left out in turn are whole days, and whole rules where there are many.
    """
    order = sorted(range(len(rows)), key=lambda n: (_digest(repr(rows[n].repeat), seed), n))
    attacks = [n for n in order if rows[n].attack]
    harmless = [n for n in order if not rows[n].attack]
    half = MOST_TUNED // 2
    least = MOST_TUNED - min(half, len(harmless))
    some = np.array(sorted(attacks[:least] + harmless[: MOST_TUNED - min(least, len(attacks))]))
    partitions: list[list[object]] = [[rows[n].repeat[2] // HOURS for n in some]]
    if by_rule:
        partitions.append([rows[n].rule for n in some])
    tuning = Tuning(
        data.matrix[some], design.kinds, data.truth[some], data.counts[some], partitions
    )
    found = chosen(tuning, kinds.PENALTY)
    return {**found, kinds.EXPERT: kinds.PENALTY[kinds.EXPERT]}


def _stand(counted: dict[str, Decided], by_rule: Mapping[str, Decided]) -> dict[str, Decided]:
    """How the rules that were learned from stand decided, by all their decisions."""
    return {rule: by_rule.get(rule, decided) for rule, decided in counted.items()}


def _platt(
    sums: Vector, truth: Vector, counts: Vector, standing: Vector | None = None
) -> Calibration:
    """The likeliest correction: a slope, of which the standing of rules counts a share.

    Both are pulled to 1.
    """
    level = np.zeros_like(sums) if standing is None else standing

    def loss(point: Vector) -> tuple[float, Vector]:
        slope, share, intercept = point
        inner = sums + (share - 1) * level
        total = slope * inner + intercept
        error = counts * (1 / (1 + np.exp(-np.clip(total, -40, 40))) - truth)
        likelihood = counts @ np.logaddexp(0, np.where(truth > 0, -total, total))
        value = likelihood + 0.5 * SLOPE_PULL * ((slope - 1) ** 2 + (share - 1) ** 2)
        return float(value), np.array(
            [
                error @ inner + SLOPE_PULL * (slope - 1),
                slope * (error @ level) + SLOPE_PULL * (share - 1),
                error.sum(),
            ]
        )

    bounds = [(LEAST_SLOPE, MOST_SLOPE), (0.0, 1.0), (None, None)]
    start = np.array([1.0, 1.0, 0.0])
    slope, share, intercept = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(
        slope=round(float(slope), 4),
        intercept=round(float(intercept), 4),
        level=min(round(float(slope * (share - 1)), 4), 0.0),
    )


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _fold(name: str, seed: int) -> int:
    return _digest(name, seed)[0] % FOLDS


def _named(places: dict[str, int], weights: Vector) -> dict[str, float]:
    """The weights that are worth keeping, by name."""
    found = {
        name: round(float(weights[place]), 4)
        for name, place in places.items()
        if abs(weights[place]) >= SMALLEST
    }
    if len(found) > MOST_WORDS:
        strongest = sorted(found, key=lambda name: (-abs(found[name]), name))[:MOST_WORDS]
        found = {name: found[name] for name in sorted(strongest)}
    return found
