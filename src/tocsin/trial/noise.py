"""Decisions that contradict each other on the same content: found, and made to weigh less.

Where people decide like alerts differently, a label says little about the alert. The more they
disagree the less such decisions weigh; among them the proportions stay, because they are the truth
about this kind of alert.
"""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from math import ceil
from typing import NamedTuple

import msgspec

from tocsin.model import Disposition, Dossier, Example, Mapping

LEAST_SHARE = 0.1
_encode = msgspec.json.Encoder(order="deterministic").encode


class Thinned(NamedTuple):
    """The decisions that are kept, and what was found to contradict itself."""

    examples: list[Example]
    groups: int  # of alerts with the same content that were decided both ways
    contradicting: int  # decisions in those groups
    left_out: int


def is_attack(disposition: Disposition) -> bool:
    """Whether a decision says that the alert was an attack."""
    return disposition is Disposition.TRUE_POSITIVE


def signature(dossier: Dossier) -> bytes:
    """What is the same for alerts that differ in nothing but their time and their ids.

    Raises:
        ValueError: the dossier holds no normalised alert.
    """
    alert = dossier.alert
    if alert is None:
        raise ValueError("the alert has not been normalised")
    event = msgspec.structs.replace(alert.event, id=None, time=None, count=None)
    process = msgspec.structs.replace(
        alert.process, pid=None, parent=msgspec.structs.replace(alert.process.parent, pid=None)
    )
    source = msgspec.structs.replace(alert.source, port=None, bytes=None)
    same = msgspec.structs.replace(
        alert, event=event, process=process, source=source, observables=(), mapping=Mapping()
    )
    return blake2b(_encode((dossier.source, same)), digest_size=16).digest()


def thin(examples: Sequence[Example]) -> Thinned:
    """Leave out decisions of groups that contradict themselves, as far as they do.

    Of n decisions on the same content, a for attack and h for harmless, the share |a − h| / n is
    kept of both kinds (at least a tenth, and one of each), the newest first.
    """
    groups: dict[bytes, list[Example]] = defaultdict(list)
    for example in examples:
        groups[signature(example.dossier)].append(example)
    out: set[str] = set()
    mixed = contradicting = 0
    for group in groups.values():
        attacks = [e for e in group if is_attack(e.disposition)]
        harmless = [e for e in group if not is_attack(e.disposition)]
        if not attacks or not harmless:
            continue
        mixed += 1
        contradicting += len(group)
        share = max(abs(len(attacks) - len(harmless)) / len(group), LEAST_SHARE)
        for kind in (attacks, harmless):
            newest = sorted(kind, key=lambda e: (e.decided_at, e.dossier.alert_id), reverse=True)
            out.update(e.dossier.alert_id for e in newest[ceil(share * len(newest)) :])
    kept = [e for e in examples if e.dossier.alert_id not in out]
    return Thinned(kept, mixed, contradicting, len(out))
