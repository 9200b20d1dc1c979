"""Mapping what no source definition knows: by what fields are called and what values look like."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

from tocsin.errors import DecodeError, SourceError
from tocsin.knowledge.canonical import email_address, hash_value, ip_address
from tocsin.normalize.cast import CASTS, clean_text
from tocsin.normalize.decode import DECODERS, HASH_NAMES, read_json
from tocsin.normalize.mapping import TIME, Draft
from tocsin.normalize.survey import MAX_DEPTH, Known

MAX_LEAVES = 3000
MAX_TIMES = 20
MAX_EMBEDDED = 262_144
NAME_KEYS = ("key", "Key", "name", "Name", "field", "parameter", "type")
VALUE_KEYS = ("value", "Value", "ValueString", "valueString", "stringValue", "multiValue", "intValue", "val")
LINES = frozenset(
    "syslogmessage rawdata message msg raw rawmessage fulllog log event additionalextensions".split()
)
SHAPED = {"file.hash.md5": "md5", "file.hash.sha1": "sha1", "file.hash.sha256": "sha256"}
NAMES = frozenset({"dns.question", "source.domain", "destination.domain", "host.name", "related.domain"})
DOMAINS = frozenset({"dns.question", "related.domain"})
ADDRESSES = frozenset({"source.ip", "destination.ip", "host.ip"})
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_TYPE_SUFFIX = re.compile(r"_[a-z]$")  # Log Analytics: SrcIpAddr_s, Port_d
_TOWARDS = re.compile(r"dst|dest|target|server|resp|victim", re.IGNORECASE)
_FROM = re.compile(r"src|source|client|remote|caller|attack|orig|peer|actor|user|sender|ip", re.IGNORECASE)
_OF_TIME = re.compile(r"time|date|stamp|_at$|[a-z]At$|created", re.IGNORECASE)
_EMPTY: Known = {}


class Leaf(NamedTuple):
    """A scalar of the payload: its path, the normalised last one and two names, the value."""

    path: str
    name: str
    two: str
    value: Any


class Candidate(NamedTuple):
    """A leaf that may be the value of a field; the lowest rank is tried first."""

    rank: int
    order: int
    leaf: Leaf


def infer(document: dict[str, Any], draft: Draft, known: Known) -> frozenset[str]:
    """Fill fields that the draft lacks from leaves that are not `known`; returns the paths used.

    Each field takes the leaf with the best name whose value has the field's shape. Addresses
    whose names say nothing become source, destination or related ones by position.
    """
    leaves = list(_leaves(document, known))
    by_field: dict[str, list[Candidate]] = {}
    synonyms = _synonyms()
    for order, leaf in enumerate(leaves):
        for name in (leaf.two, leaf.name):
            for field, rank in synonyms.get(name, ()):
                if field not in draft.found:
                    by_field.setdefault(field, []).append(Candidate(rank, order, leaf))
    used: set[str] = set()
    for field in _fields():
        candidates = by_field.get(field)
        if candidates:
            candidates.sort(key=lambda candidate: candidate[:2])
            _take_best(field, candidates, draft, used)
    _take_shapes(leaves, draft, used)
    if TIME not in draft.found:
        named = [leaf for leaf in leaves if _OF_TIME.search(leaf.path.rpartition(".")[2])]
        _take_best(TIME, [Candidate(0, 0, leaf) for leaf in named[:MAX_TIMES]], draft, used)
    name = draft.found.get("user.name")
    if name is not None and "@" in name and (address := email_address(name)) is not None:
        draft.found["user.email"] = address
    return frozenset(used)


def _take_best(field: str, candidates: list[Candidate], draft: Draft, used: set[str]) -> None:
    for candidate in candidates:
        try:
            value = _read(field, candidate.leaf.value, draft)
        except DecodeError:
            continue
        if value is not None:
            draft.found[field] = value
            draft.failed.pop(field, None)
            used.add(candidate.leaf.path)
            return
    if field == TIME and candidates:
        draft.failed[field] = "not a time"


def _read(field: str, raw: Any, draft: Draft) -> Any:
    """The value of a field from a raw one, stricter than a declared mapping has to be."""
    if field in SHAPED:
        return DECODERS["hashes"](raw).get(SHAPED[field])
    if field in ADDRESSES:
        decoded = DECODERS["hostport"](raw[0] if isinstance(raw, list) and raw else raw)
        if "ip" not in decoded:
            raise DecodeError("not an IP address")
        return decoded["ip"]
    if field == "user.email" or field == "email.sender":
        return DECODERS["email"](raw)["address"]
    if field == "url":
        text = clean_text(raw)
        if text is None or not (text[:1] == "/" or "://" in text or "[" in text):
            raise DecodeError("not a URL")
    elif field in NAMES:
        text = clean_text(raw)
        if text is None or " " in text or "/" in text or ip_address(text) is not None:
            raise DecodeError("not a name")
        if field in DOMAINS and "." not in text:
            raise DecodeError("not a domain")
    elif field != "description" and isinstance(raw, str) and raw[:1] in {"{", "["}:
        raise DecodeError("not a plain value")
    elif field == "event.action" and str(raw).isdigit():
        raise DecodeError("not an action")
    elif field == "http.user_agent" and len(str(raw)) < 4:
        raise DecodeError("not a user agent")
    elif field == "event.outcome":
        outcome = CASTS[field](raw, draft.notes)
        return None if outcome == "unknown" else outcome
    elif field == "user.name" and isinstance(raw, str) and raw.startswith("arn:"):
        raw = raw.rpartition("/")[2]
    value = CASTS[field](raw, draft.notes)
    return draft.read_time(value) if field == TIME and value is not None else value


def _take_shapes(leaves: list[Leaf], draft: Draft, used: set[str]) -> None:
    """Give a place to addresses and hashes under names that nobody knows."""
    found = draft.found
    taken = {found.get(field) for field in ADDRESSES}
    related_ip: list[str] = []
    related_hash: list[str] = []
    for leaf in leaves:
        value = leaf.value
        if type(value) is not str or not 3 < len(value) < 160 or leaf.path in used:
            continue
        address = ip_address(value) if value[:1].isalnum() or value[0] == ":" else None
        if address is not None:
            if address in taken:
                continue
            taken.add(address)
            used.add(leaf.path)
            if "destination.ip" not in found and _TOWARDS.search(leaf.path):
                found["destination.ip"] = address
            elif "source.ip" not in found and _FROM.search(leaf.path):
                found["source.ip"] = address
            else:
                related_ip.append(address)
        elif len(value.strip()) in HASH_NAMES and _names_hash(leaf.path):
            digest = hash_value(value)
            if digest is not None and digest not in found.values():
                related_hash.append(digest)
                used.add(leaf.path)
    if related_ip:
        found["related.ip"] = (*found.get("related.ip", ()), *related_ip[:32])
    if related_hash:
        found["related.hash"] = (*found.get("related.hash", ()), *related_hash[:32])


def _names_hash(path: str) -> bool:
    lowered = path.lower()
    return "hash" in lowered or "sha" in lowered or "md5" in lowered


def _leaves(document: dict[str, Any], known: Known) -> Iterator[Leaf]:
    count = 0
    for leaf in _walk(document, known, "", "", 0):
        yield leaf
        count += 1
        if count >= MAX_LEAVES:
            return


def _walk(
    node: dict[str, Any], known: Known | None, prefix: str, parent: str, depth: int
) -> Iterator[Leaf]:
    if depth > MAX_DEPTH:
        return
    pair = _pair(node)
    if pair is not None:
        name = _plain(pair[0])
        yield Leaf(f"{prefix}{pair[0]}", name, parent + name, pair[1])
    inside: list[tuple[str, dict[str, Any], Known | None]] = []
    for key, value in node.items():
        below = known.get(key, _EMPTY) if known is not None else None
        if below is None:
            continue
        path = f"{prefix}{key}"
        if type(value) is dict:
            inside.append((path, value, below))
        elif type(value) is list:
            rows = [item for item in value if type(item) is dict]
            inside.extend((path, row, below) for row in rows[:100])
            scalars = [item for item in value if type(item) is not dict]
            if scalars:
                name = _plain(key)
                yield Leaf(path, name, parent + name, scalars)
        elif value is not None and value != "":
            embedded = _embedded(key, value)
            if embedded is not None:
                inside.append((path, embedded, below))
            if embedded is None or value[0] != "{":
                name = _plain(key)
                yield Leaf(path, name, parent + name, value)
    for path, child, below in inside:  # nearer leaves come before deeper ones
        yield from _walk(child, below, f"{path}.", _plain(path.rpartition(".")[2]), depth + 1)


def _pair(node: dict[str, Any]) -> tuple[str, Any] | None:
    """The name and value of `{"Key": "target_name", "ValueString": "…"}` and its relatives."""
    if len(node) > 4:
        return None
    name = next((node[key] for key in NAME_KEYS if isinstance(node.get(key), str)), None)
    value = next((node[key] for key in VALUE_KEYS if node.get(key) not in (None, "")), None)
    return (name, value) if name and value is not None and not isinstance(value, dict) else None


def _embedded(name: str, value: Any) -> dict[str, Any] | None:
    """The object inside a text: JSON anywhere, `key=value` pairs where whole log lines stand."""
    if type(value) is not str or not 2 < len(value) <= MAX_EMBEDDED:  # noqa: PLR2004
        return None
    if value[0] == "{" and value[-1] == "}":
        try:
            decoded = read_json(value)
        except DecodeError:
            return None
        return decoded if isinstance(decoded, dict) else None
    if value.count("=") > 2 and _plain(name) in LINES:  # noqa: PLR2004
        try:
            return dict(DECODERS["key_value"](value))
        except DecodeError:
            return None
    return None


@lru_cache(maxsize=16_384)
def _plain(name: str) -> str:
    """A name without case, punctuation and the type suffix of Log Analytics columns."""
    plain = _NOT_ALNUM.sub("", _TYPE_SUFFIX.sub("", name).lower())
    return plain[:128]


@cache
def _fields() -> tuple[str, ...]:
    return tuple(_table())


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
            found.setdefault(_plain(name.replace(".", "")), {}).setdefault(field, rank)
    return {name: tuple(fields.items()) for name, fields in found.items()}
