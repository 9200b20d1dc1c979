"""Finding MITRE ATT&CK ids in whatever a rule's author wrote."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

MAX_IDS = 50
TACTICS: Mapping[str, str] = MappingProxyType(
    {
        "reconnaissance": "TA0043",
        "resourcedevelopment": "TA0042",
        "initialaccess": "TA0001",
        "execution": "TA0002",
        "persistence": "TA0003",
        "privilegeescalation": "TA0004",
        "defenseevasion": "TA0005",
        "defenceevasion": "TA0005",
        "stealth": "TA0005",  # the name of TA0005 since version 19
        "defenseimpairment": "TA0112",
        "credentialaccess": "TA0006",
        "discovery": "TA0007",
        "lateralmovement": "TA0008",
        "collection": "TA0009",
        "commandandcontrol": "TA0011",
        "commandcontrol": "TA0011",
        "c2": "TA0011",
        "exfiltration": "TA0010",
        "impact": "TA0040",
    }
)

_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])[Tt](\d{4})(?:[./](?:[Tt]\d{4}[./])?(\d{3}))?(?!\d)")
_TACTIC = re.compile(r"(?<![A-Za-z0-9])[Tt][Aa](\d{4})(?!\d)")
_NOT_LETTER = re.compile(r"[^a-z0-9]+")


def technique_ids(value: object) -> tuple[str, ...]:
    """All technique ids in a text, a list or an object, in order, without repeats."""
    found: dict[str, None] = {}
    for text in _texts(value):
        found.update(_techniques_in(text))
    return tuple(found)[:MAX_IDS]


def tactic_ids(value: object) -> tuple[str, ...]:
    """All tactic ids in a value, given as ids or as names (`attack.initial_access`)."""
    found: dict[str, None] = {}
    for text in _texts(value):
        found.update(_tactics_in(text))
    return tuple(found)[:MAX_IDS]


@lru_cache(maxsize=2048)  # rules bring the same tags again and again
def _techniques_in(text: str) -> dict[str, None]:
    return {
        f"T{number}.{sub}" if sub else f"T{number}": None
        for number, sub in _TECHNIQUE.findall(text)
    }


@lru_cache(maxsize=2048)
def _tactics_in(text: str) -> dict[str, None]:
    found: dict[str, None] = {}
    for number in _TACTIC.findall(text):
        found[f"TA{number}"] = None
    for part in text.split(","):
        name = _NOT_LETTER.sub("", part.strip().lower().removeprefix("attack."))
        if name in TACTICS:
            found[TACTICS[name]] = None
    return found


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:1024]
    elif depth > 3:
        return
    elif isinstance(value, list | tuple):
        for item in value[:MAX_IDS]:
            yield from _texts(item, depth + 1)
    elif isinstance(value, dict):
        for item in list(value.values())[:MAX_IDS]:
            yield from _texts(item, depth + 1)
