"""What the authors of a detection say of it, as a prior: level, kind and known mistakes."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tocsin import logs
from tocsin.errors import Unavailable
from tocsin.model import Alert, Detection, DetectionKind, Evidence
from tocsin.ports import DetectionSource
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.families import VENDOR_TEXT

log = logs.get("triage")

SHOWN = 160  # characters of the stated false positives that the statement repeats
# How authors begin when they have seen hardly any harmless cause.
UNLIKELY = (
    *("unlikely", "rare", "very unlikely", "no false positives", "limited false positives"),
    *("false positives are unlikely", "false positives should be limited"),
)
AVERAGE_RISK = 50.0


class Match(NamedTuple):
    """A detection, and which field of an alert named it."""

    detection: Detection
    field: str
    path: str
    value: str | None


class DetectionIndex:
    """Detections by id and by name, in any case; of two of one name, the first catalogue's."""

    def __init__(self, version: int = 0, detections: Iterable[Detection] = ()) -> None:
        self.version = version
        self._by_id: dict[str, Detection] = {}
        self._by_name: dict[str, Detection] = {}
        for item in detections:
            self.add(item)

    def add(self, item: Detection) -> None:
        """Take in one detection."""
        self._by_id.setdefault(item.detection_id.casefold(), item)
        self._by_name.setdefault(item.name.casefold(), item)

    def by_id(self, identifier: str | None) -> Detection | None:
        """The detection of this id."""
        return self._by_id.get(identifier.casefold()) if identifier else None

    def by_name(self, name: str | None) -> Detection | None:
        """The detection of this name."""
        return self._by_name.get(name.strip().casefold()) if name else None

    def match(self, alert: Alert) -> Match | None:
        """The detection that an alert's rule is: by its id, its name, or the alert's title."""
        rule = alert.rule
        if (found := self.by_id(rule.id)) is not None:
            return Match(found, "rule_id", "/rule/id", rule.id)
        if (found := self.by_name(rule.name)) is not None:
            return Match(found, "rule_name", "/rule/name", rule.name)
        if (found := self.by_name(alert.title)) is not None:
            return Match(found, "title", "/title", alert.title)
        return None

    def __len__(self) -> int:
        return len(self._by_id)


NOTHING_KNOWN = DetectionIndex()


class FreshDetections:
    """The current index; looks for changed detections at most every `interval` seconds."""

    def __init__(
        self,
        source: DetectionSource,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._interval = interval
        self._clock = clock
        self._due = 0.0
        self._lock = asyncio.Lock()
        self._index: DetectionIndex | None = None

    async def current(self) -> DetectionIndex:
        """The newest index there is.

        Raises:
            StoreUnavailable: there is none yet and the store does not answer.
        """
        index = self._index
        if index is not None and (self._clock() < self._due or self._lock.locked()):
            return index
        async with self._lock:
            index = self._index
            if index is None or self._clock() >= self._due:
                index = self._index = await self._refreshed(index)
        return index

    async def _refreshed(self, known: DetectionIndex | None) -> DetectionIndex:
        self._due = self._clock() + self._interval
        try:
            version = await self._source.version()
            if known is not None and version == known.version:
                return known
            index = DetectionIndex(version)
            async for chunk in self._source.scan():
                for item in chunk:
                    index.add(item)
                await asyncio.sleep(0)
        except Unavailable as error:
            if known is None:
                raise
            log.warning("triage.refresh_failed", reason=error.reason, version=known.version)
            return known
        log.info("triage.detections_read", version=version, detections=len(index))
        return index


def known(case: Case) -> Sequence[Evidence]:
    """What a catalogue says of the rule that fired.

    The rule is found by its id or its name. Where an event could have flowed into that field, the
    finding only raises.
    """
    index = case.detections
    match = index.match(case.alert) if index else None
    if match is None:
        return ()
    found, field, path, value = match
    vouched = case.declared and field in VENDOR_TEXT.get(case.source, ())
    authored = field != "title" and _by_author(case, value)
    return (
        case.on_alert(
            "prior.detection",
            statement(found),
            path,
            value,
            weight(case, found),
            tainted=not (vouched or authored),
        ),
    )


def _by_author(case: Case, value: str | None) -> bool:
    """Whether the value stands where only a rule's author writes."""
    payload = case.payload
    return payload.authored and any(leaf.value == value for leaf in payload.rule)


def weight(case: Case, found: Detection) -> float:
    """The sum of what level, risk score, kind, status and known mistakes are worth."""
    weights = case.weights.detection
    total = 0.0
    if found.risk_score is not None:
        total += weights["risk_score"].weight * (found.risk_score - AVERAGE_RISK) / AVERAGE_RISK
    elif found.level is not None:
        total += weights["level_" + found.level.value].weight
    if found.kind is not DetectionKind.RULE:
        total += weights["kind_" + found.kind.value].weight
    if found.status is not None:
        total += weights["status_" + found.status.value].weight
    if found.false_positives:
        unlikely = found.false_positives[0].lower().startswith(UNLIKELY)
        total += weights["mistakes_unlikely" if unlikely else "mistakes_known"].weight
    return total


def statement(found: Detection) -> str:
    """What the catalogue says, in one sentence or two."""
    said = []
    if found.level is not None:
        said.append("level " + found.level.value)
    if found.risk_score is not None:
        said.append("risk score " + str(round(found.risk_score)) + " of 100")
    if found.kind is not DetectionKind.RULE:
        said.append("kind " + found.kind.value)
    if found.status is not None:
        said.append("status " + found.status.value)
    text = "The catalogue " + quoted(found.catalogue, 64) + " knows this detection"
    text += " (" + ", ".join(said) + ")." if said else "."
    if found.false_positives:
        causes = quoted("; ".join(found.false_positives), SHOWN)
        text += " Its authors name these false positives: " + causes.rstrip(".") + "."
    return text
