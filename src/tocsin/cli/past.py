"""Past decisions from files: each line becomes a decision, or is counted as why not."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.errors import ImportRowError, PayloadError
from tocsin.ingest import BodyKind, Item, Limits, read_body, read_item
from tocsin.knowledge.closings import CONTRADICTION, NO_DECISION, UNKNOWN, closing_of, is_outcome
from tocsin.knowledge.tabular import plain, read_rows
from tocsin.model import Disposition
from tocsin.normalize.times import parse_time

SPACE = uuid.UUID("5d1c1f0e-6b2c-5c1e-9f5e-70c51a000003")  # of the ids of imported decisions
SHOWN = 20
NAMED_BY = ("alert_id", "alertid", "tocsin_alert_id")
IDS = frozenset(map(plain, NAMED_BY))


@dataclass(frozen=True, slots=True)
class Line:
    """One decision of a file, on an alert that is stored (`alert_id`) or in the line (`item`).

    With both, the stored one is meant if there is one.
    """

    place: str
    disposition: Disposition
    reason: str
    analyst: str
    decided_at: datetime | None
    alert_id: str | None = None
    item: Item | None = None


@dataclass(slots=True)
class Ledger:
    """What became of the lines of an import."""

    read: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    unlabelled: int = 0
    no_decision: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    complaints: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    conflicting: int = 0

    def refuse(self, place: str, why: str) -> None:
        """Count a line that cannot be used, and remember the first few."""
        self.refused += 1
        if len(self.complaints) < SHOWN:
            self.complaints.append(f"{place}: {why}")

    def conflict(self, what: str) -> None:
        """Count a decision that contradicts another one on the same content."""
        self.conflicting += 1
        if len(self.conflicts) < SHOWN:
            self.conflicts.append(what)


def read_decisions(name: str, limits: Limits, ledger: Ledger) -> Iterator[Line]:
    """The decisions of a file; all other lines are counted in the ledger.

    Raises:
        InputError: the file cannot be read.
    """
    for row in read_rows(name):
        ledger.read += 1
        if isinstance(row, ImportRowError):
            ledger.refuse(name, str(row))
            continue
        number, record = row
        place = f"{name}: row {number}"
        try:
            line = _line(place, record, limits, ledger)
        except PayloadError as error:
            ledger.refuse(place, f"the alert cannot be used: {error}")
        else:
            if line is not None:
                yield line


def decision_id(alert_id: str, line: Line) -> str:
    """The same line about the same alert gives the same id, so an import can be repeated."""
    moment = line.decided_at.isoformat() if line.decided_at else ""
    parts = (alert_id, line.disposition.value, moment, line.analyst, line.reason)
    text = msgspec.json.encode([p.encode("utf-8", "backslashreplace").decode() for p in parts])
    return str(uuid.uuid5(SPACE, text.decode()))


def _line(place: str, record: Mapping[str, Any], limits: Limits, ledger: Ledger) -> Line | None:
    alert, alert_id, about = _parts(record)
    closing = closing_of(about)
    disposition = closing.disposition
    if disposition is None:
        said = f"{closing.product}: {closing.word}" if closing.word else closing.product
        if closing.outcome == NO_DECISION:
            ledger.no_decision[said] += 1
        elif closing.outcome in (UNKNOWN, CONTRADICTION):
            ledger.unknown[said] += 1
        else:
            ledger.unlabelled += 1
        return None
    item = None
    if not alert and alert_id is None:
        alert = closing.alert
        if all(plain(name) in IDS for name in alert):
            ledger.refuse(place, "it holds no alert, and no text as alert_id names a stored one")
            return None
    if alert:
        item = _item(alert, limits)
    moment = parse_time(closing.decided_at, datetime.now(UTC)) if closing.decided_at else None
    if closing.decided_at and moment is None:
        ledger.refuse(place, f"the time of the decision cannot be read: {closing.decided_at!r:.60}")
        return None
    return Line(
        place=place,
        disposition=disposition,
        reason=closing.reason or f"imported: {closing.product} {closing.word}",
        analyst=closing.analyst,
        decided_at=moment.time.astimezone(UTC) if moment else None,
        alert_id=alert_id,
        item=item,
    )


def _parts(record: Mapping[str, Any]) -> tuple[Any, str | None, Mapping[str, Any]]:
    """The alert if it stands apart, the id of a stored one, and what says how it was closed."""
    alert = record.get("alert")
    named = next((record[n] for n in NAMED_BY if isinstance(record.get(n), str)), None)
    rest = {n: value for n, value in record.items() if n not in NAMED_BY}
    if isinstance(alert, dict) or (isinstance(alert, str) and alert.strip()):
        rest.pop("alert")
        return alert, named, rest
    if named and all(is_outcome(name) for name in rest):
        return None, named, rest
    return None, None, record


def _item(alert: Any, limits: Limits) -> Item:
    """What the front door makes of an alert.

    Raises:
        PayloadError: it does not take it.
    """
    if isinstance(alert, str) and not alert.lstrip().startswith("{"):
        line = alert.replace("\n", " ").encode("utf-8", "backslashreplace")
        found = read_body(line, BodyKind.TEXT, limits)[0]
    else:
        raw = alert.encode() if isinstance(alert, str) else msgspec.json.encode(alert)
        found = read_item(raw, limits)
    if isinstance(found, PayloadError):
        raise found
    return found
