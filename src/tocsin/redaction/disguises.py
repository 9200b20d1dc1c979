"""Texts behind encodings: what a value looks like that somebody wrote in another way.

A name that stands in base64 or percent-encoded is still that name to whoever can read, so each text
is laid open before it is searched. Bounded in rounds and size.
"""

import binascii
import html
import re
import unicodedata
from base64 import b64decode
from urllib.parse import unquote

ROUNDS = 3
LONGEST = 4096  # characters of a text that are looked at; the rest is never sent
_BASE64 = re.compile(  # not the parts of a JWT, which is a secret as it stands
    r"(?<![A-Za-z0-9+/_.-])[A-Za-z0-9+/_-]{12,16384}={0,2}(?![A-Za-z0-9+/_=-]|\.[A-Za-z0-9_-])"
)
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:0x)?((?:[0-9A-Fa-f]{2}){6,8192})(?![0-9A-Fa-f])")
_ESCAPES = re.compile(r"\\u\{?([0-9A-Fa-f]{4,6})\}?|\\x([0-9A-Fa-f]{2})|%u([0-9A-Fa-f]{4})")
_HIDDEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
                     "\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
                     "\U000e0000-\U000e0fff]")  # fmt: skip
_DEFANGED = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)", re.IGNORECASE)
_CARETS = re.compile(r"(?<=\w)[\^`](?=\w)")
_DIGEST_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})


def laid_open(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text with everything decoded that decodes into readable text."""
    text = text[:longest]
    for _ in range(ROUNDS):
        opened = _once(text)
        if opened == text:
            break
        text = opened[:longest]
    return text


def _once(text: str) -> str:
    text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    if "%" in text:
        text = _ESCAPES.sub(_character, unquote(text, errors="replace"))
    elif "\\" in text:
        text = _ESCAPES.sub(_character, text)
    if "&" in text and ";" in text:
        text = html.unescape(text)
    text = _DEFANGED.sub(".", text)
    text = _CARETS.sub("", text)
    text = _BASE64.sub(_from_base64, text)
    return _HEX.sub(_from_hex, text)


def _character(match: re.Match[str]) -> str:
    number = int(next(group for group in match.groups() if group), 16)
    return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else "\ufffd"


def _from_base64(match: re.Match[str]) -> str:
    written = match.group()
    body = written.rstrip("=").replace("-", "+").replace("_", "/")
    if len(body) % 4 == 1:
        return written
    try:
        content = b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return written
    return _readable(content) or written


def _from_hex(match: re.Match[str]) -> str:
    digits = match.group(1)
    if len(digits) in _DIGEST_LENGTHS:
        return match.group()  # a hash, which says what it is
    return _readable(bytes.fromhex(digits)) or match.group()


def _readable(content: bytes) -> str | None:
    """The text that bytes are, if it is one that somebody could have typed."""
    wide = len(content) >= 8 and not any(content[1::2])
    try:
        text = content.decode("utf-16-le" if wide else "utf-8")
    except UnicodeDecodeError:
        return None
    plain = text.replace("\n", "").replace("\r", "").replace("\t", "")
    return text if len(plain) >= 4 and plain.isprintable() else None
