"""What in a command line points to an attack: words to look for, found in linear time.

The table is `commands.toml`. A text is first searched for three-letter sequences that some word of
the table has; only words whose sequence is there are looked for. No expression is involved, so no
text can make the search slow; nothing looks at what follows a match, so no text behind a command
hides it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

import msgspec

from tocsin.errors import SettingsError
from tocsin.triage.weights import convert, data_file

FILE = "commands.toml"
GAP, OR = "…", "¦"
SEQUENCE = 3  # letters by which words are told apart before they are looked for
LONG = 4096  # characters from which the sequences are collected by numpy

Gram = tuple[str, ...]
Parts = tuple[tuple[str, ...], ...]


class Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of suspicious command; `what` completes “The command line …”.

    `text` holds the ways to do it. Signs without any are found by code of their own.
    """

    technique: str
    what: str
    text: tuple[str, ...] = ()


class _Way(NamedTuple):
    """One way to do what a sign is about: its parts, each with its spellings, in order."""

    code: str
    parts: Parts


class Signs:
    """The table, compiled.

    Raises:
        SettingsError: the table cannot be read, or has a word too short to be looked for.
    """

    def __init__(self, content: bytes | None = None) -> None:
        read = convert(content if content is not None else data_file(FILE), dict[str, Sign], FILE)
        self.signs: Mapping[str, Sign] = read
        by_word: dict[str, list[_Way]] = {}
        for code, sign in read.items():
            for line in sign.text:
                parts: Parts = tuple(tuple(part.split(OR)) for part in line.split(GAP))
                if any(not word for part in parts for word in part):
                    raise SettingsError("triage/" + FILE + ": " + code + ": empty word: " + line)
                for word in parts[0]:
                    if len(word) < SEQUENCE:
                        raise SettingsError("triage/" + FILE + ": " + code + ": too short: " + word)
                    by_word.setdefault(word, []).append(_Way(code, parts))
        common = Counter(gram for word in by_word for gram in _grams(word))
        self._words: dict[Gram, list[tuple[str, tuple[_Way, ...]]]] = {}
        for word, ways in by_word.items():
            rarest = min(_grams(word), key=lambda gram: (common[gram], gram))
            self._words.setdefault(rarest, []).append((word, tuple(ways)))
        self._known = frozenset(self._words)
        # In order: where two ways show one sign, the same one is named in every process.
        self._numbers = {_number(gram): gram for gram in sorted(self._known)}

    def look(self, plain: str) -> dict[str, str]:
        """The code of each sign in a text, with the words that show it.

        `plain` is what `tocsin.triage.commands.text.plain` makes of a text.
        """
        if len(plain) < LONG:
            present: Iterable[Gram] = sorted(
                self._known.intersection(zip(plain, plain[1:], plain[2:], strict=False))
            )
        else:
            present = self._present(plain)
        found: dict[str, str] = {}
        for gram in present:
            for word, ways in self._words[gram]:
                if word in plain:
                    for way in ways:
                        if way.code not in found and (shown := _shows(plain, way.parts)):
                            found[way.code] = shown
        return found

    def _present(self, plain: str) -> list[Gram]:
        """The known sequences in a long text, in a few milliseconds for each million letters."""
        import numpy as np  # noqa: PLC0415  # costs memory, and few texts are long

        letters = np.frombuffer(plain.encode("ascii", "replace"), dtype=np.uint8).astype(np.int32)
        numbers = (letters[:-2] << 14) | (letters[1:-1] << 7) | letters[2:]
        seen = np.zeros(1 << 21, dtype=np.bool_)
        seen[numbers] = True
        return [gram for number, gram in self._numbers.items() if seen[number]]


def _grams(word: str) -> set[Gram]:
    return set(zip(word, word[1:], word[2:], strict=False))


def _number(gram: Gram) -> int:
    first, second, third = (ord(letter) & 0x7F for letter in gram)
    return first << 14 | second << 7 | third


def _shows(plain: str, parts: Parts) -> str:
    """The stretch of text in which all parts come in order; empty when they do not.

    Each part is taken where it ends first, which leaves the most text for those that follow.
    """
    begin, end = -1, 0
    for spellings in parts:
        best = -1
        for word in spellings:
            at = plain.find(word, end)
            if at >= 0 and (best < 0 or at + len(word) < best):
                best = at + len(word)
                if begin < 0 or end == 0:
                    begin = at
        if best < 0:
            return ""
        end = best
    return plain[begin:end]


@cache
def shipped() -> Signs:
    """The table that ships with this package, compiled once."""
    return Signs()
