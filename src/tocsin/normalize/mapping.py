"""Running a source definition over a document: from its plan to values by field name."""

from datetime import datetime
from typing import Any

from tocsin.errors import DecodeError
from tocsin.normalize.cast import cast_time
from tocsin.normalize.plan import Plan, recall, remember
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


def map_fields(  # noqa: C901, PLR0912 - the hot path is one loop
    plan: Plan, document: dict[str, Any], draft: Draft
) -> None:
    """Fill the draft: for each field the first alternative that gives a usable value."""
    found, notes = draft.found, draft.notes
    lines, nodes = plan.lines(document)
    for name, choices, (cast, memory, place, member) in lines:
        if memory is not None:
            raw = nodes[place][member]
            kind = type(raw)
            if kind is str or kind is int:
                value = memory.get(raw)
            else:
                value = recall(memory, raw) if kind is list else None
            if value is not None:
                found[name] = value
                continue
        failure: str | None = None
        noted = len(notes)
        for choice in choices:
            node, key, pick = choice
            try:
                value = nodes[node][key] if pick is None else pick(document)
                if value is None or value == "":
                    continue
                value = cast(value, notes)
                if value is None:
                    continue
                if cast is cast_time and type(value) is not datetime:
                    value = draft.read_time(value)
            except DecodeError as error:
                failure = str(error)
                continue
            found[name] = value
            if memory is not None and choice is choices[0] and len(notes) == noted:
                remember(memory, raw, value)
            break
        else:
            if failure is not None:
                draft.failed[name] = failure
