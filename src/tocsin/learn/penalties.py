"""How strongly each kind of column is pulled back, chosen from the decisions themselves.

What serves alerts that the fit has not seen is found without fitting again and again: for squared
error, what a fit without a block of rows would have said of them follows from the one fit with
all (Rasmussen and Williams, Gaussian Processes for Machine Learning, section 5.4.2). Blocks are
whole rules, for rules that nobody has decided on yet, and repeats, for those that somebody has. The
variances that make this error small, not too far from where they begin, become penalties.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

STEEPNESS = 3.0  # log-odds by which a step of one in the target (-1 or 1) stands at even odds
LOOSE = 1.0  # standard deviation of the logarithm of a variance around where it begins
FREE = 4.0  # variance of the base
TURNS = 40


@dataclass(slots=True)
class Tuning:
    """Rows of the two classes with the kinds of their columns.

    Attributes:
        matrix: one line per row.
        kinds: the kind of each column.
        truth: 0 or 1.
        counts: the weight of each row.
        partitions: ways to part the rows into blocks, as the block of each row.
    """

    matrix: csr_matrix
    kinds: Sequence[str]
    truth: Vector
    counts: Vector
    partitions: Sequence[Sequence[object]]


def chosen(tuning: Tuning, begin: dict[str, float]) -> dict[str, float]:
    """The penalty of each kind; `begin` has those to begin with, and says which kinds there are.

    A kind that no column has keeps its penalty.
    """
    of_kind = np.array(tuning.kinds)
    names, kernels, starts = [], [], []
    for name in sorted(begin):
        part = tuning.matrix[:, np.flatnonzero(of_kind == name)]
        kernel = (part @ part.T).toarray()
        if kernel.trace() > 0:
            names.append(name)
            kernels.append(kernel)
            starts.append(-np.log(begin[name] * STEEPNESS**2))
    blocks = [_blocks(partition) for partition in tuning.partitions]
    target = 2 * tuning.truth - 1
    noise = np.diag(1 / tuning.counts) + FREE
    start = np.array(starts)

    def loss(point: Vector) -> tuple[float, Vector]:
        total = noise + sum(
            variance * kernel for variance, kernel in zip(np.exp(point), kernels, strict=True)
        )
        inverse = np.linalg.inv(total)
        value, slope = 0.0, np.zeros_like(total)
        for parts in blocks:
            missed, towards = _left_out(inverse, target, tuning.counts, parts)
            value += missed
            slope += towards
        away = (point - start) / LOOSE**2
        moves = np.array([np.vdot(kernel, slope) for kernel in kernels]) * np.exp(point)
        return value + 0.5 * float(away @ (point - start)), moves + away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": TURNS})
    penalties = np.exp(-found.x) / STEEPNESS**2
    return {**begin, **dict(zip(names, map(float, penalties), strict=True))}


def _blocks(partition: Sequence[object]) -> list[NDArray[np.intp]]:
    places: dict[object, list[int]] = defaultdict(list)
    for place, block in enumerate(partition):
        places[block].append(place)
    return [np.array(block) for block in places.values()]


def _left_out(
    inverse: Matrix, target: Vector, counts: Vector, blocks: Sequence[NDArray[np.intp]]
) -> tuple[float, Matrix]:
    """Half the squared error of each block by all others, and its slope in the kernel."""
    solved = inverse @ target
    errors, lifted = np.zeros_like(target), np.zeros_like(target)
    inner = np.zeros_like(inverse)
    for block in blocks:
        own = np.linalg.inv(inverse[np.ix_(block, block)])
        errors[block] = own @ solved[block]
        lifted[block] = own @ (counts[block] * errors[block])
        inner[np.ix_(block, block)] = np.outer(errors[block], lifted[block])
    slope = inverse @ inner @ inverse - np.outer(solved, inverse @ lifted)
    return 0.5 * float(counts @ errors**2), (slope + slope.T) / 2
