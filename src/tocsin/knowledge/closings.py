"""Closed alerts of other products: what was decided, by their own fields and words.

A record whose words are not known gives no decision: a guess would teach a falsehood.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from tocsin.knowledge.tabular import plain
from tocsin.model import Disposition

UNLABELLED = "unlabelled"
NO_DECISION = "no_decision"
UNKNOWN = "unknown"
CONTRADICTION = "contradiction"
DEPTH = 5
LONGEST_WORD = 80

Path = tuple[str, ...]


class Closing(NamedTuple):
    """What a record says of how its alert was closed.

    `outcome` is a disposition, or why there is none: unlabelled, no_decision, unknown (`word` is
    not one of the product's that are known) or contradiction. `alert` is the record without all
    of this.
    """

    product: str
    outcome: str
    word: str
    alert: dict[str, Any]
    decided_at: Any = None
    reason: str = ""
    analyst: str = ""

    @property
    def disposition(self) -> Disposition | None:
        """The decision, if there is one."""
        return Disposition(self.outcome) if self.outcome in _DISPOSITIONS else None


_DISPOSITIONS = frozenset(word.value for word in Disposition)


class _Product(NamedTuple):
    name: str
    verdict: tuple[str, ...]
    detail: tuple[str, ...]
    status: tuple[str, ...]
    closed: frozenset[str]
    only: frozenset[str]
    shared: frozenset[str]
    own: frozenset[str]
    words: Mapping[str, str]
    details: Mapping[str, str]


class _Tables(NamedTuple):
    products: tuple[_Product, ...]
    fields: Mapping[str, tuple[str, ...]]
    all_fields: frozenset[str]


def closing_of(record: Mapping[str, Any]) -> Closing:
    """What a record says about its own closing."""
    tables = _tables()
    found = dict(_flat(record))
    alert = _without(record, found, tables.all_fields)
    texts = {
        field: next((found[n][1] for n in names if n in found), None)
        for field, names in tables.fields.items()
    }
    reason, analyst = _text(texts["reason"]), _text(texts["analyst"])
    nothing = Closing("", UNLABELLED, "", alert, texts["decided_at"], reason, analyst)
    best = nothing
    for product in tables.products:
        outcome, word = _outcome(product, found)
        if outcome is None:
            continue
        closing = nothing._replace(product=product.name, outcome=outcome, word=word)
        if outcome in _DISPOSITIONS or outcome == CONTRADICTION:
            return closing
        if best is nothing or (best.outcome == UNLABELLED and outcome != UNLABELLED):
            best = closing  # what says more may still come
    return best


def is_outcome(name: str) -> bool:
    """Whether a field says something about the closing."""
    return plain(name) in _tables().all_fields


def _outcome(product: _Product, found: Mapping[str, tuple[Path, Any]]) -> tuple[str | None, str]:
    """What the product's fields say; None when the record is not one of its."""
    words = _verdict_words(product, found)
    if product.closed and any(name in found for name in product.status):
        states = {plain(_text(found[n][1])) for n in product.status if n in found}
        if not states & product.closed:
            return UNLABELLED, ""
        if not words:
            return NO_DECISION, ""  # closed, and nobody said why
    if not words:
        return None, ""
    details = [plain(_text(found[name][1])) for name in product.detail if name in found]
    meanings = {_meaning(product, word, details): word for word in words}
    decided = [meaning for meaning in meanings if meaning in _DISPOSITIONS]
    if len(decided) > 1:
        return CONTRADICTION, " / ".join(meanings.values())
    for meaning in (*decided, NO_DECISION, UNKNOWN, UNLABELLED):
        if meaning in meanings:
            return meaning, meanings[meaning]
    return UNLABELLED, ""


def _verdict_words(product: _Product, found: Mapping[str, tuple[Path, Any]]) -> list[str]:
    """What the product's fields hold; nothing where fields that others use too are not its own."""
    named = [name for name in product.verdict if name in found]
    words = [word for name in named for word in _words(found[name][1])]
    if product.only:
        return [word for word in words if plain(word) in product.only]
    foreign = product.shared.issuperset(named)
    return [] if foreign and product.own.isdisjoint(map(plain, words)) else words


def _meaning(product: _Product, word: str, details: Sequence[str]) -> str:
    key = plain(word)
    for detail in details:
        if f"{key}/{detail}" in product.details:
            return product.details[f"{key}/{detail}"]
    return product.words.get(key, UNKNOWN)


def _words(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text[:LONGEST_WORD] for each in listed if (text := _text(each).strip())]


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)
    return str(value)


def _flat(record: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[str, tuple[Path, Any]]]:
    """Every field as (its path without case and punctuation, where it is and what it holds)."""
    for name, value in record.items():
        here = (*path, name)
        if isinstance(value, dict) and len(here) < DEPTH:
            yield from _flat(value, here)
        elif value not in (None, "", []):
            yield plain("".join(here)), (here, value)


def _without(
    record: Mapping[str, Any], found: Mapping[str, tuple[Path, Any]], names: frozenset[str]
) -> dict[str, Any]:
    alert = deepcopy(dict(record))
    for name, (path, _) in found.items():
        if name in names:
            place = alert
            for part in path[:-1]:
                place = place[part]
            place.pop(path[-1], None)
    return alert


@cache
def _tables() -> _Tables:
    text = resources.files("tocsin.knowledge").joinpath("closings.toml").read_text("utf-8")
    document = tomllib.loads(text)
    common: dict[str, str] = document["common"]
    products = tuple(
        _Product(
            entry["name"],
            _plain(entry["verdict"]),
            _plain(entry["detail"]),
            _plain(entry.get("status", [])),
            frozenset(_plain(entry.get("closed", []))),
            frozenset(_plain(entry.get("only", []))),
            frozenset(_plain(entry.get("shared", []))),
            frozenset(entry.get("words", {})),
            {**common, **entry.get("words", {})},
            entry.get("details", {}),
        )
        for entry in document["product"]
    )
    fields = {name: _plain(names) for name, names in document["fields"].items()}
    every = {name for names in fields.values() for name in names}
    for product in products:
        every.update(product.verdict, product.detail, product.status)
    return _Tables(products, fields, frozenset(every - {"labels", "fieldslabels"}))


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(plain(name) for name in names)
