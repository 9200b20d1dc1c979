"""Reading the header of a syslog line: RFC 5424, RFC 3164 and their usual variants."""

import re

from tocsin.errors import DecodeError

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3",
    "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")

_PRIORITY = re.compile(r"<(\d{1,3})>\s?")
_RFC5424 = re.compile(
    r"(\d{1,2})\s(\S{1,64})\s(\S{1,255})\s(\S{1,128})\s(\S{1,128})\s(\S{1,64})\s?"
)
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_BSD = (
    r"[A-Z][a-z]{2}\s{1,2}\d{1,2}\s(?:\d{4}\s)?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"(?:\s\d{4}|\s[A-Z]{3,4}(?=[\s:]))?"
)
_RFC3164 = re.compile(
    rf"(?:\d{{1,10}}:\s)?[*.]?(?P<time>{_BSD}|{_ISO}):?\s+(?:(?P<host>[\w.:\[\]-]{{1,255}})\s+)?"
)
_TAG = re.compile(r"(?P<app>[\w./%()@-]{1,128})(?:\[(?P<pid>[^\]\s]{1,32})\])?:\s?")
_ELEMENT = re.compile(
    r"\[([^\s=\]\"]{1,64})((?:\s+[^\s=\]\"]{1,64}=\s?\"(?:[^\"\\\]]|\\.)*\")*)\s*\]"
)
_PARAMETER = re.compile(r"([^\s=\]\"]{1,64})=\s?\"((?:[^\"\\\]]|\\.)*)\"")
_ESCAPED = re.compile(r"\\([\"\\\]])")


def parse_syslog(text: str) -> dict[str, object]:
    """Split a syslog line into `facility severity time host app pid msgid data message`.

    What the line does not carry is left out; `time` stays text.

    Raises:
        DecodeError: the line has neither a priority nor a time where syslog has them.
    """
    found: dict[str, object] = {}
    position = 0
    if priority := _PRIORITY.match(text):
        number = int(priority.group(1))
        position = priority.end()
        if number < len(FACILITIES) * 8:
            found["facility"] = FACILITIES[number >> 3]
            found["severity"] = SEVERITIES[number & 7]
        if header := _RFC5424.match(text, position):
            return _read_5424(text, header, found)
    header = _RFC3164.match(text, position)
    if header is not None:
        found["time"] = header.group("time")
        position = header.end()
        host = header.group("host")
        if host is not None and host.endswith(":"):  # no host: this is the tag
            position = header.start("host")
        elif host is not None:
            found["host"] = host
    elif not found:
        raise DecodeError("no syslog header")
    if tag := _TAG.match(text, position):
        found["app"] = tag.group("app")
        if tag.group("pid"):
            found["pid"] = tag.group("pid")
        position = tag.end()
    found["message"] = text[position:].strip()
    return found


def _read_5424(text: str, header: re.Match[str], found: dict[str, object]) -> dict[str, object]:
    names = ("version", "time", "host", "app", "pid", "msgid")
    found.update(
        (name, value) for name, value in zip(names, header.groups(), strict=True) if value != "-"
    )
    position = header.end()
    data: dict[str, object] = {}
    if text[position : position + 1] == "-":
        position += 1
    while element := _ELEMENT.match(text, position):
        data[element.group(1)] = {
            name: _ESCAPED.sub(r"\1", value) for name, value in _PARAMETER.findall(element.group(2))
        }
        position = element.end()
    if data:
        found["data"] = data
    found["message"] = text[position:].strip().removeprefix("\ufeff")
    return found
