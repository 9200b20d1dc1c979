"""Folds that keep together what belongs together; never by row."""

import hashlib
from collections.abc import Sequence


def folds_of(kept: Sequence[str], folds: int, seed: int) -> list[int]:
    """The fold of each item: all of one kept value in one fold.

    Items without a value are cut into blocks of their order, which is time's: they are no more of
    one kind than others. Values with many items are placed first, each into the fold that has
    fewest so far, so that the folds are about as large; equal ones in an order that the seed
    decides.
    """
    without = [index for index, value in enumerate(kept) if not value]
    blocks = {index: number * folds // len(without) for number, index in enumerate(without)}
    sizes = [0] * folds
    for fold in blocks.values():
        sizes[fold] += 1
    counts: dict[str, int] = {}
    for value in filter(None, kept):
        counts[value] = counts.get(value, 0) + 1
    place: dict[str, int] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], _draw(value, seed))):
        smallest = sizes.index(min(sizes))
        place[value] = smallest
        sizes[smallest] += counts[value]
    return [place[value] if value else blocks[index] for index, value in enumerate(kept)]


def _draw(value: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{value}".encode()).digest()
