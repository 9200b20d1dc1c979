"""Labelled alerts from files: what was true of each, taken out before triage can see it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.cli import files
from tocsin.cli.envelopes import ALERT, DISPOSITION, opened, remove, value_at
from tocsin.cli.label_words import COLUMNS, SIGN, Words, says_nothing, text_of, truth_of
from tocsin.errors import InputError, PayloadError
from tocsin.ingest import Item, Limits, read_item
from tocsin.knowledge.closings import closing_of
from tocsin.model import Disposition
from tocsin.normalize.times import parse_time

SHOWN = 10
SHOWN_FIELDS = 20
_HOUR = re.compile(r"hour\((?P<field>[^()]+)\)\Z")


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
    fields: list[str] = field(default_factory=list)  # of the first line, to say what there is

    def refuse(self, place: str, why: str) -> None:
        """Count a line that cannot be used; the first few are remembered."""
        self.refused += 1
        if len(self.complaints) < SHOWN:
            self.complaints.append(f"{place}: {why}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How labels and groups are found in a record.

    `label` is a dotted path in the line or in the alert; None where each line has a disposition or
    `words` gives one for each alert, counted from 0 through all files. `drop` are paths that triage
    must not see either. `keys` are paths whose values are wanted, in the alert or beside it;
    `hour(PATH)` is the hour of a time. `harmless` is the word that names harmless alerts.
    """

    label: str | None = None
    words: Words | None = None
    drop: Sequence[str] = ()
    keys: Sequence[str] = ()
    harmless: str | None = None

    @property
    def named(self) -> frozenset[str]:
        """The members of a line that hold what is asked for here."""
        keys = (_field(path) for path in self.keys)
        paths = (*COLUMNS, *([self.label] if self.label else ()), *self.drop, *keys)
        ids = (self.words.id_field,) if self.words is not None and self.words.id_field else ()
        return frozenset(name for path in (*paths, *ids) for name in (path, path.split(".")[0]))


def read_labelled(name: str, reading: Reading, limits: Limits, count: Count) -> Iterator[Labelled]:
    """The alerts of a file with the word that labels each; what cannot be used is counted.

    Raises:
        InputError: the file cannot be read, holds nothing, or no line of it has a label.
    """
    before = count.read
    labelled = False
    for number, record in enumerate(files.read(name, COLUMNS + _first(reading)), 1):
        count.read += 1
        place = f"{name}: alert {number}"
        try:
            found = _labelled(record, before + number - 1, reading, limits, count)
        except PayloadError as error:
            count.refuse(place, str(error))
            continue
        if says_nothing(found.word):
            count.undecided += 1
            continue
        labelled = True
        count.words[found.word] += 1
        yield found
    if count.read == before:
        raise InputError(f"{name}: the file holds no alert")
    if not labelled and not (reading.words and before):
        raise InputError(f"{name}: no line has a label; {_advice(reading, count)}")


def _first(reading: Reading) -> tuple[str, ...]:
    return (reading.label,) if reading.label else ()


def _advice(reading: Reading, count: Count) -> str:
    """What was looked for, and what there is instead."""
    if reading.words is not None:
        by = reading.words.id_field
        return f"the file of labels names none of their {by}" if by else "their file has none"
    there = ", ".join(count.fields[:SHOWN_FIELDS]) or "none, since no line is a JSON object"
    if reading.label is None:
        return (
            'looked for lines {"alert", "disposition"}; name the field that holds it: '
            f"tocsin evaluate … --labels FIELD (fields: {there})"
        )
    return f"looked for the field {reading.label} (and no file has this name); fields: {there}"


def settle(
    found: Sequence[Labelled], count: Count, name: str, harmless: str | None = None
) -> list[Labelled]:
    """The alerts with their truth.

    Raises:
        InputError: a label is a word that is not known; nothing is guessed.
    """
    named = SIGN in count.words
    truths = {word: truth_of(word, named=named, harmless=harmless) for word in count.words}
    unknown = [word for word, truth in truths.items() if truth is None]
    if unknown:
        listed = ", ".join(repr(word[:40]) for word in unknown[:SHOWN])
        raise InputError(
            f"{name}: not known as labels: {listed}; use true_positive, benign_positive, "
            'false_positive, true/false, 1/0, attack/benign, or "-" for every harmless alert; '
            "where the others are names of attacks, say which word is none: --harmless WORD"
        )
    return [Labelled(one.item, one.word, one.keys, truths[one.word]) for one in found]


def _labelled(
    record: files.Record, number: int, reading: Reading, limits: Limits, count: Count
) -> Labelled:
    if record.error is not None:
        raise PayloadError("invalid_json", record.error)
    if record.text:
        if reading.words is None:
            raise PayloadError("not_an_object", "a line of text has no label of its own")
        item = record.item(limits)
        if isinstance(item, PayloadError):
            raise item
        return Labelled(item, reading.words.word(number), ("",) * len(reading.keys))
    try:
        document = msgspec.json.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("invalid_json", str(error)) from error
    if not isinstance(document, dict):
        raise PayloadError("not_an_object", "a line must be a JSON object")
    count.fields = count.fields or list(document)
    alert, around = opened(document, reading.named)
    alert, word = _word(alert, around, number, reading)
    keys = tuple(_key(alert, path) or _key(around, path) for path in reading.keys)
    if isinstance(alert, str):
        encoded = alert.encode("utf-8", "backslashreplace")
        item = files.Record(encoded, text=not alert.lstrip().startswith("{")).item(limits)
    else:
        for path in (*_first(reading), *reading.drop):
            remove(alert, path)
        item = read_item(msgspec.json.encode(alert), limits)
    if isinstance(item, PayloadError):
        raise item
    return Labelled(item, word, keys)


def _word(
    alert: dict[str, Any] | str, around: dict[str, Any], number: int, reading: Reading
) -> tuple[dict[str, Any] | str, str]:
    """The alert without its label, and the label; what stands beside the alert comes first."""
    if reading.words is not None:
        return alert, reading.words.word(number, around, alert)
    if reading.label is not None and (
        word := text_of(value_at(around, reading.label)) or text_of(value_at(alert, reading.label))
    ):
        return alert, word
    if around or not isinstance(alert, dict):
        if reading.label is None or DISPOSITION in around:
            return alert, _decided(around)
    elif reading.label is None and DISPOSITION in alert:
        if ALERT in alert and not isinstance(alert[ALERT], dict):
            raise PayloadError("not_an_object", "alert: an object or a line of text is needed")
        closing = closing_of(alert)
        word = text_of(alert[DISPOSITION])
        return closing.alert, closing.outcome if closing.disposition is not None else word
    if reading.label is None:
        raise PayloadError("not_an_object", 'needs {"alert": …, "disposition": …}, or --labels')
    return alert, ""


def _decided(around: Mapping[str, Any]) -> str:
    """What a line says of its alert: by a product's own words, or by a field of labels."""
    closing = closing_of(around)
    if closing.disposition is not None:
        return closing.disposition.value
    return next((text_of(around[name]) for name in (DISPOSITION, *COLUMNS) if name in around), "")


def _field(path: str) -> str:
    hour = _HOUR.match(path.strip())
    return (hour["field"] if hour else path).strip()


def _key(document: dict[str, Any] | str, path: str) -> str:
    raw = value_at(document, _field(path))
    if _HOUR.match(path.strip()) is None:
        return text_of(raw)
    parsed = parse_time(raw, datetime.now(UTC)) if raw is not None else None
    return "" if parsed is None else str(int(parsed.time.timestamp() // 3600))


def disposition_of(one: Labelled) -> Disposition:
    """The label as a decision."""
    return Disposition.TRUE_POSITIVE if one.attack else Disposition.FALSE_POSITIVE
