"""What triage with a learned model costs: processor microseconds per alert.

`python -m tests.bench.learned` learns from alerts of `load.py` (and from rules' tests where they
are), then triages others of both, first with nothing kept, then again.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.bench.load import alert
from tests.known import Known
from tests.quality.panther import FILE, judged, pairs

from tocsin import learn
from tocsin.model import Disposition, Dossier, Example
from tocsin.pipeline import FOLLOW_UPS, STEPS
from tocsin.ports import Resources
from tocsin.settings import load
from tocsin.triage import Model, model_with, shipped_model

MIXED = 4000
AGAIN = 3
RECEIVED = datetime(2026, 3, 4, 12, tzinfo=UTC)


async def _mixed(count: int) -> list[Dossier]:
    known = Known()
    resources = Resources(load(), known, known, known, known)  # type: ignore[arg-type]  # incidents are not asked
    batch = [
        Dossier(alert_id=f"a-{n}", received_at=RECEIVED, payload=json.dumps(alert(n)))
        for n in range(count)
    ]
    for step in STEPS:
        if step.name not in FOLLOW_UPS:
            batch = await step.work(resources)(batch)
    return batch


def _microseconds(model: Model, dossiers: Sequence[Dossier]) -> float:
    start = time.process_time()
    for dossier in dossiers:
        model.assess(dossier)
    return 1e6 * (time.process_time() - start) / len(dossiers)


def _decided(dossier: Dossier, *, hit: bool) -> Example:
    kind = Disposition.TRUE_POSITIVE if hit else Disposition.FALSE_POSITIVE
    return Example(dossier=dossier, disposition=kind, decided_at=RECEIVED)


def main() -> None:
    """Learn, then print what each kind of alert costs."""
    mixed = asyncio.run(_mixed(MIXED))
    examples = [_decided(d, hit=n % 7 < 2) for n, d in enumerate(mixed[: MIXED // 2])]
    sets = {"mixed": mixed[MIXED // 2 :]}
    if FILE.is_file():
        every = pairs()
        cloud = judged(every, "event")
        examples += [_decided(d, hit=pair.hit) for pair, d in zip(every, cloud, strict=True)]
        sets["cloud"] = cloud
    start = time.process_time()
    learned = learn.fit(examples)
    print(
        f"learned {len(learned.words)} words from {learned.examples} alerts in "
        f"{time.process_time() - start:.1f} s of CPU"
    )
    for name, dossiers in sets.items():
        for what, model in (("shipped", shipped_model()), ("learned", model_with(learned))):
            first = _microseconds(model, dossiers)
            then = min(_microseconds(model, dossiers) for _ in range(AGAIN))
            print(f"{name:6} {what:8} first {first:4.0f} µs, then {then:4.0f} µs of CPU per alert")


if __name__ == "__main__":
    main()
