"""The names of roles that `roles.toml` lists."""

from functools import cache

from tocsin.errors import SettingsError
from tocsin.triage.weights import convert, data_file

FILE = "roles.toml"


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
