"""What rules and events speak of: their words, brought to concepts that both can name."""

import re
from functools import lru_cache

import msgspec

from tocsin.triage.weights import convert, data_file

FILE = "concepts.toml"
LONGEST = 200  # characters of each text that are read
KEPT = 16_384

_WORD = re.compile(r"\d?[A-Z]+\d*(?![a-z])|[A-Z]?[a-z]+\d?|\d[a-z]{1,2}(?![a-z])", re.ASCII)
_ENDINGS = (
    *("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ied", "ers", "ed", "es", "er"),
    *("s", "e", "y"),
)
_LEAST_STEM = 3
_DOUBLED = "bdgmnprt"  # before an ending: stopped, planning
_NOTHING: frozenset[str] = frozenset()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ignored: str
    products: str
    concepts: dict[str, str]


class Vocabulary:
    """The tables of `concepts.toml`.

    Raises:
        SettingsError: the file cannot be read.
    """

    def __init__(self, text: bytes | None = None) -> None:
        tables = convert(text if text is not None else data_file(FILE), _File, FILE)
        self.names = frozenset(tables.concepts)
        self._ignored = frozenset(tables.ignored.split())
        self._products = frozenset(stem(word) for word in tables.products.split())
        found: dict[str, set[str]] = {}
        for concept, words in tables.concepts.items():
            for word in words.split():
                found.setdefault(stem(word), set()).add("=" + concept)
        self._concepts = {word: frozenset(concepts) for word, concepts in found.items()}
        self.of = lru_cache(maxsize=KEPT)(self._of)

    def _of(self, text: str) -> frozenset[str]:
        """The stems of a text's words and, behind a `=`, the concepts that they name.

        Names of products and words that say nothing are left out.
        """
        found: set[str] = set()
        for word in _WORD.findall(text[:LONGEST]):
            lowered = word.lower()
            if len(lowered) < 2 or lowered in self._ignored:
                continue
            root = stem(lowered)
            if root not in self._products:
                found.add(root)
                found |= self._concepts.get(root, _NOTHING)
        return frozenset(found)


def stem(word: str) -> str:
    """A word without its ending, so that `disabled`, `disabling` and `disables` are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            root = word[: -len(ending)]
            doubled = len(root) > _LEAST_STEM and root[-1] == root[-2] and root[-1] in _DOUBLED
            return root[:-1] if doubled else root
    return word
