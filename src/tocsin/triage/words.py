"""The words that extractors look for, read from `words.toml`."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

from tocsin.triage.weights import data_file

FILE = "words.toml"
BLANK = "~"  # stands for a blank within a word


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(data_file(FILE).decode())


def words(name: str) -> tuple[str, ...]:
    """The words of one list, in the order of the file."""
    return tuple([word.replace(BLANK, " ") for word in _tables()[name].split()])


def any_of(name: str) -> str:
    """The words of one list as alternatives of an expression, the longest first."""
    return "|".join(map(re.escape, sorted(words(name), key=len, reverse=True)))


def brands() -> Mapping[str, tuple[str, ...]]:
    """Well-known names with the domains that are their owners'."""
    return {brand: tuple(owned.split()) for brand, owned in _tables()["brands"].items()}
