"""STIX 2.1 bundles: the values in the patterns of their indicators.

Patterns are read with a small tokeniser. Alternatives (OR) are taken; conditions that must hold
together (AND, FOLLOWEDBY) would match too much if they were taken apart, so they are refused,
except for several hashes of one file.
"""

import re
from collections.abc import Iterator
from typing import Any

from tocsin.errors import ImportRowError
from tocsin.intel.formats import words
from tocsin.intel.formats.row import Row, Rows, shown
from tocsin.model import ObservableType, Tlp

# The marking objects of the TLP, which STIX (TLP 1) and the OASIS extension (TLP 2) fix by id.
_MARKINGS = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": Tlp.CLEAR,
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": Tlp.GREEN,
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": Tlp.AMBER,
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": Tlp.AMBER_STRICT,
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": Tlp.RED,
}
_STRICTNESS = {tlp: rank for rank, tlp in enumerate(Tlp)}
_TOKEN = re.compile(
    r"\s+|(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<path>[a-zA-Z][\w-]*:[\w-]+(?:\.'[^']*'|\.[\w-]+|\[[^\]]*\])*)"
    r"|(?P<word>[A-Za-z]+)|(?P<op>!=|<=|>=|[=<>])|(?P<mark>[\[\](),])|(?P<other>\S)",
    re.DOTALL,
)
_PATHS = {
    "ipv4-addr:value": ObservableType.IP,
    "ipv6-addr:value": ObservableType.IP,
    "network-traffic:src_ref.value": None,
    "network-traffic:dst_ref.value": None,
    "domain-name:value": ObservableType.DOMAIN,
    "url:value": ObservableType.URL,
    "email-addr:value": ObservableType.EMAIL,
    "email-message:from_ref.value": ObservableType.EMAIL,
    "email-message:sender_ref.value": ObservableType.EMAIL,
}
_HASHED = ("file:hashes", "artifact:hashes", "x509-certificate:hashes")
_TOGETHER = frozenset({"AND", "FOLLOWEDBY", "NOT", "LIKE", "MATCHES", "ISSUPERSET"})
_ALTERNATIVES = frozenset({"=", "IN", "ISSUBSET"})
MAX_PATTERN = 64 * 1024

Comparison = tuple[ObservableType | None, str]


def stix(document: Any) -> Rows:
    """Rows of a bundle, of a list of STIX objects, or of one object."""
    objects = _objects(document)
    markings = _MARKINGS | dict(_own_markings(objects))
    for number, item in enumerate(objects, 1):
        if not isinstance(item, dict) or item.get("type") != "indicator":
            continue
        yield from _rows(number, item, markings)


def comparisons(pattern: str) -> list[Comparison]:
    """Type and value of each alternative of a pattern.

    Raises:
        ValueError: the pattern needs more than one of its values at once, or is none; the message
            says which.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError("the pattern is too long")
    found: list[Comparison] = []
    joins: set[str] = set()
    hashes_only = True
    for path, operator, text in _conditions(pattern):
        if not path:
            joins.add(operator)
            continue
        is_hash = path.startswith(_HASHED)
        hashes_only = hashes_only and is_hash
        if operator not in _ALTERNATIVES:
            joins.add(operator or "no comparison")
        elif is_hash or path in _PATHS:
            found.append((ObservableType.HASH if is_hash else _PATHS[path], text))
    if joins and not (joins == {"AND"} and hashes_only):
        raise ValueError(f"the pattern uses {min(joins)}; only alternatives can be matched")
    if not found:
        raise ValueError("the pattern names nothing that can be matched")
    return found


def _conditions(pattern: str) -> Iterator[tuple[str, str, str]]:
    """Path, operator and text of each condition; words that join or negate, without a path."""
    path, operator = "", ""
    for match in _TOKEN.finditer(pattern):
        kind, token = match.lastgroup, match.group()
        if kind == "path":
            path, operator = token, ""
        elif kind == "op" or (kind == "word" and token in _ALTERNATIVES):
            operator = token
        elif kind == "word" and token in _TOGETHER:
            yield "", token, ""
        elif kind == "text" and path:
            yield path, operator, re.sub(r"\\(.)", r"\1", token[1:-1])


def _rows(number: int, item: dict[str, Any], markings: dict[str, Tlp]) -> Rows:
    pattern = item.get("pattern")
    language = item.get("pattern_type", "stix")
    if language != "stix" or not isinstance(pattern, str):
        yield ImportRowError(number, f"patterns of type {shown(str(language))} cannot be matched")
        return
    try:
        found = comparisons(pattern)
    except ValueError as error:
        yield ImportRowError(number, str(error))
        return
    tags = [tag for key in ("indicator_types", "labels") for tag in _texts(item.get(key))]
    if "benign" in tags:
        yield ImportRowError(number, "marked benign; only threats are imported")
        return
    revoked = item.get("revoked") is True
    marks = [markings[ref] for ref in _texts(item.get("object_marking_refs")) if ref in markings]
    name, description = item.get("name"), item.get("description")
    note = ": ".join(text for text in (name, description) if isinstance(text, str) and text)
    for kind, value in dict.fromkeys(found):
        yield Row(
            number=number,
            value=value,
            kind=kind,
            confidence=words.confidence(item.get("confidence"), percent=True),
            tlp=max(marks, key=_STRICTNESS.__getitem__) if marks else None,
            tags=tuple(tag for tag in tags if tag != "malicious-activity"),
            description=note or None,
            first_seen=words.moment(item.get("valid_from")),
            expires_at=words.moment(item.get("modified" if revoked else "valid_until")),
        )


def _objects(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return []
    objects = document.get("objects")
    return objects if isinstance(objects, list) else [document]


def _own_markings(objects: list[Any]) -> Iterator[tuple[str, Tlp]]:
    """TLP markings that a bundle defines itself, by name or definition."""
    for item in objects:
        if not isinstance(item, dict) or item.get("type") != "marking-definition":
            continue
        definition = item.get("definition")
        name = definition.get("tlp") if isinstance(definition, dict) else item.get("name")
        found = words.tlp(name) if isinstance(name, str) else None
        if found is not None and isinstance(item.get("id"), str):
            yield item["id"], found


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
