"""Take out of a text what stands in it encoded: base64, compressed, hexadecimal, by number.

Whether something was encoded is told by the beginning of what comes out, so that text put behind it
cannot spoil it; what cannot be decoded to its end is decoded as far as it goes.
"""

import re
import zlib
from base64 import b64decode
from collections.abc import Iterator

MOST_UNPACKED = 1 << 18  # bytes that one compressed piece is unpacked to
FEWEST_NUMBERS = 7  # in a list that may be text
SLICE = 512  # bytes unpacked at a time, so that what comes before an error is kept
HEAD = 12  # bytes by which text is recognised
FEWEST_ZEROS = 5  # of the first eight high bytes, in text of two bytes a character
LONGEST_LITERAL = 1 << 14
MOST_ARGUMENTS = 64

_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){10,}")
_NUMBERS = re.compile(
    r"(?:(?:0x[0-9a-f]{1,2}|\d{2,3})[\s,;|]{1,3}){7,}(?:0x[0-9a-f]{1,2}|\d{2,3})", re.IGNORECASE
)
_NUMBER = re.compile(r"0x[0-9a-f]{1,2}|\d{2,3}", re.IGNORECASE)
_FORMAT = re.compile(
    r"[\"']\s{0,4}\)?\s{0,4}-f\s{0,4}(?P<arguments>(?:[\s(]{0,4}[\"'][^\"']{0,400}[\"'][\s),]{0,4}){1,64})",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"[\"']([^\"']{0,400})[\"']")
_PLACE = re.compile(r"\{(\d{1,3})(?:[,:][^{}]{0,20})?\}")
_REPLACED = re.compile(
    r"(?:\.replace\s{0,4}\(|-[ci]?replace\s{0,4}\(?)\s{0,4}[\"']([^\"']{1,60})[\"']"
    r"(?:\s{0,4},\s{0,4}[\"']([^\"']{0,60})[\"'])?\s{0,4}\)?",
    re.IGNORECASE,
)
_BACKWARDS = (
    "[::-1]", "-1..-", "]::reverse", "strreverse", "|rev", "| rev", "llehsrewop", "//:ptth",
    "//:sptth", "daolnwod", "46esab", "tneilcbew", "ssecorp-trats",
)  # fmt: skip
_PRINTABLE = frozenset({9, 10, 13, *range(32, 127)})
_ZLIB = frozenset({0x01, 0x5E, 0x9C, 0xDA})


def pieces(text: str, lowered: str) -> Iterator[tuple[str, str]]:
    """What stands encoded in the text, each with the name of its encoding.

    Args:
        text: with its capitals, which base64 needs.
        lowered: the same in lower case.
    """
    raw = "deflate" in lowered
    for hit in _BASE64.finditer(text):
        yield from _of_base64(hit.group(), raw=raw)
    if text.count(",") >= FEWEST_NUMBERS or "0x" in lowered or "split" in lowered:
        for hit in _NUMBERS.finditer(text):
            yield from _of_numbers(hit.group())
    if "-f" in lowered and "{" in text:
        for hit in _FORMAT.finditer(text):
            yield from _of_format(text, hit)
    if "replace" in lowered:
        yield from _replaced(text)
    if any(word in lowered for word in _BACKWARDS):
        yield "backward writing", text[::-1]


def readable(content: bytes) -> bool:
    """Whether bytes begin like text, of one or of two bytes a character."""
    head = content[:HEAD]
    return len(head) >= HEAD - 1 and (_PRINTABLE.issuperset(head) or _is_wide(content))


def decoded(encoded: str) -> str:
    """The text of base64, as PowerShell reads it where it has two bytes a character."""
    return _text(_bytes(encoded))


def _is_wide(content: bytes) -> bool:
    return content[1:16:2].count(0) >= FEWEST_ZEROS and _PRINTABLE.issuperset(content[0:8:2])


def _text(content: bytes) -> str:
    if _is_wide(content):
        return content[: len(content) & ~1].decode("utf-16-le", "replace")
    return content.decode("utf-8", "replace")


def _bytes(encoded: str) -> bytes:
    """What base64 stands for; what follows its end does not change its beginning."""
    whole = len(encoded) & ~3
    rest = encoded[whole:]
    content = b64decode(encoded[:whole])
    if len(rest) > 1:
        content += b64decode(rest + "A" * (4 - len(rest)))[: len(rest) - 1]
    return content


def _of_base64(encoded: str, *, raw: bool) -> Iterator[tuple[str, str]]:
    for hit in _HEX.finditer(encoded):  # its digits are letters of base64 as well
        content = bytes.fromhex(hit.group())
        if readable(content):
            yield "hexadecimal", _text(content)
    head = b64decode(encoded[:16])
    if readable(head) or _is_wide(_bytes(encoded[:24])):
        yield "base64", _text(_bytes(encoded))
        return
    packed = head[:2] == b"\x1f\x8b" or (head[0] == 0x78 and head[1] in _ZLIB)
    if packed or raw:
        content = unpacked(_bytes(encoded), zlib.MAX_WBITS | 32 if packed else -zlib.MAX_WBITS)
        if readable(content):
            yield "base64 and compression", _text(content)


def unpacked(content: bytes, form: int) -> bytes:
    """What compressed bytes hold, up to a limit and to the first error."""
    unpack = zlib.decompressobj(form)
    found = bytearray()
    try:
        for begin in range(0, len(content), SLICE):
            data = content[begin : begin + SLICE]
            while data and not unpack.eof and len(found) < MOST_UNPACKED:
                found += unpack.decompress(data, MOST_UNPACKED - len(found))
                data = unpack.unconsumed_tail
            if unpack.eof or len(found) >= MOST_UNPACKED:
                break
    except zlib.error:
        pass  # what came before it stands
    return bytes(found)


def _of_numbers(listed: str) -> Iterator[tuple[str, str]]:
    words = _NUMBER.findall(listed)
    values = [int(word, 0 if word[1] in "xX" else 10) for word in words]
    letters = [chr(value) if value in _PRINTABLE else "\n" for value in values]
    if len(letters) - letters.count("\n") >= FEWEST_NUMBERS:
        yield "numbers", "".join(letters)


def _of_format(text: str, hit: re.Match[str]) -> Iterator[tuple[str, str]]:
    begin = max(text.rfind('"', 0, hit.start()), text.rfind("'", 0, hit.start()))
    template = text[begin + 1 : hit.start()]
    if begin < 0 or len(template) > LONGEST_LITERAL:
        return
    arguments = _ARGUMENT.findall(hit["arguments"])[:MOST_ARGUMENTS]

    def put(place: re.Match[str]) -> str:
        number = int(place[1])
        return arguments[number] if number < len(arguments) else ""

    yield "a format", _PLACE.sub(put, template[:LONGEST_LITERAL])


def _replaced(text: str) -> Iterator[tuple[str, str]]:
    """Strings with the replacements that stand behind them made."""
    subject, end = "", -1
    for hit in _REPLACED.finditer(text):
        old, new = hit[1], hit[2] or ""
        if hit.start() != end:
            subject = _string_before(text, hit.start())
        end = hit.end()
        if subject:
            subject = subject.replace(old, new)[:LONGEST_LITERAL]
            yield "replacement", subject


def replacements(text: str) -> Iterator[str]:
    """The text with each of its replacements made alone, for strings that a variable holds."""
    pairs = dict.fromkeys((hit[1], hit[2] or "") for hit in _REPLACED.finditer(text))
    if pairs:
        rest = _REPLACED.sub("", text)
        for old, new in pairs:
            yield rest.replace(old, new)


def _string_before(text: str, end: int) -> str:
    """The quoted string that ends before this place; empty when there is none."""
    last = text[max(end - 8, 0) : end].rstrip(" )")
    if not last or last[-1] not in "\"'":
        return ""
    close = max(end - 8, 0) + len(last) - 1
    begin = text.rfind(last[-1], max(close - LONGEST_LITERAL, 0), close)
    return text[begin + 1 : close] if begin >= 0 else ""
