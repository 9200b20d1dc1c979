"""The names of roles that `roles.toml` lists."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from tocsin.errors import SettingsError
from tocsin.triage.weights import convert, data_file

FILE = "roles.toml"
# The roles that members of an event play, as `section.role`; the other lists hold values.
MEMBERS = (
    *("outcome.errors", "outcome.results", "outcome.codes", "identity.actors"),
    *("identity.proven_actors", "identity.sources", "identity.invokers", "identity.factors"),
    *("identity.hidden", "identity.risks", "identity.deviations", "identity.behaviours"),
    *("changes.actions", "changes.verbs", "changes.read_only", "changes.counts", "changes.bytes"),
    *("channel.regularity", "channel.durations"),
)


@cache
def _tables() -> dict[str, dict[str, str]]:
    return convert(data_file(FILE), dict[str, dict[str, str]], FILE)


def names(section: str, role: str) -> tuple[str, ...]:
    """The names of one role, in the order of the file.

    Raises:
        SettingsError: the file has no such list, or cannot be read.
    """
    try:
        return tuple(_tables()[section][role].split())
    except KeyError as error:
        raise SettingsError("triage/" + FILE + ": lacks " + section + "." + role) from error


def words(section: str, role: str) -> frozenset[str]:
    """The names of one role as a set."""
    return frozenset(names(section, role))


def _by_member() -> dict[str, tuple[tuple[str, str, int], ...]]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    for role in MEMBERS:
        section, _, name = role.partition(".")
        for rank, member in enumerate(names(section, name)):
            parent, _, last = member.rpartition(".")
            found.setdefault(last, []).append((role, parent, rank))
    return {member: tuple(places) for member, places in found.items()}


BY_MEMBER: Mapping[str, tuple[tuple[str, str, int], ...]] = MappingProxyType(_by_member())
"""For each member's name the roles it plays: role, the parent it needs (or ""), its rank there."""
