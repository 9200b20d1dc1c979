"""A command line taken apart layer by layer, within bounds of depth and size."""

import re
from typing import NamedTuple

from tocsin.triage.commands.pieces import pieces, replacements
from tocsin.triage.commands.rewrite import variants
from tocsin.triage.commands.signs import Signs
from tocsin.triage.commands.text import folded, plain, unescaped

DEPTH = 5  # encodings inside one another that are undone
ROOM = 1 << 21  # characters of all layers together that are looked at
MANY_MARKS = 8  # escapes and joins that nobody types by hand
LEAST_ROOM = 64  # characters that each piece counts more than it has, for its cost
SNIPPET = 120

_ENCODED = re.compile(
    r"[-/\u2013\u2014]e[ncodema]{0,14}[\s:]{1,8}[\"']?[a-z0-9+/]{16}", re.IGNORECASE
)
# Looked for in the plain text when one of the words stands in it.
_EXPRESSIONS = (
    ("hidden_start", re.compile(r"[-/]w[a-z]{0,12}[\s:]{1,2}(?:hid|1)"), ("owershell", "pwsh")),
    (
        "policy_bypass",
        re.compile(r"[-/]e[a-z]{0,16}[\s:]{1,2}(?:bypass|unrestricted)"),
        ("bypass", "unrestricted"),
    ),
    (
        "bare_address",
        re.compile(
            r"://(?!10\.|127\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|0\.)"
            r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
        ),
        ("://",),
    ),
)
_TURNS = ("\u202e", "\u202d", "\u2067")
# Signs that say how something is written, not what it does.
ABOUT_WRITING = frozenset(
    {
        "decodes",
        "encodes",
        "obfuscated",
        "hidden_start",
        "policy_bypass",
        "interpreter",
        "clipboard",
    }
)


class Shown(NamedTuple):
    """A sign, the words that show it, and how they were hidden (empty: in plain text)."""

    code: str
    words: str
    how: str


def read(text: str, signs: Signs) -> tuple[Shown, ...]:
    """All signs in a command line and in everything that stands encoded in it.

    Adding text only ever adds signs: what exceeds the bounds is a sign itself, the weightiest.
    """
    found: dict[str, Shown] = {}
    last, complete = _peel(text, signs, found)
    if _is_encoded(text):
        _add(found, "encoded", last, "")
    if _marks(text) >= MANY_MARKS:
        _add(found, "obfuscated", text, "")
    if not complete:
        _add(found, "flooded", text, "")
    return tuple(found.values())


def _peel(text: str, signs: Signs, found: dict[str, Shown]) -> tuple[str, bool]:
    """Take layer after layer off; the last one, and whether all of them could be looked at."""
    room = ROOM - len(text)
    layer, how, complete = text[:ROOM], "", room >= 0
    for depth in range(DEPTH + 1):
        if depth == 2:
            _add(found, "nested", layer, "")
        shown = _look(layer, signs)
        _note(found, shown, how)
        if depth and shown.keys() - ABOUT_WRITING:
            _add(found, "concealed", layer, "")
        texts, whole = _texts(layer, room)
        for resolved in texts[1:]:
            room -= len(resolved)
            _note(found, _look(resolved, signs), how or "once it is put together")
        inside, kinds, room = _inside(texts, room)
        complete = complete and whole and room >= 0
        if not inside:
            return layer, complete
        layer, how = inside, "once decoded from " + kinds
    return layer, False


def _note(found: dict[str, Shown], shown: dict[str, str], how: str) -> None:
    for code, words in shown.items():
        found.setdefault(code, Shown(code, words, how))


def _add(found: dict[str, Shown], code: str, text: str, how: str) -> None:
    found.setdefault(code, Shown(code, text[:SNIPPET], how))


def _look(text: str, signs: Signs) -> dict[str, str]:
    bare = plain(text)
    found = signs.look(bare)
    for code, expression, words in _EXPRESSIONS:
        if any(word in bare for word in words) and (hit := expression.search(bare)):
            found.setdefault(code, hit.group())
    if not text.isascii() and any(turn in text for turn in _TURNS):
        found.setdefault("reordered", bare)
    return found


def _texts(layer: str, room: int) -> tuple[list[str], bool]:
    """The layer and what can be put together from it, and whether there was room for all."""
    bare = unescaped(folded(layer))
    resolved, whole = variants(bare)
    texts = [bare]
    texts += [text for text in resolved if text != bare]
    if "replace" in bare.lower():
        for text in list(texts):
            for changed in replacements(text):
                room -= len(changed)
                if room < 0:
                    return texts, False
                texts.append(changed)
    return texts, whole


def _inside(texts: list[str], room: int) -> tuple[str, str, int]:
    """What stands encoded in the texts, the names of the encodings, and the room that is left."""
    kinds: dict[str, None] = {}
    seen: dict[str, None] = {}
    for text in texts:
        for kind, piece in pieces(text, text.lower()):
            if piece in seen:
                continue
            room -= len(piece) + LEAST_ROOM
            if room < 0:
                break
            seen[piece] = None
            kinds[kind] = None
    return "\n".join(seen), " and ".join(kinds), room


def _is_encoded(text: str) -> bool:
    bare = unescaped(folded(text))
    lowered = bare.lower()
    return ("owershell" in lowered or "pwsh" in lowered) and bool(_ENCODED.search(bare))


def _marks(text: str) -> int:
    return text.count("^") + text.count("`") + text.count("'+'") + text.count('"+"')
