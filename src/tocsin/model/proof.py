"""What a verdict was made from, kept beside it, and what came of working it out anew."""

from datetime import datetime
from typing import Any

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.detection import Detection
from tocsin.model.dossier import Dossier
from tocsin.model.intelligence import Sighting
from tocsin.model.opinion import Opinion
from tocsin.model.record import Record
from tocsin.model.verdict import Verdict, risk_level
from tocsin.model.words import Disposition, ProofOutcome, ThreatLevel

_UNKNOWN = ThreatLevel.UNKNOWN


class Inputs(Record, frozen=True, kw_only=True):
    """What triage read that changes afterwards: intelligence, and the catalogue of detections.

    `sightings` holds those that say something (a threat, or a warning list); every other
    observable of the alert was unknown. `detection` is the one that the rule was found as.
    """

    sightings: tuple[Sighting, ...] = ()
    detection: Detection | None = None


def inputs_of(dossier: Dossier) -> Inputs | None:
    """What is to be kept with the verdict; None for most alerts."""
    said = [s for s in dossier.intel if s.benign_lists or s.threat_level is not _UNKNOWN]
    if not said and dossier.detection is None:
        return None
    return Inputs(sightings=tuple(said), detection=dossier.detection)


def sightings_then(alert: Alert, inputs: Inputs) -> tuple[Sighting, ...]:
    """The sightings that triage had, in the order of the alert's observables.

    Own addresses, which nobody asks about, count as unknown here; triage makes no difference.
    """
    said = {(s.type, s.value, s.role): s for s in inputs.sightings}
    return tuple(
        [
            said.get((o.type, o.value, o.role)) or Sighting(type=o.type, value=o.value, role=o.role)
            for o in alert.observables
        ]
    )


def as_triaged(verdict: Verdict, opinion: Opinion | None) -> Verdict:
    """The verdict as triage gave it, before a second opinion raised it."""
    change = opinion.change if opinion is not None else None
    if change is None:
        return verdict
    return msgspec.structs.replace(
        verdict,
        risk_score=change.risk_before,
        risk_level=risk_level(change.risk_before),
        requires_human_review=change.review_before,
    )


class Judged(Record, frozen=True, kw_only=True):
    """A stored alert with its verdict and all that the verdict was made from.

    The dossier has the sightings and the detection of that time, and the verdict as it stands now.
    """

    dossier: Dossier
    inputs: Inputs = Inputs()
    opinion: Opinion | None = None


class Difference(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One place where what is stored is not what comes out; values are None where there is none."""

    path: str
    stored: Any = None
    derived: Any = None


class Proof(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What came of working one verdict out anew; `pointers` counts evidence that was looked up."""

    alert_id: str
    outcome: ProofOutcome
    model_version: str = ""
    detail: str = ""
    pointers: int = 0
    differences: tuple[Difference, ...] = ()


class StoredDecision(Record, frozen=True, kw_only=True):
    """One row of `dispositions`: what a person said of an alert."""

    disposition_id: str
    disposition: Disposition
    reason: str
    actor: str
    decided_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None


class Membership(Record, frozen=True, kw_only=True):
    """One row of `incident_alerts`; `reasons` are its links as they are stored."""

    incident_id: str
    reasons: msgspec.Raw
    added_by: str
    added_at: datetime
    score: float | None = None
    removed_by: str | None = None
    removed_at: datetime | None = None


class AuditLine(Record, frozen=True, kw_only=True):
    """One row of the audit trail as a bundle has it: the columns of `AuditRow`, in their order."""

    writer: str
    sequence: int
    logged_at: str
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


class Papers(Record, frozen=True, kw_only=True):
    """What people and the system noted about an alert beside its verdict."""

    decisions: tuple[StoredDecision, ...] = ()
    incidents: tuple[Membership, ...] = ()
    audit: tuple[AuditLine, ...] = ()
