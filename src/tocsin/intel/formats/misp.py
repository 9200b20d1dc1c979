"""MISP events as JSON: exports, API answers and the event files of feeds."""

from collections.abc import Iterator
from typing import Any

from tocsin.errors import ImportRowError
from tocsin.intel.formats import words
from tocsin.intel.formats.row import Row, Rows, shown
from tocsin.model import ObservableType, ThreatLevel

Kind = ObservableType

_IGNORED_PART = "filename"
_KINDS: dict[str, Kind | None] = {
    **dict.fromkeys(("ip", "ip-src", "ip-dst"), Kind.IP),
    **dict.fromkeys(("domain", "hostname"), Kind.DOMAIN),
    **dict.fromkeys(("url", "link"), Kind.URL),
    **dict.fromkeys(("md5", "sha1", "sha256", "sha512", "malware-sample"), Kind.HASH),
    **dict.fromkeys(("x509-fingerprint-sha1", "x509-fingerprint-sha256"), Kind.HASH),
    "x509-fingerprint-md5": Kind.HASH,
    **dict.fromkeys(("email", "email-src", "email-dst", "email-reply-to"), Kind.EMAIL),
}
_LEVELS = {"1": ThreatLevel.HIGH, "2": ThreatLevel.MEDIUM, "3": ThreatLevel.LOW}
_CONFIDENCE = {
    "completely-confident": 1.0,
    "usually-confident": 0.75,
    "fairly-confident": 0.5,
    "rarely-confident": 0.25,
    "unconfident": 0.0,
}
_CONFIDENCE_TAG = "misp:confidence-level="


def misp(document: Any) -> Rows:
    """Rows of the attributes that their event marks for detection (`to_ids`)."""
    number = 0
    for event, attributes in _events(document):
        level = _LEVELS.get(str(event.get("threat_level_id")))
        event_tags = _tags(event)
        for attribute in attributes:
            number += 1
            if not isinstance(attribute, dict):
                yield ImportRowError(number, "the attribute is no record")
            elif _for_detection(attribute):
                yield from _rows(number, attribute, event, level, event_tags)


def _rows(
    number: int,
    attribute: dict[str, Any],
    event: dict[str, Any],
    level: ThreatLevel | None,
    event_tags: list[str],
) -> Rows:
    name, value = attribute.get("type"), attribute.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        yield ImportRowError(number, "the attribute has no type or no value")
        return
    tags = [*_tags(attribute), *event_tags]
    comment, info = attribute.get("comment"), event.get("info")
    note = next((text for text in (comment, info) if isinstance(text, str) and text), None)
    named = False
    for part, text in zip(name.split("|"), _parts(name, value), strict=False):
        kind = Kind.HASH if name == "malware-sample" else _KINDS.get(part)
        if kind is None:
            continue
        named = True
        yield Row(
            number=number,
            value=text,
            kind=kind,
            level=level,
            confidence=_confidence(tags),
            tlp=next((tlp for tag in tags if (tlp := _tlp(tag)) is not None), None),
            tags=tuple(tag for tag in dict.fromkeys(tags) if _worth_keeping(tag)),
            description=note,
            first_seen=words.moment(attribute.get("first_seen") or attribute.get("timestamp")),
        )
    if not named:
        yield ImportRowError(number, f"attributes of type {shown(name)} cannot be matched")


def _parts(name: str, value: str) -> list[str]:
    """The parts of a value, as many as its type has; a file name may hold a bar itself."""
    if name == "malware-sample":
        return [value.rpartition("|")[2]]
    if name.startswith(_IGNORED_PART):
        return list(value.rpartition("|")[::2])
    return value.split("|") if "|" in name else [value]


def _events(document: Any) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Each event with all its attributes, those of its objects included."""
    if isinstance(document, list):
        for item in document:
            yield from _events(item)
        return
    if not isinstance(document, dict):
        return
    if "response" in document:
        yield from _events(document["response"])
    elif isinstance(document.get("Event"), dict):
        yield from _events(document["Event"])
    elif "Attribute" in document or "Object" in document:
        attributes = _list(document.get("Attribute"))
        for item in _list(document.get("Object")):
            if isinstance(item, dict) and item.get("deleted") is not True:
                attributes = [*attributes, *_list(item.get("Attribute"))]
        yield document, attributes


def _for_detection(attribute: dict[str, Any]) -> bool:
    return attribute.get("to_ids", True) in (True, 1, "1", "true") and attribute.get(
        "deleted"
    ) not in (True, 1, "1")


def _tags(item: dict[str, Any]) -> list[str]:
    names = [tag.get("name") for tag in _list(item.get("Tag")) if isinstance(tag, dict)]
    return [name for name in names if isinstance(name, str)]


def _tlp(tag: str) -> Any:
    return words.tlp(tag) if tag.lower().startswith("tlp:") else None


def _confidence(tags: list[str]) -> float | None:
    for tag in tags:
        if tag.startswith(_CONFIDENCE_TAG):
            return _CONFIDENCE.get(tag.removeprefix(_CONFIDENCE_TAG).strip('"'))
    return None


def _worth_keeping(tag: str) -> bool:
    return not tag.lower().startswith("tlp:") and not tag.startswith(_CONFIDENCE_TAG)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
