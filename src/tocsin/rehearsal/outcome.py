"""What a rehearsal of labelled alerts comes to, before it is measured."""

from dataclasses import dataclass, field

import msgspec

from tocsin.model import Dossier

Key = tuple[str, ...]
Taught = dict[str, tuple[int, int]]


class ModelUse(msgspec.Struct, frozen=True):
    """A model, how many decided alerts it was learned from, and how many it judged."""

    version: str
    examples: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Judged alerts with their truths.

    `groups` are the groups that are scored, None for alerts alone; `units` are what the bootstrap
    draws. `models` are all that judged, one for each fold. `taught` gives for each alert what its
    model was learned from: by rule, how many attacks and harmless alerts. It is None where nothing
    was learned. `remarks` are what people must know to read the figures.
    """

    dossiers: list[Dossier]
    truths: list[bool]
    groups: list[Key] | None
    units: list[Key]
    models: list[ModelUse]
    taught: list[Taught] | None
    cpu_seconds: float  # of processor time, for the judging alone
    remarks: list[str] = field(default_factory=list)
