"""An alert in an envelope: what stands beside it is not its own, and triage does not see it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tocsin.normalize import recognised

ALERT = "alert"
HOLDERS = ("payload", "raw_data", "raw", "record")
OURS = frozenset({"disposition", "decided_at", "reason", "analyst", "id", "alert_id", "index"})
DISPOSITION = "disposition"


def opened(
    document: dict[str, Any], named: Collection[str] = ()
) -> tuple[dict[str, Any] | str, dict[str, Any]]:
    """The alert of a line, and what stands beside it; nothing does if the line is the alert.

    Suricata, for one, has an object `alert` among an alert's fields. The line is the alert where a
    source is recognised in it, or where more stands beside the object than in it.

    Args:
        document: the line.
        named: names of the members that hold labels and the like, so belong to no alert.
    """
    foreign = OURS.union(named)
    if ALERT in document:
        around = {name: value for name, value in document.items() if name != ALERT}
        if _is_enveloped(document[ALERT], around, foreign):
            return _read(document[ALERT]), around
        return document, {}
    for holder in HOLDERS if named else ():
        held = document.get(holder)
        if document.keys() - {holder} <= foreign and (isinstance(held, dict) or _is_json(held)):
            around = {name: value for name, value in document.items() if name != holder}
            return _read(held), around
    return document, {}


def value_at(document: Any, path: str) -> Any:
    """What a dotted path leads to, or None; names may have dots themselves."""
    parts = path.split(".")
    found = _place(document, parts)
    return None if found is None else found[0][found[1]]


def remove(document: Any, path: str) -> None:
    """Take out what a dotted path leads to."""
    found = _place(document, path.split("."))
    if found is not None:
        found[0].pop(found[1], None)


def _place(document: Any, parts: Sequence[str]) -> tuple[dict[str, Any], str] | None:
    """The object and the name in it; the longest name that there is comes first."""
    if not isinstance(document, dict):
        return None
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name not in document:
            continue
        if end == len(parts):
            return document, name
        if (found := _place(document[name], parts[end:])) is not None:
            return found
    return None


def _is_enveloped(alert: Any, around: Mapping[str, Any], foreign: Collection[str]) -> bool:
    beside = {name: value for name, value in around.items() if name not in foreign}
    if isinstance(alert, str):
        return bool(alert.strip()) and (DISPOSITION in around or not beside or _is_json(alert))
    if not isinstance(alert, dict):
        return False
    if not beside or recognised(alert):
        return True
    if recognised({**beside, ALERT: alert}):
        return False
    return sum(1 for _ in _leaves(alert)) >= sum(1 for _ in _leaves(beside))


def _leaves(value: Any) -> Iterator[Any]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        else:
            yield one


def _is_json(value: Any) -> bool:
    return isinstance(value, str) and isinstance(_read(value), dict)


def _read(value: Any) -> dict[str, Any] | str:
    """An object that stands there as text is read; other text stays a line of text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            document = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return value
        return document if isinstance(document, dict) else value
    found: dict[str, Any] | str = value
    return found
