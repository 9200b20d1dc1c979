"""Undo how commands are pulled apart: variables, characters by number, joined pieces, escapes.

Each function gives the whole text back with what it can resolve put in place. Where a text sets a
value twice, the value that was set last before the use counts, as in the shells themselves.
"""

import re
from urllib.parse import unquote

LONGEST_VALUE = 4096  # characters of a variable that are kept
MOST_GROWTH = 1 << 18  # characters that variables may add to a text
TIMES = 4  # text may be percent-encoded several times over

_SYSTEM = r"C:\WINDOWS\system32"
# What Windows sets everywhere; obfuscation cuts letters out of these.
ENVIRONMENT = {
    "comspec": _SYSTEM + r"\cmd.exe",
    "systemroot": r"C:\WINDOWS",
    "windir": r"C:\WINDOWS",
    "systemdrive": "C:",
    "homedrive": "C:",
    "programfiles": r"C:\Program Files",
    "programfiles(x86)": r"C:\Program Files (x86)",
    "commonprogramfiles": r"C:\Program Files\Common Files",
    "programdata": r"C:\ProgramData",
    "allusersprofile": r"C:\ProgramData",
    "public": r"C:\Users\Public",
    "temp": r"C:\WINDOWS\TEMP",
    "tmp": r"C:\WINDOWS\TEMP",
    "os": "Windows_NT",
    "processor_architecture": "AMD64",
    "pathext": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
    "path": _SYSTEM + r";C:\WINDOWS;" + _SYSTEM + r"\Wbem;" + _SYSTEM + r"\WindowsPowerShell\v1.0",
    "psmodulepath": _SYSTEM + r"\WindowsPowerShell\v1.0\Modules",
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0",
    "shellid": "Microsoft.PowerShell",
}
# What every Unix shell has set; obfuscation cuts slashes and letters out of these.
_UNIX = {
    "path": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "home": "/root",
    "pwd": "/root",
    "shell": "/bin/bash",
}
_WINDOWS_VARIABLE = re.compile(
    r"\bset\s{1,4}\"?(?P<name>[\w]{1,40})=(?P<value>[^&|\"\r\n]{0,2000})"
    r"|[%!](?P<used>[\w()]{1,40})(?::~\s?(?P<begin>-?\d{1,5})(?:,\s?(?P<count>-?\d{1,5}))?)?[%!]",
    re.IGNORECASE,
)
_SHELL_VARIABLE = re.compile(
    r"(?:\$|(?<![\w$]))(?P<name>[a-z_]\w{0,40})\s{0,2}=\s{0,2}"
    r"(?:'(?P<single>[^']{0,2000})'|\"(?P<double>[^\"]{0,2000})\"|(?P<bare>[^\s;&|\"'$()]{1,400}))"
    r"|\$\{(?P<sliced>[a-z_]\w{0,40}):(?P<begin>\d{1,4}):(?P<count>\d{1,4})\}"
    r"|\$\{?(?:env:)?(?P<used>[a-z_]\w{0,40})\}?(?:\[(?P<picked>[\d\s,-]{1,120})\])?",
    re.IGNORECASE,
)
_CHARACTER = re.compile(
    r"\[char\]\s{0,4}\(?\s{0,4}(?P<a>0x[0-9a-f]{1,4}|\d{1,5})\s{0,4}\)?"
    r"|\bchrw?\(\s{0,4}(?P<b>(?:0x|&h)[0-9a-f]{1,4}|\d{1,5})\s{0,4}\)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(
    r"\\x(?P<x>[0-9a-f]{2})|\\u\{?(?P<u>[0-9a-f]{4})\}?|\\(?P<o>[01][0-7]{2})", re.IGNORECASE
)
# Backslashes that a Unix shell drops: at most two letters between them, as in no usual path.
_SLASHED = re.compile(r"\\\w{1,2}\\|\w\\\w\\\w|\$[@*]\w")
_JOINED = re.compile(r"[\"']\s{0,4}\)?\s{0,4}[+&.]\s{0,4}\(?\s{0,4}[\"']")
_LISTED = re.compile(r"[\"']\s{0,4},\s{0,4}[\"']")


class Room:
    """How many characters variables may still put into a text, so that none can be doubled on."""

    def __init__(self, left: int = MOST_GROWTH) -> None:
        self.left = left

    def take(self, value: str) -> str:
        """The value, or nothing once the room is used up."""
        self.left -= len(value)
        return value if self.left >= 0 else ""


def windows_variables(text: str, room: Room) -> str:
    """`set a=pow` … `%a%`, and `%comspec:~-7,3%`, with the values in place."""
    values = dict(ENVIRONMENT)

    def put(hit: re.Match[str]) -> str:
        if name := hit["name"]:
            value = _WINDOWS_VARIABLE.sub(used, hit["value"])
            values[name.lower()] = value[:LONGEST_VALUE]
            return hit.group()[: hit.end("name") - hit.start() + 1] + value
        return used(hit)

    def used(hit: re.Match[str]) -> str:
        if hit["name"]:
            return hit.group()
        known = values.get(hit["used"].lower())
        if known is None:
            return hit.group()
        if hit["begin"] is None:
            return room.take(known)
        return room.take(_cut(known, int(hit["begin"]), hit["count"]))

    return _WINDOWS_VARIABLE.sub(put, text)


def _cut(value: str, begin: int, count: str | None) -> str:
    begin = max(len(value) + begin, 0) if begin < 0 else begin
    if count is None:
        return value[begin:]
    length = int(count)
    return value[begin : len(value) + length] if length < 0 else value[begin : begin + length]


def shell_variables(text: str, room: Room) -> str:
    """`$a='pow'` … `$a`, `a=who; $a`, and `$env:comspec[4,24,25]`, with the values in place."""
    values = dict(ENVIRONMENT)

    def put(hit: re.Match[str]) -> str:
        if name := hit["name"]:
            value = hit["single"] or hit["double"] or hit["bare"] or ""
            values[name.lower()] = value[:LONGEST_VALUE]
            return hit.group()
        if sliced := hit["sliced"]:
            begin, count = int(hit["begin"]), int(hit["count"])
            whole = values.get(sliced) or _UNIX.get(sliced.lower(), "")
            return room.take(whole[begin : begin + count])
        known = values.get(hit["used"].lower())
        if known is None:
            return hit.group()
        if hit["picked"] is None:
            return "'" + room.take(known) + "'"
        picked = [int(part) for part in hit["picked"].replace(" ", "").split(",") if _whole(part)]
        letters = [known[place] for place in picked if -len(known) <= place < len(known)]
        return "'" + room.take("".join(letters)) + "'"

    return _SHELL_VARIABLE.sub(put, text)


def _whole(part: str) -> bool:
    return part.removeprefix("-").isdecimal() and len(part) < 6


def characters(text: str) -> str:
    """`[char]105` and `Chr(&H69)` as the quoted character."""

    def put(hit: re.Match[str]) -> str:
        return "'" + _character((hit["a"] or hit["b"]).lower().replace("&h", "0x")) + "'"

    return _CHARACTER.sub(put, text)


def _character(number: str) -> str:
    value = int(number, 16) if number.startswith("0x") else int(number)
    return chr(value) if value < 0xD800 else ""


def escapes(text: str) -> str:
    r"""`\x69`, `\u0069` and `\151` as the character."""

    def put(hit: re.Match[str]) -> str:
        if hit["o"]:
            return chr(int(hit["o"], 8))
        return _character("0x" + (hit["x"] or hit["u"]))

    return _ESCAPE.sub(put, text)


def percents(text: str) -> str:
    """Percent-encoding undone, also where it was done several times over."""
    for _ in range(TIMES):
        once = unquote(text, errors="replace")
        if once == text:
            break
        text = once
    return text


def joined(text: str) -> str:
    """`'po'+'wer'` as one string; lists that are joined as well."""
    once = _JOINED.sub("", text)
    return _LISTED.sub("", once) if "join" in once.lower() else once


_PERCENT = ("%0", "%2", "%3", "%4", "%5", "%6", "%7")
_ESCAPES = ("\\x", "\\u", "\\1", "\\0")
_JOINS = ("+'", '+"', "+ '", '+ "', "'+", "+(", '& "', '&"', "'&", "&'", "'.'", "join")


def variants(text: str) -> tuple[list[str], bool]:
    """The text with everything resolved that can be, and whether there was room for all of it.

    The first one resolves variables, characters and joined strings. Percent-encoding, escapes and
    dropped backslashes may spoil what they are not meant for, so each begins a text of its own.
    """
    room = Room()
    found = [_resolved(text, room)]
    if "%" in text and _any(_PERCENT, text):
        found.append(_resolved(percents(text), room))
    if "\\" in text and _any(_ESCAPES, text.lower()):
        found.append(_resolved(escapes(text), room))
    if ("\\" in text or "$" in text) and _SLASHED.search(text):
        bare = text.replace("\\", "").replace("$@", "").replace("$*", "")
        found.append(_resolved(bare, room))
    return found, room.left >= 0


def _resolved(text: str, room: Room) -> str:
    """Each kind is tried only when one of its marks stands in the text.

    The order matters: what comes later puts together what comes earlier.
    """
    lowered = text.lower()
    if ":~" in text or ("set " in lowered and ("%" in text or "!" in text)):
        text = windows_variables(text, room)
    if "$" in text:
        text = shell_variables(text, room)
    if "[char]" in lowered or "chr(" in lowered or "chrw(" in lowered:
        text = characters(text)
    if ("'" in text or '"' in text) and _any(_JOINS, text.lower()):
        text = joined(text)
    return text


def _any(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)
