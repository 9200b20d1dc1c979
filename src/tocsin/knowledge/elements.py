"""The elements of a JSON array, each as it stands, so that a bad one spoils no other."""

from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from typing import NamedTuple

import msgspec

BETWEEN = " \t\r\n,"
DOCUMENTS = JSONDecoder(parse_int=len, parse_float=len)
"""Finds where a document ends; what its numbers are is not asked, however many digits they have."""


class Broken(NamedTuple):
    """Where an array stops being one, in characters, and why."""

    place: int
    why: str


def elements(content: bytes) -> Iterator[bytes | Broken]:
    """Every element of an array that begins with the content's first byte.

    What an element holds is for its reader to judge: bytes that are no UTF-8, numbers out of range
    and lone surrogates are passed on. After an error of syntax nobody can tell where the next
    element begins, so `Broken` is the last thing that is given.
    """
    try:
        parts = msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield from _one_by_one(content.decode("utf-8", "surrogateescape"))
    else:
        yield from map(bytes, parts)


def _one_by_one(text: str) -> Iterator[bytes | Broken]:
    place = 1
    while True:
        while place < len(text) and text[place] in BETWEEN:
            place += 1
        if text[place : place + 1] == "]" and not text[place + 1 :].strip():
            return
        try:
            _, end = DOCUMENTS.raw_decode(text, place)
        except (JSONDecodeError, RecursionError) as error:
            yield Broken(place, str(error))
            return
        yield text[place:end].encode("utf-8", "surrogateescape")
        place = end
