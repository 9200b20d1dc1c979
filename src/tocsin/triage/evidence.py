"""How evidence is written down: pointers into what is stored, hashes of it, quoted text."""

import hashlib
import re
from functools import lru_cache
from typing import Any

import msgspec

from tocsin.model import Dossier, Evidence, EvidenceDirection
from tocsin.triage.payload import decoded

QUOTED = 120  # most characters of an alert's text that a statement repeats
FEW = 8  # most texts of a list whose hash is kept
_ENCODER = msgspec.json.Encoder(order="sorted")
_UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LIST_INDEX = re.compile(r"0|[1-9]\d{0,5}", re.ASCII)


def value_hash(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the value's canonical JSON.

    Short texts, and short lists of them such as techniques, come again and again; their hashes are
    kept.
    """
    if isinstance(value, str):
        return _kept_hash(value) if len(value) <= QUOTED else _hash(value)
    if isinstance(value, tuple) and len(value) <= FEW:
        for item in value:
            if not isinstance(item, str) or len(item) > QUOTED:
                return _hash(value)
        return _kept_hash(value)
    return _hash(value)


def _hash(value: Any) -> str:
    try:
        content = _ENCODER.encode(value)
    except UnicodeEncodeError:  # lone surrogates, which no store keeps as they are
        content = _ENCODER.encode(_without_surrogates(msgspec.to_builtins(value)))
    return hashlib.sha256(content).hexdigest()[:16]


_kept_hash = lru_cache(maxsize=4096)(_hash)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def quoted(text: str, longest: int = QUOTED) -> str:
    """Text of an alert as a sentence may repeat it: one line, printable, not too long."""
    if len(text) <= longest and text.isprintable():
        return text
    cut = text if len(text) <= longest else text[:longest] + "…"
    if cut.isprintable():
        return cut
    return _SURROGATES.sub("\ufffd", _UNPRINTABLE.sub(" ", cut))


def entry(
    name: str,
    statement: str,
    pointer: str,
    value: Any,
    weight: float,
    *,
    tainted: bool = False,
    technique: str | None = None,
    digest: str | None = None,
) -> Evidence:
    """One piece of evidence about `value`, which is what stands at `pointer`.

    `digest` is the value's hash where the caller knows it already.

    This is the one place that turns a weight into a direction, and it holds the rule that what an
    attacker can write never lowers: a tainted weight below zero becomes zero.
    """
    amount, direction = _counted(0.0 if tainted and weight < 0 else weight)
    if digest is None:
        short = type(value) is str and len(value) <= QUOTED  # what most values are
        digest = _kept_hash(value) if short else value_hash(value)
    return Evidence(
        name=name,
        statement=statement,
        pointer=pointer,
        value_hash=digest,
        direction=direction,
        weight=amount,
        tainted=tainted,
        technique=technique,
    )


@lru_cache(maxsize=1024)
def _counted(weight: float) -> tuple[float, EvidenceDirection]:
    """The weight as it is shown and added, and where it points; few weights differ."""
    amount = round(weight, 3)
    return amount, RAISES if amount > 0 else LOWERS if amount < 0 else NEUTRAL


def resolve(pointer: str, dossier: Dossier) -> Any:
    """The value that a pointer of evidence stands for, as it is in the stored JSON.

    `alerts/ID#/rule/id` points into the normalised alert, `alerts/ID/raw_data#/event/name` into the
    alert as sent (and on into JSON that stands there as a text),
    `alert_context/ID/network#/direction` into the context row of that type,
    `threat_intel/ip/ADDRESS#/threat_level` into the row of that indicator; what follows `#` is a
    JSON pointer (RFC 6901), and empty for the whole document.

    Raises:
        KeyError: the dossier holds no such document, or the document no such value.
    """
    document, _, path = pointer.rpartition("#")
    found = msgspec.to_builtins(_document(document, dossier))
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, str):
            found = decoded(found)
        if isinstance(found, list | tuple):
            if not _LIST_INDEX.fullmatch(key) or int(key) >= len(found):
                raise KeyError(pointer)
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            raise KeyError(pointer)
    return found


def _document(name: str, dossier: Dossier) -> Any:
    table, _, key = name.partition("/")
    if table == "alerts" and key == dossier.alert_id and dossier.alert is not None:
        return dossier.alert
    if table == "alerts" and key == dossier.alert_id + "/raw_data":
        return decoded(dossier.payload)
    if table == "alert_context":
        for fact in dossier.context:
            if key == dossier.alert_id + "/" + fact.context_type:
                return fact.data
    if table == "threat_intel":
        for sighting in dossier.intel:
            if key == sighting.type + "/" + sighting.value:
                return sighting
    raise KeyError(name)


RAISES = EvidenceDirection.RAISES
LOWERS = EvidenceDirection.LOWERS
NEUTRAL = EvidenceDirection.NEUTRAL
