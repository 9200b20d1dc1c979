"""What would violate a constraint is found before a batch is written, by the records' own types.

The checks are compiled from the annotations in `model/`: intervals of numbers, lengths of texts.
Whether a text can be stored at all (no NUL, which PostgreSQL refuses; no lone surrogates, which
UTF-8 does not have) is found where `rows.py` writes it as JSON, which costs next to nothing there.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec import inspect

from tocsin.errors import DataQualityError, InputError
from tocsin.model import Dossier
from tocsin.store.rows import text

WORDS_LIMIT = 2000  # characters of what a person writes
Check = Callable[[Any], str | None]
TABLES = {
    "alert": "alerts",
    "context": "alert_context",
    "intel": "threat_intel",
    "verdict": "triage_results",
    "links": "incident_alerts",
}
"""The table that holds each field of a dossier."""


def violation(dossier: Dossier, filled: Sequence[str]) -> str | None:
    """What is wrong with the fields that are about to be written; None when all is well.

    The answer is a bounded reason, a colon and the field, e.g. `out_of_range: alert.source.port`.
    """
    checks = _checks()
    for name in filled:
        found = checks[name](getattr(dossier, name))
        if found is not None:
            reason, _, field = found.partition(":")
            return f"{reason}: {name}{field}"
    return None


def written(name: str, value: str, longest: int = WORDS_LIMIT) -> str:
    """What a person wrote, if it can be stored.

    Raises:
        InputError: it is too long, or holds what no database takes.
    """
    if len(value) > longest:
        raise InputError(f"{name}: at most {longest} characters")
    if not storable(value):
        raise InputError(f"{name}: it holds a NUL or half a character, which cannot be stored")
    return value


def storable(value: str) -> bool:
    """Whether both databases take a text as it is: it has no NUL and no half of a character."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_storable(value: str) -> str:
    """A text with signs of replacement for what no database takes."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def refused_table(dossier: Dossier, filled: Sequence[str], found: str = "") -> str:
    """The table that would not have taken the dossier.

    Args:
        dossier: what was to be written.
        filled: its fields that were.
        found: what `violation` said, if it was that.
    """
    field = found.partition(": ")[2].partition(".")[0]
    if field in TABLES:
        return TABLES[field]
    for name in filled:
        try:
            text(getattr(dossier, name))
        except DataQualityError:
            return TABLES[name]
    return TABLES["alert"]


@cache
def _checks() -> dict[str, Check]:
    info = inspect.type_info(Dossier)
    assert isinstance(info, inspect.StructType)
    types = {field.encode_name: field.type for field in info.fields}
    return {name: _compile(types[name]) or _nothing for name in TABLES}


def _compile(kind: inspect.Type) -> Check | None:  # noqa: PLR0911  # a case for each kind
    """The check of a type; None where every value will do."""
    if isinstance(kind, inspect.Metadata):
        return _compile(kind.type)
    if isinstance(kind, inspect.StrType):
        return _text(kind.max_length)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _number(kind.ge, kind.le)
    if isinstance(kind, inspect.StructType):
        return _struct(kind)
    if isinstance(kind, inspect.VarTupleType):
        return _items(_compile(kind.item_type))
    if isinstance(kind, inspect.UnionType):
        return _union(kind)
    return None


def _text(longest: int | None) -> Check | None:
    if longest is None:
        return None

    def check(value: Any) -> str | None:
        return "too_long:" if len(value) > longest else None

    return check


def _number(low: float | None, high: float | None) -> Check | None:
    if low is None and high is None:
        return None
    least = -math.inf if low is None else low
    most = math.inf if high is None else high

    def check(value: Any) -> str | None:
        return None if least <= value <= most else "out_of_range:"

    return check


def _struct(kind: inspect.StructType) -> Check | None:
    fields = [
        (field.name, attrgetter(field.name), inner)
        for field in kind.fields
        if (inner := _compile(field.type)) is not None
    ]

    def check(value: Any) -> str | None:
        for name, get, test in fields:
            member = get(value)
            if member is not None and (found := test(member)) is not None:
                reason, _, rest = found.partition(":")
                return f"{reason}:.{name}{rest}"
        return None

    return check if fields else None


def _items(test: Check | None) -> Check | None:
    if test is None:
        return None

    def check(values: Any) -> str | None:
        for place, value in enumerate(values):
            if (found := test(value)) is not None:
                reason, _, rest = found.partition(":")
                return f"{reason}:.{place}{rest}"
        return None

    return check


def _union(kind: inspect.UnionType) -> Check | None:
    """Optional values, and the three kinds of context data told apart by their class."""
    records = [member for member in kind.types if isinstance(member, inspect.StructType)]
    plain = [m for m in kind.types if not isinstance(m, inspect.StructType | inspect.NoneType)]
    if not records:
        return _compile(plain[0])
    tests = {m.cls: test for m in records if (test := _compile(m)) is not None}
    if not tests:
        return None

    def check(value: Any) -> str | None:
        test = tests.get(type(value))
        return None if test is None else test(value)

    return check


def _nothing(_: Any) -> str | None:
    return None
