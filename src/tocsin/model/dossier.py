"""An alert and everything that the steps have found out about it so far."""

from datetime import datetime

from tocsin.model.alert import Alert
from tocsin.model.closing import Closing
from tocsin.model.context import Fact, Gap
from tocsin.model.detection import Detection
from tocsin.model.incident import Link
from tocsin.model.intelligence import Sighting
from tocsin.model.opinion import Opinion
from tocsin.model.record import Record
from tocsin.model.verdict import Verdict


class Dossier(Record, frozen=True, kw_only=True):
    """An alert and everything the steps have found out so far; each step fills one field.

    `payload` is the alert as sent (JSON or one line of text); `source` is the name that the
    sender gave, or the one that was detected. `opinion` is a model's, for readers; no step sees it.
    """

    alert_id: str
    received_at: datetime
    payload: str
    source: str | None = None
    alert: Alert | None = None
    context: tuple[Fact, ...] = ()
    intel: tuple[Sighting, ...] = ()
    verdict: Verdict | None = None
    links: tuple[Link, ...] = ()
    incident_id: str | None = None
    gaps: tuple[Gap, ...] = ()
    closing: Closing | None = None  # None: no policy looks at alerts of this class
    opinion: Opinion | None = None
    detection: Detection | None = None  # the published one that triage knew the rule as
