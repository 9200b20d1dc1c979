"""Mapping what no source definition knows: by what fields are called and what values look like."""

import re
import tomllib
from datetime import datetime
from functools import cache
from importlib import resources
from operator import itemgetter
from typing import Any

from tocsin.errors import DecodeError, SourceError
from tocsin.knowledge.canonical import email_address, hash_value, ip_address
from tocsin.normalize.decode import DECODERS, HASH_NAMES
from tocsin.normalize.fields import CASTS
from tocsin.normalize.leaves import Leaf, leaves_of, plain_name
from tocsin.normalize.mapping import TIME, Draft
from tocsin.normalize.survey import Known

MAX_TIMES = 20
MAX_RELATED = 32
SHAPED = {"file.hash.md5": "md5", "file.hash.sha1": "sha1", "file.hash.sha256": "sha256"}
NAMES = frozenset(
    {"dns.question", "source.domain", "destination.domain", "host.name", "related.domain"}
)
DOMAINS = frozenset({"dns.question", "related.domain"})
MAILS = frozenset({"user.email", "email.sender"})
ADDRESSES = frozenset({"source.ip", "destination.ip", "host.ip"})
ERRORS = frozenset({"errorcode", "exceptioncode"})
NO_ERRORS = frozenset({"", "0", "none", "success", "ok", "noerror", "false"})
ANSWERS = frozenset({"responsestatuscode"})  # of HTTP; `status.code` is of Google's RPC
FIRST_REFUSAL = 400
LAST_RPC_CODE = 16
_RANK = itemgetter(0, 1)
_TOWARDS = re.compile(r"dst|dest|target|server|resp|victim", re.IGNORECASE)
_FROM = re.compile(
    r"src|source|client|remote|caller|attack|orig|peer|actor|user|sender|ip", re.IGNORECASE
)
_OF_TIME = re.compile(r"time|date|stamp|_at$|[a-z]At$|created", re.IGNORECASE)


# Members at the top by which senders name an alert after what raised it.
TITLES = frozenset({"name", "title", "alertname", "alerttitle", "alertdisplayname", "displayname"})

# A leaf that may be the value of a field; the lowest rank, then the first leaf, is tried first.
Candidate = tuple[int, int, Leaf]


def infer(document: dict[str, Any], draft: Draft, known: Known) -> frozenset[str]:
    """Fill fields that the draft lacks from leaves that are not `known`; returns the paths used.

    Each field takes the leaf with the best name whose value has the field's shape. Addresses
    whose names say nothing become source, destination or related ones by position.
    """
    leaves = leaves_of(document, known)
    by_field: dict[str, list[Candidate]] = {}
    synonyms = _synonyms()
    for order, leaf in enumerate(leaves):
        _, name, two, _ = leaf
        for field, rank in (*synonyms.get(two, ()), *synonyms.get(name, ())):
            if field not in draft.found:
                by_field.setdefault(field, []).append((rank, order, leaf))
    used: set[str] = set()
    for field in sorted(by_field, key=_fields().__getitem__):
        candidates = by_field[field]
        if len(candidates) > 1:
            candidates.sort(key=_RANK)
        _take_best(field, candidates, draft, used)
    _take_shapes(leaves, draft, used)
    if TIME not in draft.found:
        named = [leaf for leaf in leaves if _OF_TIME.search(leaf[0].rpartition(".")[2])]
        _take_best(TIME, [(0, 0, leaf) for leaf in named[:MAX_TIMES]], draft, used)
    if "event.outcome" not in draft.found:
        _take_error(leaves, draft, used)
    if "rule.name" not in draft.found and _is_named(document, draft.found.get("title")):
        draft.found["rule.name"] = draft.found["title"]
    user = str(draft.found.get("user.name", ""))
    if "@" in user and (address := email_address(user)) is not None:
        draft.found["user.email"] = address
    return frozenset(used)


def _is_named(document: dict[str, Any], title: Any) -> bool:
    """Whether the title is what the sender calls the alert, so that alike ones are of one rule."""
    return title is not None and any(
        key.lower().replace("_", "") in TITLES and value == title for key, value in document.items()
    )


def _take_best(field: str, candidates: list[Candidate], draft: Draft, used: set[str]) -> None:
    for _, _, (path, _, _, raw) in candidates:
        try:
            value = _read(field, raw, draft)
        except DecodeError:
            continue
        if value is not None:
            draft.found[field] = value
            draft.failed.pop(field, None)
            used.add(path)
            return
    if field == TIME and candidates:
        draft.failed[field] = "not a time"


def _take_error(leaves: list[Leaf], draft: Draft, used: set[str]) -> None:
    """A code of an error, or of an answer that refuses, says that the action failed."""
    for path, name, two, value in leaves:
        if name in ERRORS:
            text = str(value).strip().lower()
            failed = text not in NO_ERRORS
        elif type(value) is int and (two in ANSWERS or (name == "code" and two == "statuscode")):
            failed = value >= FIRST_REFUSAL if value > LAST_RPC_CODE else value > 0
        else:
            continue
        draft.found["event.outcome"] = "failure" if failed else "success"
        used.add(path)
        return


def _read(field: str, raw: Any, draft: Draft) -> Any:
    """The value of a field from a raw one, stricter than a declared mapping has to be."""
    if field in SHAPED:
        return DECODERS["hashes"](raw).get(SHAPED[field])
    if field in ADDRESSES:
        address = DECODERS["hostport"](raw[0] if isinstance(raw, list) and raw else raw)
        return _require(address.get("ip"), "an IP address")
    if field in MAILS:
        return DECODERS["email"](raw)["address"]
    if field == "event.outcome":
        outcome = CASTS[field](raw, draft.notes)
        return None if outcome == "unknown" else outcome
    if field == "user.name" and isinstance(raw, str) and raw.startswith("arn:"):
        raw = raw.rpartition("/")[2]
    if field != "description" and isinstance(raw, str) and not _looks_right(field, raw.strip()):
        raise DecodeError("not of the field's shape")
    value = CASTS[field](raw, draft.notes)
    if field != TIME or value is None or isinstance(value, datetime):
        return value
    return draft.read_time(value)


def _require(value: Any, what: str) -> Any:
    if value is None:
        raise DecodeError(f"not {what}")
    return value


def _looks_right(field: str, text: str) -> bool:
    """Whether a text has the shape that values of a field have."""
    if text[:1] in {"{", "["}:
        return False
    if field in NAMES:
        plain = " " not in text and "/" not in text and ip_address(text) is None
        return plain and (field not in DOMAINS or "." in text)
    match field:
        case "url":
            return text[:1] == "/" or "://" in text or "[" in text
        case "event.action":
            return not text.isdigit()
        case "http.user_agent":
            return len(text) > 3
    return True


def _take_shapes(leaves: list[Leaf], draft: Draft, used: set[str]) -> None:
    """Give a place to addresses and hashes under names that nobody knows."""
    found = draft.found
    known = {value for value in found.values() if isinstance(value, str)}
    related: dict[str, list[str]] = {"related.ip": [], "related.hash": []}
    for path, _, _, value in leaves:
        if type(value) is not str or not 3 < len(value) < 160 or path in used:
            continue
        address = ip_address(value) if _looks_like_address(value) else None
        if address is not None and address not in known:
            field = _side(path, found)
            if field is not None:
                found[field] = address
            else:
                related["related.ip"].append(address)
            known.add(address)
            used.add(path)
        elif len(value.strip()) in HASH_NAMES and _names_hash(path):
            digest = hash_value(value)
            if digest is not None and digest not in known:
                related["related.hash"].append(digest)
                known.add(digest)
                used.add(path)
    for field, values in related.items():
        if values:
            found[field] = (*found.get(field, ()), *values[:MAX_RELATED])


def _looks_like_address(text: str) -> bool:
    if text[0] != ":" and not text[0].isalnum():
        return False
    return text.count(".") == 3 or text.count(":") > 1


def _side(path: str, found: dict[str, Any]) -> str | None:
    """The end of the connection that an address belongs to by the name it stands under."""
    if "destination.ip" not in found and _TOWARDS.search(path):
        return "destination.ip"
    return "source.ip" if "source.ip" not in found and _FROM.search(path) else None


def _names_hash(path: str) -> bool:
    lowered = path.lower()
    return "hash" in lowered or "sha" in lowered or "md5" in lowered


@cache
def _fields() -> dict[str, int]:
    """The fields that have synonyms, each with its place in the order that they are tried in."""
    return {field: place for place, field in enumerate(_table())}


@cache
def _table() -> dict[str, list[str]]:
    text = (resources.files(__package__) / "synonyms.toml").read_text("utf-8")
    table: dict[str, list[str]] = tomllib.loads(text)
    if unknown := set(table) - set(CASTS):
        raise SourceError(f"synonyms.toml: there is no field {', '.join(sorted(unknown))}")
    return table


@cache
def _synonyms() -> dict[str, tuple[tuple[str, int], ...]]:
    """Normalised name → the fields that may be called so, with the rank of the name there."""
    found: dict[str, dict[str, int]] = {}
    for field, names in _table().items():
        for rank, name in enumerate(names):
            found.setdefault(plain_name(name.replace(".", "")), {}).setdefault(field, rank)
    return {name: tuple(fields.items()) for name, fields in found.items()}
