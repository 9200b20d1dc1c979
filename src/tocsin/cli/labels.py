"""Labelled alerts from files: what was true of each, taken out before triage can see it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tocsin.cli import files
from tocsin.errors import InputError, PayloadError
from tocsin.ingest import Item, Limits, read_item
from tocsin.knowledge.closings import closing_of
from tocsin.model import Disposition
from tocsin.normalize.times import parse_time

ATTACKS = frozenset(
    {"true_positive", "truepositive", "tp", "attack", "malicious", "true", "1", "yes", "positive"}
)
HARMLESS = frozenset(
    {
        *("false_positive", "falsepositive", "fp", "benign_positive", "benignpositive", "bp"),
        *("benign_true_positive", "btp", "benign", "harmless", "normal", "false", "0", "no"),
        *("negative", "-"),
    }
)
UNDECIDED = frozenset({"", "undetermined", "unlabeled", "unlabelled", "unknown", "null", "none"})
BENIGN_SIGN = "-"  # where a set marks the harmless ones so, every other word names an attack
ENVELOPE = frozenset({"alert", "disposition", "decided_at", "reason", "analyst"})
SHOWN = 10
_HOUR = re.compile(r"hour\((?P<field>[^()]+)\)\Z")


class _Label(msgspec.Struct, frozen=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    label: Any


@dataclass(frozen=True, slots=True)
class Labelled:
    """One alert with its truth; `keys` are the values of the fields that were asked for."""

    item: Item
    word: str
    keys: tuple[str, ...]
    attack: bool | None = None


@dataclass(slots=True)
class Count:
    """What became of the lines of a file."""

    read: int = 0
    refused: int = 0
    undecided: int = 0
    complaints: list[str] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)

    def refuse(self, place: str, why: str) -> None:
        """Count a line that cannot be used; the first few are remembered."""
        self.refused += 1
        if len(self.complaints) < SHOWN:
            self.complaints.append(f"{place}: {why}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How labels and groups are found in a record.

    `label` is a dotted path within the alert; None where each line is {"alert", "disposition"} or
    `words` gives a word for each alert, counted from 0 through all files. `drop` are paths that
    triage must not see either. `keys` are paths whose values are wanted; `hour(PATH)` is the hour
    of a time.
    """

    label: str | None = None
    words: Mapping[int, str] | None = None
    drop: Sequence[str] = ()
    keys: Sequence[str] = ()


def read_labelled(name: str, reading: Reading, limits: Limits, count: Count) -> Iterator[Labelled]:
    """The alerts of a file with the word that labels each; what cannot be used is counted.

    Raises:
        InputError: the file cannot be read, or no line of it has a label.
    """
    before = count.read
    for number, record in enumerate(files.read(name), 1):
        count.read += 1
        place = f"{name}: alert {number}"
        try:
            found = _labelled(record, before + number - 1, reading, limits)
        except PayloadError as error:
            count.refuse(place, str(error))
            continue
        if found.word.lower() in UNDECIDED:
            count.undecided += 1
            continue
        count.words[found.word] += 1
        yield found
    if count.read and not count.words:
        where = f"the field {reading.label}" if reading.label else 'lines {"alert", "disposition"}'
        raise InputError(f"{name}: no line has a label; looked for {where}")


def truth_of(word: str, *, named: bool) -> bool | None:
    """Whether a word says that the alert was an attack; None where nobody can tell.

    `named`: the set marks harmless alerts with "-", so that other words name attacks.
    """
    lowered = word.strip().lower().replace(" ", "_")
    if lowered in ATTACKS:
        return True
    if lowered in HARMLESS:
        return False
    return True if named else None


def settle(found: Sequence[Labelled], count: Count, name: str) -> list[Labelled]:
    """The alerts with their truth.

    Raises:
        InputError: a label is a word that is not known; nothing is guessed.
    """
    named = BENIGN_SIGN in count.words
    unknown = [word for word in count.words if truth_of(word, named=named) is None]
    if unknown:
        listed = ", ".join(repr(word[:40]) for word in unknown[:SHOWN])
        raise InputError(
            f"{name}: not known as labels: {listed}; use true_positive, benign_positive, "
            'false_positive, true/false, 1/0, attack/benign, or "-" for every harmless alert'
        )
    return [
        Labelled(one.item, one.word, one.keys, truth_of(one.word, named=named)) for one in found
    ]


def words_of(name: str) -> dict[int, str]:
    """Labels from a file of their own: a word on each line, or {"index", "label"} objects.

    Raises:
        InputError: the file cannot be read, an object lacks one of the two, or its index is no
            whole number from 0 on.
    """
    found: dict[int, str] = {}
    try:
        lines = Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{name}: {error}") from error
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("{"):
            found[number] = line.strip()
            continue
        try:
            entry = msgspec.json.decode(line, type=_Label, strict=False)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(
                f"{name}: line {number + 1}: an index from 0 on and a label are needed"
            ) from error
        found[entry.index] = _text(entry.label)
    return found


def require_places(words: Mapping[int, str], read: int, name: str) -> None:
    """Labels for more alerts than there are belong to other alerts.

    Raises:
        InputError: there are such.
    """
    last = max((number for number, word in words.items() if word), default=-1)
    if last >= read:
        raise InputError(
            f"{name}: it labels alert {last} (counted from 0), but only {read} were read"
        )


def _labelled(record: files.Record, number: int, reading: Reading, limits: Limits) -> Labelled:
    if record.error is not None:
        raise PayloadError("invalid_json", record.error)
    if record.text:
        if reading.words is None:
            raise PayloadError("not_an_object", "a line of text has no label of its own")
        word = _word_at(reading, number)
        item = record.item(limits)
        if isinstance(item, PayloadError):
            raise item
        return Labelled(item, word, ("",) * len(reading.keys))
    try:
        document = msgspec.json.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("invalid_json", str(error)) from error
    if not isinstance(document, dict):
        raise PayloadError("not_an_object", "a line must be a JSON object")
    alert, word = _parts(document, number, reading)
    if isinstance(alert, str):
        keys: tuple[str, ...] = ("",) * len(reading.keys)
        encoded = alert.encode("utf-8", "backslashreplace")
        item = files.Record(encoded, text=not alert.lstrip().startswith("{")).item(limits)
    else:
        keys = tuple(_key(alert, path) for path in reading.keys)
        for path in (*([reading.label] if reading.label else ()), *reading.drop):
            _remove(alert, path.split("."))
        item = read_item(msgspec.json.encode(alert), limits)
    if isinstance(item, PayloadError):
        raise item
    return Labelled(item, word, keys)


def _parts(document: dict[str, Any], number: int, reading: Reading) -> tuple[Any, str]:
    alert = document.get("alert")
    apart = isinstance(alert, dict) or (isinstance(alert, str) and "disposition" in document)
    apart = apart and not _is_an_alert(document, reading)
    if reading.words is not None:
        return (alert if apart else document), _word_at(reading, number)
    if apart and (reading.label is None or "disposition" in document):
        closing = closing_of({name: value for name, value in document.items() if name != "alert"})
        if closing.disposition is not None:
            return alert, closing.disposition.value
        return alert, _text(document.get("disposition"))
    if reading.label is None:
        raise PayloadError("not_an_object", 'needs {"alert": …, "disposition": …}, or --labels')
    inside = alert if apart else document
    found = _text(_value(inside, reading.label.split(".")))
    return inside, found or _text(_value(document, reading.label.split(".")))


def _is_an_alert(document: dict[str, Any], reading: Reading) -> bool:
    """Suricata, for one, has an object `alert` among an alert's fields: no envelope of ours."""
    if "disposition" in document or (reading.label is None and reading.words is None):
        return False
    named = (*([reading.label] if reading.label else ()), *reading.drop)
    return not document.keys() <= ENVELOPE | {path.split(".")[0] for path in named}


def _word_at(reading: Reading, number: int) -> str:
    return (reading.words or {}).get(number, "")


def _value(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(document, Mapping) or part not in document:
            return None
        document = document[part]
    return document


def _remove(document: Any, path: Sequence[str]) -> None:
    inside = _value(document, path[:-1]) if len(path) > 1 else document
    if isinstance(inside, dict):
        inside.pop(path[-1], None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value).strip()


def _key(alert: Mapping[str, Any], path: str) -> str:
    hour = _HOUR.match(path.strip())
    if hour is None:
        return _text(_value(alert, path.strip().split(".")))
    raw = _value(alert, hour["field"].split("."))
    parsed = parse_time(raw, datetime.now(UTC)) if raw is not None else None
    return "" if parsed is None else str(int(parsed.time.timestamp() // 3600))


def disposition_of(one: Labelled) -> Disposition:
    """The label as a decision."""
    return Disposition.TRUE_POSITIVE if one.attack else Disposition.FALSE_POSITIVE
