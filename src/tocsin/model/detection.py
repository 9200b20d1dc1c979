"""What the authors of a detection say of it, before it has ever fired here."""

from tocsin.model.record import Record, Score
from tocsin.model.words import DetectionKind, DetectionStatus, Severity


class Detection(Record, frozen=True, kw_only=True):
    """One detection of a published catalogue.

    `catalogue` and `detection_id` are its natural key; `risk_score` (0 to 100) is its author's, and
    `false_positives` are the harmless causes that the author knows.
    """

    catalogue: str
    detection_id: str
    name: str
    level: Severity | None = None
    risk_score: Score | None = None
    kind: DetectionKind = DetectionKind.RULE
    status: DetectionStatus | None = None
    techniques: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
