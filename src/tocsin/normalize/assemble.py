"""From found values to one immutable alert; empty groups are shared, not built."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from tocsin.model import Alert
from tocsin.normalize.fields import CASTS

RELATED = tuple(field for field in CASTS if field.startswith("related."))
# Field name → the group that holds it and its name there; no group: a field of the alert itself.
_PLACES: dict[str, tuple[str, str]] = {
    field: (field.rpartition(".")[0], field.rpartition(".")[2]) for field in CASTS
}
_NESTED = (("process.parent", "process", "parent"), ("file.hash", "file", "hash"))


def assemble(found: Mapping[str, Any], **extra: Any) -> Alert:
    """Build the alert from values by field name; `extra` are fields of the alert itself."""
    groups: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for field, value in found.items():
        name, member = _PLACES[field]
        groups[name][member] = value
    groups.pop("related", None)
    for inner, outer, name in _NESTED:
        if inner in groups:
            groups[outer][name] = groups.pop(inner)
    return msgspec.convert({**groups.pop("", {}), **groups, **extra}, Alert)
