"""Folds that keep together what belongs together; never by row."""

import hashlib
from collections.abc import Sequence


def folds_of(kept: Sequence[str], folds: int, seed: int) -> list[int]:
    """The fold of each item: all of one kept value in one fold.

    Items whose kept values are all empty are cut into blocks of their order, which is time's.
    Values with many items are placed first, each into the fold that has fewest so far, so that
    the folds are about as large; equal ones in an order that the seed decides.
    """
    if not any(kept):
        return [index * folds // len(kept) for index in range(len(kept))]
    counts: dict[str, int] = {}
    for value in kept:
        counts[value] = counts.get(value, 0) + 1
    order = sorted(counts, key=lambda value: (-counts[value], _draw(value, seed)))
    sizes = [0] * folds
    place: dict[str, int] = {}
    for value in order:
        smallest = sizes.index(min(sizes))
        place[value] = smallest
        sizes[smallest] += counts[value]
    return [place[value] for value in kept]


def _draw(value: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{value}".encode()).digest()
