"""Catalogues of detections: Sigma rules and Splunk ESCU detections, as YAML or as JSON."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from tocsin.errors import ImportRowError, InputError
from tocsin.knowledge.tabular import decode, read_bytes, read_rows
from tocsin.model import Detection, DetectionKind, DetectionStatus, Severity

SIGMA, ESCU = "sigma", "escu"
LONGEST_ID, LONGEST_NAME, LONGEST_TEXT = 128, 512, 400
MOST_CAUSES, MOST_TECHNIQUES = 8, 32

_TECHNIQUE: Final = re.compile(r"(?<![A-Za-z0-9])t\d{4}(?:\.\d{3})?(?!\d)", re.IGNORECASE)
_LEVELS: Final = {level.value: level for level in Severity} | {"informational": Severity.INFO}
_KINDS: Final = {kind.value: kind for kind in DetectionKind}
_STATUSES: Final = {status.value: status for status in DetectionStatus} | {
    "production": DetectionStatus.STABLE,
    "validation": DetectionStatus.TEST,
    "unsupported": DetectionStatus.UNSUPPORTED,
}
# What authors write when they name no cause.
_NO_CAUSE: Final = frozenset({"", "unknown", "none", "n/a", "not known", "no known", "tbd", "-"})


def read_detections(
    name: str, catalogue: str | None = None
) -> Iterator[Detection | ImportRowError]:
    """The detections of a file: YAML (one or several documents), JSON or JSON lines, plain or gzip.

    Args:
        name: a path, or `-` for standard input.
        catalogue: whose they are; told from their form if not given.

    Raises:
        InputError: the file cannot be read or holds neither.
    """
    for number, row in _rows(name):
        if isinstance(row, ImportRowError):
            yield row
            continue
        try:
            yield detection_of(number, row, catalogue)
        except ImportRowError as error:
            yield error


def _rows(name: str) -> Iterator[tuple[int, dict[str, Any] | ImportRowError]]:
    if name.lower().endswith((".yml", ".yaml")):
        yield from _documents(name)
        return
    for row in read_rows(name):
        if isinstance(row, ImportRowError):
            yield 0, row
        else:
            yield row


def _documents(name: str) -> Iterator[tuple[int, dict[str, Any] | ImportRowError]]:
    text = decode(read_bytes(name), name)
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{name}: is not YAML: {line}") from error
    if not documents:
        raise InputError(f"{name}: the file is empty")
    for number, document in enumerate(documents, 1):
        if isinstance(document, dict):
            yield number, document
        else:
            yield number, ImportRowError(number, "is not a mapping of fields")


def detection_of(number: int, row: Mapping[Any, Any], catalogue: str | None) -> Detection:
    """One detection from its author's fields; `number` is the row, for complaints.

    Raises:
        ImportRowError: it has no name, or a value that cannot be read.
    """
    is_sigma = "logsource" in row or "falsepositives" in row or "title" in row
    name = _text(row.get("title") or row.get("name"), LONGEST_NAME)
    if not name:
        raise ImportRowError(number, "has neither title nor name")
    tags = row.get("tags")
    inner: Mapping[Any, Any] = tags if isinstance(tags, dict) else {}
    causes = row.get("falsepositives") if is_sigma else row.get("known_false_positives")
    return Detection(
        catalogue=catalogue or (SIGMA if is_sigma else ESCU),
        detection_id=_text(row.get("id"), LONGEST_ID) or name[:LONGEST_ID],
        name=name,
        level=_word(number, "level", row.get("level"), _LEVELS),
        risk_score=_score(number, _risk(row, inner)),
        kind=_KINDS.get(_text(row.get("type"), 32).lower(), DetectionKind.RULE),
        status=_STATUSES.get(_text(row.get("status"), 32).lower()),
        techniques=_techniques(tags, row.get("mitre"), inner.get("mitre_attack_id")),
        false_positives=_causes(causes),
    )


def _text(value: Any, longest: int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).replace("\x00", " ").split())[:longest]


def _word(number: int, field: str, value: Any, words: Mapping[str, Severity]) -> Severity | None:
    text = _text(value, 32).lower()
    if not text:
        return None
    if text not in words:
        raise ImportRowError(number, f"{field} is none of {', '.join(sorted(words))}: {text}")
    return words[text]


def _risk(row: Mapping[Any, Any], inner: Mapping[Any, Any]) -> Any:
    """The risk score, wherever the catalogue's version keeps it."""
    for value in (row.get("risk_score"), inner.get("risk_score")):
        if value is not None:
            return value
    rba = row.get("rba")
    objects = rba.get("risk_objects") if isinstance(rba, dict) else None
    scores = [item.get("score") for item in objects or () if isinstance(item, dict)]
    numbers = [score for score in scores if isinstance(score, int | float)]
    return max(numbers) if numbers else None


def _score(number: int, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = -1.0
    if not 0 <= score <= 100:
        raise ImportRowError(number, f"risk_score is no number of 0 to 100: {_text(value, 40)}")
    return score


def _techniques(*values: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in values:
        items = value if isinstance(value, list) else [value]
        for item in items:
            for identifier in _TECHNIQUE.findall(item) if isinstance(item, str) else ():
                found[identifier.upper()] = None
    return tuple(found)[:MOST_TECHNIQUES]


def _causes(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    texts = [_text(item, LONGEST_TEXT) for item in items]
    kept = [text for text in texts if text.lower().rstrip(".") not in _NO_CAUSE]
    return tuple(dict.fromkeys(kept))[:MOST_CAUSES]
