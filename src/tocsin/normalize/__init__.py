"""The first step: from every detector's words to ours."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from tocsin.model import Alert, Dossier, Gap
from tocsin.normalize.catalogue import load_catalogue
from tocsin.normalize.ecs import to_ecs
from tocsin.normalize.engine import STEP, Engine
from tocsin.normalize.ocsf import to_ocsf
from tocsin.ports import Resources, Work

__all__ = ["build", "normalize_payload", "recognised", "source_names", "to_ecs", "to_ocsf"]


def build(resources: Resources) -> Work:
    """The step's function: fills `alert` and says which source each payload came from."""
    del resources  # everything this step knows comes with the package
    engine = _engine()

    async def normalize(batch: Sequence[Dossier]) -> list[Dossier]:
        done = []
        for dossier in batch:
            source, alert, gaps = engine.normalize(
                dossier.payload, dossier.source, dossier.received_at
            )
            if dossier.gaps:  # of an earlier delivery
                gaps = (*(gap for gap in dossier.gaps if gap.step != STEP), *gaps)
            done.append(msgspec.structs.replace(dossier, source=source, alert=alert, gaps=gaps))
        return done

    return normalize


def normalize_payload(
    payload: str, source: str | None = None, received_at: datetime | None = None
) -> tuple[str, Alert, tuple[Gap, ...]]:
    """Normalise one payload outside the pipeline: the source's name, the alert and its gaps.

    `received_at` (now, if not given) supplies what the payload's times leave out.
    """
    return _engine().normalize(payload, source, received_at or datetime.now(UTC))


@cache
def _engine() -> Engine:
    return Engine()


def recognised(document: dict[str, Any]) -> bool:
    """Whether a source definition knows this very object, not one inside of it."""
    return load_catalogue().detect(document) is not None


def source_names() -> tuple[str, ...]:
    """The names of the sources that have a definition."""
    return tuple(sorted(source.name for source in load_catalogue().sources))
