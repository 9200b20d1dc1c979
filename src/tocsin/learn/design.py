"""Rows as a sparse matrix: which columns there are, and which of them may not lower."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tocsin.learn.sample import Row
from tocsin.model import Curve

LEAST_ROWS = 2  # in how many different repeats a word must stand
STEPS = 10  # most steps of a curve
EXPERT, EVIDENCE, WORD, BARE, CURVE = "expert", "evidence", "word", "bare", "curve"
# How strongly a weight is pulled to what the expert wrote: the inverse of its expected square.
PENALTY = {EXPERT: 1.0, EVIDENCE: 1.0, WORD: 0.5, BARE: 2.0, CURVE: 0.1}
LEAST_EXPERT = 0.05 - 1.0  # the expert's sum always counts, and never turns round


@dataclass(slots=True)
class Design:
    """The columns: the expert's sum, then evidence, words and steps of curves.

    Attributes:
        evidence, words: place by name.
        edges: the edges of each curve, and the place of its first step.
        lowest: the least value of each column's weight, minus infinity where it may lower.
    """

    evidence: dict[str, int]
    words: dict[str, int]
    edges: dict[str, tuple[tuple[float, ...], int]]
    lowest: NDArray[np.float64]
    penalty: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Design":
        """The columns that these rows need."""
        evidence = sorted({item.name for row in rows for item in row.evidence})
        raising = {i.name for row in rows for i in row.evidence if i.tainted}
        words, tainted = _vocabulary(rows)
        place = 1
        evidence_at = {name: place + index for index, name in enumerate(evidence)}
        place += len(evidence)
        words_at = {word: place + index for index, word in enumerate(words)}
        place += len(words)
        edges: dict[str, tuple[tuple[float, ...], int]] = {}
        for name in sorted({name for row in rows for name in row.features.numbers}):
            found = _edges(rows, name)
            if found:
                edges[name] = (found, place)
                place += len(found)
        kinds = [EXPERT] + [EVIDENCE] * len(evidence)
        kinds += [BARE if word.isalnum() else WORD for word in words]
        kinds += [CURVE] * (place - len(kinds))
        lowest = np.full(place, -np.inf)
        lowest[0] = LEAST_EXPERT
        for name in raising:
            lowest[evidence_at[name]] = 0.0
        for word in tainted:
            if word in words_at:
                lowest[words_at[word]] = 0.0
        penalty = np.array([PENALTY[kind] for kind in kinds])
        return cls(evidence_at, words_at, edges, lowest, penalty)

    def matrix(self, rows: Sequence[Row]) -> csr_matrix:
        """One line per row; what no column knows is left out."""
        values: list[float] = []
        columns: list[int] = []
        starts = [0]
        words = self.words
        for row in rows:
            columns.append(0)
            values.append(expert_sum(row))
            here = [self.evidence[i.name] for i in row.evidence if i.name in self.evidence]
            here += [words[word] for word in row.features.measured if word in words]
            here += [words[word] for word in row.features.written if word in words]
            for name, number in row.features.numbers.items():
                if name in self.edges:
                    edges, first = self.edges[name]
                    passed = int(np.searchsorted(edges, number, side="left"))
                    here += range(first, first + passed)
            here = list(dict.fromkeys(here))
            columns += here
            values += [1.0] * len(here)
            starts.append(len(columns))
        shape = (len(rows), len(self.lowest))
        return csr_matrix((np.array(values), np.array(columns), np.array(starts)), shape=shape)

    def curves(self, weights: NDArray[np.float64]) -> dict[str, Curve]:
        """The curves that these weights make."""
        found = {}
        for name, (edges, first) in self.edges.items():
            steps = weights[first : first + len(edges)]
            levels = (0.0, *[round(float(level), 4) for level in np.cumsum(steps)])
            found[name] = Curve(edges=edges, levels=levels)
        return found


def expert_sum(row: Row) -> float:
    """The sum of the expert's weights."""
    return fsum([item.weight for item in row.evidence])


def _vocabulary(rows: Sequence[Row]) -> tuple[list[str], set[str]]:
    """Words that stand in several repeats, and those that an actor has been seen to write."""
    first: dict[str, tuple[str, str, int]] = {}
    common: set[str] = set()
    tainted: set[str] = set()
    for row in rows:
        found, repeat = row.features, row.repeat
        tainted.update(found.written)
        for words in (found.measured, found.written):
            for word in words:
                if word not in common and first.setdefault(word, repeat) != repeat:
                    common.add(word)
    return sorted(common), tainted


def _edges(rows: Sequence[Row], name: str) -> tuple[float, ...]:
    """Where the steps of a curve stand: at the weighted quantiles of what was seen."""
    weights: dict[float, float] = defaultdict(float)
    for row in rows:
        if name in row.features.numbers:
            weights[float(row.features.numbers[name])] += row.weight
    values = np.array(sorted(weights))
    if len(values) < 2:
        return ()
    if len(values) <= STEPS:
        return tuple(float(value) for value in values[:-1])
    shares = np.cumsum([weights[value] for value in values])
    shares /= shares[-1]
    wanted = np.arange(1, STEPS) / STEPS
    places = np.unique(np.searchsorted(shares, wanted))
    return tuple(float(values[place]) for place in places if place < len(values) - 1)
