"""Rows as a sparse matrix: which columns there are, and which of them may not lower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tocsin.learn import kinds
from tocsin.learn.sample import Row
from tocsin.model import Curve

LEAST_ROWS = 2  # in how many different repeats a word must stand
STEPS = 10  # most levels of a curve
FLAT = 0.005  # log-odds; a curve that rises and falls by less says nothing
OWN_STEPS = 3  # of one rule's own
LEAST_EXPERT = 0.05 - 1.0  # the expert's sum always counts, and never turns round


@dataclass(slots=True)
class Design:
    """The columns: the expert's sum, then evidence, words and steps of curves.

    Attributes:
        evidence, words: place by name.
        edges: the edges of each curve, and the place of its first step.
        lowest: the least value of each column's weight, minus infinity where it may lower.
        kinds: the kind of each column, see `kinds.py`.
    """

    evidence: dict[str, int]
    words: dict[str, int]
    edges: dict[str, tuple[tuple[float, ...], int]]
    lowest: NDArray[np.float64]
    kinds: list[str]

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
        for name, seen in _seen_numbers(rows):
            found = _edges(seen, OWN_STEPS if kinds.of_number(name) == kinds.OWN else STEPS)
            if found:
                edges[name] = (found, place)
                place += len(found)
        of_columns = [kinds.EXPERT] + [kinds.EVIDENCE] * len(evidence)
        of_columns += [kinds.of_word(word) for word in words]
        for name, (found, _) in edges.items():
            of_columns += [kinds.of_number(name)] * len(found)
        lowest = np.full(place, -np.inf)
        lowest[0] = LEAST_EXPERT
        for name in raising:
            lowest[evidence_at[name]] = 0.0
        for word in tainted:
            if word in words_at:
                lowest[words_at[word]] = 0.0
        return cls(evidence_at, words_at, edges, lowest, of_columns)

    def penalty(self, by_kind: Mapping[str, float]) -> NDArray[np.float64]:
        """How strongly each column's weight is pulled to what the expert wrote."""
        return np.array([by_kind[kind] for kind in self.kinds])

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
            if not np.any(np.abs(steps) >= FLAT):
                continue
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


def _seen_numbers(rows: Sequence[Row]) -> list[tuple[str, dict[float, float]]]:
    """Each number's name with the weight of each value that was seen."""
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        for name, number in row.features.numbers.items():
            weights = found.setdefault(name, {})
            weights[number] = weights.get(number, 0.0) + row.weight
    return sorted(found.items())


def _edges(weights: Mapping[float, float], most: int) -> tuple[float, ...]:
    """Where the steps of a curve stand: at the weighted quantiles of what was seen."""
    values = sorted(weights)
    if len(values) <= most:
        return tuple([float(value) for value in values[:-1]])
    shares = np.cumsum([weights[value] for value in values])
    shares /= shares[-1]
    places = np.unique(np.searchsorted(shares, np.arange(1, most) / most))
    return tuple([float(values[place]) for place in places if place < len(values) - 1])
