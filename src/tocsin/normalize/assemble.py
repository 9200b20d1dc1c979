"""From found values to one immutable alert; empty groups are shared, not built."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tocsin.model import (
    Alert,
    Cloud,
    Dns,
    Email,
    Endpoint,
    Event,
    File,
    Hashes,
    Host,
    Http,
    Network,
    ParentProcess,
    Process,
    Record,
    Registry,
    Rule,
    Threat,
    User,
)
from tocsin.normalize.cast import CASTS

GROUPS: Mapping[str, type[Record]] = MappingProxyType(
    {
        "event": Event,
        "rule": Rule,
        "threat": Threat,
        "source": Endpoint,
        "destination": Endpoint,
        "host": Host,
        "user": User,
        "process": Process,
        "process.parent": ParentProcess,
        "file": File,
        "file.hash": Hashes,
        "dns": Dns,
        "email": Email,
        "http": Http,
        "network": Network,
        "registry": Registry,
        "cloud": Cloud,
    }
)
RELATED = "related"
# Field name → the group that holds it and its name there; no group: a field of the alert itself.
_PLACES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        field: (field.rpartition(".")[0], field.rpartition(".")[2])
        for field in CASTS
        if not field.startswith(f"{RELATED}.")
    }
)
_NESTED = (("process.parent", "process", "parent"), ("file.hash", "file", "hash"))


def assemble(found: Mapping[str, Any], **extra: Any) -> Alert:
    """Build the alert from values by field name; `extra` are fields of the alert itself."""
    groups: dict[str, dict[str, Any]] = {"": extra}
    for field, value in found.items():
        place = _PLACES.get(field)
        if place is None:
            continue
        group = groups.get(place[0])
        if group is None:
            groups[place[0]] = {place[1]: value}
        else:
            group[place[1]] = value
    for inner, outer, name in _NESTED:
        values = groups.pop(inner, None)
        if values is not None:
            groups.setdefault(outer, {})[name] = GROUPS[inner](**values)
    top = groups.pop("")
    for group_name, values in groups.items():
        top[group_name] = GROUPS[group_name](**values)
    return Alert(**top)
