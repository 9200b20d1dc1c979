"""A model's card: what it was learned from, how it did beside others, and what moved."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tocsin.model import Example, Learned, ModelMetrics, Record
from tocsin.trial.compare import Comparison
from tocsin.trial.noise import Thinned
from tocsin.trial.split import Split, moment_of

MOST_MOVED = 20
LEAST_MOVE = 1e-9
NO_WEIGHTS = frozenset({"edges", "slope", "centre", "mean"})  # places, a factor, what was seen


class Data(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The decisions behind a model; times are those of the events."""

    decisions: int
    by_disposition: dict[str, int]
    by_source: dict[str, int]
    first: datetime
    last: datetime
    newest_decision: datetime
    contradicting: int  # decisions on content that was decided both ways
    left_out: int  # of those
    learned_on: int
    held_back: int
    held_groups: int


class Moved(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A weight before and after; before is that of the champion, 0 beside the shipped model."""

    name: str
    before: float
    after: float


class Card(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What the registry keeps and shows of a model.

    `created_at` is when the decisions were read. All measures are on the decisions held back, by
    the model that was learned from the others (`trial_version`); a model that goes live is then
    learned from all of them.
    """

    version: str
    trial_version: str
    champion_version: str
    created_at: datetime
    seed: int
    data: Data
    challenger: ModelMetrics
    champion: ModelMetrics
    baselines: dict[str, ModelMetrics]
    comparison: Comparison
    moved: tuple[Moved, ...]


def data_of(examples: Sequence[Example], thinned: Thinned, parts: Split) -> Data:
    """What is to be said of the decisions."""
    moments = [moment_of(example) for example in examples]
    return Data(
        decisions=len(examples),
        by_disposition=_counted(example.disposition.value for example in examples),
        by_source=_counted(example.dossier.source or "unknown" for example in examples),
        first=min(moments),
        last=max(moments),
        newest_decision=max(example.decided_at for example in examples),
        contradicting=thinned.contradicting,
        left_out=thinned.left_out,
        learned_on=len(parts.learned),
        held_back=sum(len(group) for group in parts.held),
        held_groups=len(parts.held),
    )


def moved(before: Learned | None, after: Learned) -> tuple[Moved, ...]:
    """The weights that moved most, by the size of the move; None is the model that ships."""
    old = dict(_numbers(before or Learned(version="")))
    new = dict(_numbers(after))
    moves = [
        Moved(name=name, before=old.get(name, 0.0), after=new.get(name, 0.0))
        for name in old.keys() | new.keys()
    ]
    moves = [move for move in moves if abs(move.after - move.before) > LEAST_MOVE]
    moves.sort(key=lambda move: (-abs(move.after - move.before), move.name))
    return tuple(moves[:MOST_MOVED])


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every weight of a model by its path; whole numbers count something, and are no weights."""
    parts = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
    if isinstance(parts, Mapping):
        for name, part in parts.items():
            if name in NO_WEIGHTS and isinstance(value, msgspec.Struct):
                continue
            yield from _numbers(part, f"{path}.{name}" if path else str(name))
    elif isinstance(parts, list | tuple):
        for number, part in enumerate(parts):
            yield from _numbers(part, f"{path}.{number}")
    elif isinstance(parts, float):
        yield path, parts


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())
