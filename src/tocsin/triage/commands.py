"""What a process's command line and its parent show. Attackers write both, so all of it raises."""

import re
from base64 import b64decode
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted, value_hash
from tocsin.triage.signs import OFFICE, SHELLS, SIGNS, WEB_SERVERS

READ = 8192  # characters of a command line that are looked at
CACHED_LENGTH = 512
SNIPPET = 60
MANY_MARKS = 8  # escapes and joins that nobody types by hand

_STRIP = str.maketrans("", "", "^\"'`")
_ENCODED = re.compile(
    r"[\s^][-/\u2013]e[ncodema^`]{0,20}\s[\"']?([a-z0-9+/]{16,})", re.IGNORECASE | re.ASCII
)
_UNPACKING = ("frombase64string", "-bxor", "deflatestream", "gzipstream", "[char]")


def command_line(case: Case) -> Sequence[Evidence]:
    """Signs of an attack in the command line, the weightiest first, up to a limit in all."""
    text = case.alert.process.command_line
    if not text:
        return ()
    found = _short(text) if len(text) <= CACHED_LENGTH else _signs(text[:READ])
    if len(text) > READ:
        found = (*found, ("too_long", "is longer than what is read", None))
    if not found:
        return ()
    weights, digest = case.weights.command, value_hash(text)
    left = weights["limit"].weight
    evidence = []
    for code, what, technique in sorted(found, key=lambda sign: -weights[sign[0]].weight):
        weight = min(weights[code].weight, left)
        left -= weight
        evidence.append(
            case.on_alert(
                "command." + code,
                "The command line " + what + ".",
                "/process/command_line",
                text,
                weight,
                tainted=True,
                technique=technique,
                digest=digest,
            )
        )
    return evidence


def parentage(case: Case) -> Sequence[Evidence]:
    """A shell was started by a program that has no business starting one."""
    process = case.alert.process
    child = _program(process.name or process.executable)
    parent = _program(process.parent.name or process.parent.executable)
    if not parent or not child.startswith(SHELLS):
        return ()
    if parent.startswith(OFFICE):
        key, who, technique = "office_child", "An office program", "T1204.002"
    elif parent.startswith(WEB_SERVERS):
        key, who, technique = "web_child", "A web server", "T1505.003"
    else:
        return ()
    path = "/process/parent/" + ("name" if process.parent.name else "executable")
    return (
        case.on_alert(
            "process." + key,
            who + ", " + quoted(parent, 40) + ", started " + quoted(child, 40) + ".",
            path,
            process.parent.name or process.parent.executable,
            case.weights.command[key].weight,
            tainted=True,
            technique=technique,
        ),
    )


def _program(text: str | None) -> str:
    """The lower-case file name at the end of a path of either kind."""
    return text[-READ:].replace("\\", "/").rpartition("/")[2].strip().lower() if text else ""


def _signs(text: str) -> tuple[tuple[str, str, str | None], ...]:
    """Code, wording and technique of each sign; of encoded commands too, once decoded."""
    found: dict[str, tuple[str, str, str | None]] = {}
    text = " ".join(text.split())
    plain = text.lower().translate(_STRIP)
    _look(plain, "", found)
    encoded = _ENCODED.search(text) if "owershell" in plain or "pwsh" in plain else None
    if encoded:
        hidden = _decoded(encoded.group(1))
        found["encoded"] = (
            "encoded",
            'gives PowerShell an encoded command ("' + quoted(hidden, SNIPPET) + '")',
            "T1059.001",
        )
        _look(" ".join(hidden.lower().split()).translate(_STRIP), " once decoded", found)
    if _is_obfuscated(text, plain):
        found["obfuscated"] = ("obfuscated", "is written to be unreadable", "T1027")
    return tuple(found.values())


_short = lru_cache(maxsize=2048)(_signs)


def _look(plain: str, how: str, found: dict[str, tuple[str, str, str | None]]) -> None:
    for code, what, technique, tokens, pattern in SIGNS:
        for token in tokens:
            if token in plain:
                if code not in found and (match := pattern.search(plain)):
                    snippet = quoted(match.group(), SNIPPET)
                    found[code] = (code, what + how + ' ("' + snippet + '")', technique)
                break


def _decoded(base64: str) -> str:
    """The text of an encoded command; what stands behind its end does not change its beginning."""
    length = len(base64) * 6 // 8
    content = b64decode(base64 + "A" * (-len(base64) % 4))[:length]
    return content[: length & ~1].decode("utf-16-le", "replace").replace("\ufffd", "")


def _is_obfuscated(text: str, plain: str) -> bool:
    marks = text.count("^") + text.count("`") + text.count("'+'") + text.count('"+"')
    return marks >= MANY_MARKS or any(word in plain for word in _UNPACKING)
