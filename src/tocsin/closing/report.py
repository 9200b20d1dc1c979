"""What people are shown of a policy: never its seed, by which somebody could dodge the samples."""

from datetime import datetime

import msgspec

from tocsin.model import ClassBound, ClosingMode, ClosingRules, Record


class Finding(Record, frozen=True, kw_only=True, omit_defaults=False):
    """How near a test is to switching the policy off: `value` against `limit`."""

    class_name: str = msgspec.field(name="class")
    test: str  # attacks, scores or backlog
    value: float
    limit: float
    text: str

    @property
    def trips(self) -> bool:
        """Whether the policy must switch itself off."""
        return self.value >= self.limit


class ClassReport(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One class of the policy: what is proven, and what is awaited."""

    bound: ClassBound
    outstanding: int  # closable samples that nobody has judged
    arrived: int  # alerts of the class since the policy began that were not drawn


class ClosingReport(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The policy as it stands; `version` 0 before the first."""

    mode: ClosingMode = ClosingMode.OFF
    version: int = 0
    revision: int = 0
    rules: ClosingRules | None = None
    classes: tuple[ClassReport, ...] = ()
    drift: tuple[Finding, ...] = ()
    reason: str = "nobody has asked for it"
    tripped: bool = False
    model_version: str = ""
    closed: int = 0  # alerts that this policy closed
    reopened: int = 0  # of those, reopened by people
    missed: int = 0  # of those, called attacks by people afterwards
    changed_at: datetime | None = None
    changed_by: str | None = None
    enabled_at: datetime | None = None


class WouldClose(Record, frozen=True, kw_only=True, omit_defaults=False):
    """How many of the alerts of a class and rule it would have closed."""

    class_name: str = msgspec.field(name="class")
    rule: str
    alerts: int
    would_close: int


class KnownAttack(Record, frozen=True, kw_only=True, omit_defaults=False):
    """An alert that people call an attack, and that the policy would have closed.

    `drawn`: it would have been among the random share for people, and so not closed.
    """

    alert_id: str
    class_name: str = msgspec.field(name="class")
    rule: str
    title: str
    probability: float
    drawn: bool


class ClosingPreview(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What the policy would have closed; its `digest` is what enabling it takes."""

    digest: str
    ready: bool
    version: int
    bounds: tuple[ClassBound, ...]
    alerts: int  # looked at
    would_close: int
    drawn: int
    counts: tuple[WouldClose, ...]
    attacks: tuple[KnownAttack, ...]
    since: datetime | None = None
    until: datetime | None = None
