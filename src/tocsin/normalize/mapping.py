"""Running a source definition over a document: from plans to values by field name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tocsin.errors import DecodeError
from tocsin.normalize.catalogue import FieldPlan
from tocsin.normalize.times import parse_time

TIME = "event.time"


class Draft:
    """What is known of an alert while it is being mapped; lives for one payload."""

    __slots__ = ("failed", "found", "notes", "received_at")

    def __init__(self, received_at: datetime) -> None:
        self.received_at = received_at
        self.found: dict[str, Any] = {}
        self.failed: dict[str, str] = {}  # field → why a value that was there could not be read
        self.notes: list[str] = []

    def read_time(self, value: Any) -> datetime:
        """The instant of a raw time; notes a zone that had to be assumed.

        Raises:
            DecodeError: it is no time.
        """
        moment = parse_time(value, self.received_at)
        if moment is None:
            raise DecodeError("not a time")
        if moment.assumed:
            self.notes.append("event.time has no zone and was read as UTC")
        return moment.time


def map_fields(plans: Sequence[FieldPlan], document: dict[str, Any], draft: Draft) -> None:
    """Fill the draft: for each field the first alternative that gives a usable value."""
    found, notes = draft.found, draft.notes
    for plan in plans:
        failure: str | None = None
        for pick in plan.picks:
            try:
                value = pick(document)
                if value is None:
                    continue
                value = plan.cast(value, notes)
                if value is None:
                    continue
                if plan.name == TIME:
                    value = draft.read_time(value)
            except DecodeError as error:
                failure = str(error)
                continue
            found[plan.name] = value
            break
        else:
            if failure is not None:
                draft.failed[plan.name] = failure
