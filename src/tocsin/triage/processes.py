"""What a process, its place and its parent show. Attackers choose names, so all of it raises."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.commands import signs_of
from tocsin.triage.evidence import quoted
from tocsin.triage.programs import (
    ATTACK_TOOLS,
    WRITABLE,
    disguised,
    first_of,
    like_system,
    strange_place,
)
from tocsin.triage.words import any_of

CACHED_LENGTH = 512
NOBODY = frozenset({"", "-", "n/a", "unknown", "?"})
TELLING = 0.8  # weight from which a sign in the parent's command line counts


class _Pair(NamedTuple):
    """A kind of parent that has no business starting a shell."""

    key: str
    who: str
    technique: str
    parent: re.Pattern[str]


def _named(key: str) -> re.Pattern[str]:
    """Programs by name, with `.exe` anywhere, without it where a name can begin."""
    names = any_of(key)
    return re.compile(
        r"(?<![a-z0-9_-])(?:" + names + r")\.exe|(?:^|[\s\"'(]|bin/|libexec/)(?:" + names + ")"
    )


PAIRS = tuple(
    _Pair(key, who, technique, _named(key))
    for key, who, technique in (
        ("logon_child", "A program of the logon screen", "T1546.008"),
        ("office_child", "A program for documents or mail", "T1204.002"),
        ("web_child", "A web server", "T1505.003"),
        ("database_child", "A database", "T1190"),
        ("browser_child", "A browser", "T1189"),
        ("chat_child", "A program for messages", "T1204"),
        ("script_child", "A script host or borrowed program", "T1218"),
        ("management_child", "The management interface", "T1047"),
        ("service_child", "The service manager", "T1569.002"),
        ("runtime_child", "A server program", "T1190"),
        ("scheduler_child", "A timed job", "T1053"),
    )
)
_SHELL = re.compile(
    _named("shells").pattern + r"|(?<![a-z0-9_-])(?:" + any_of("shells_windows") + r")\.exe"
)
# Which program starts these, and no other.
_PARENTS = {
    "svchost": "services|msmpeng",
    "lsass": "wininit",
    "services": "wininit",
    "wininit": "smss",
    "winlogon": "smss",
    "csrss": "smss",
    "spoolsv": "services",
    "taskhostw": "svchost",
    "userinit": "winlogon",
    "searchindexer": "services",
}
_CHILD = re.compile(r"(?<![a-z0-9_-])(" + "|".join(_PARENTS) + r")\.exe")
_RIGHT_PARENT = {
    child: re.compile(
        r"(?:(?:[a-z]:|\\device\\harddiskvolume\d{1,4})\\windows\\(?:system32|syswow64)\\"
        r"|[a-z]:\\program(?:data"
        r"|\ files)\\(?:microsoft\\)?windows\ defender\\(?:[^\\]{1,60}\\){0,3})?"
        r"(?:" + parents + r")(?:\.exe)?"
    )
    for child, parents in _PARENTS.items()
}


def parentage(case: Case) -> Sequence[Evidence]:
    """A program was started by one that has no business starting it."""
    process = case.alert.process
    parent = process.parent
    if not parent.executable and not parent.name:
        return ()
    below = _texts(process.executable, process.name)
    if not below:
        return ()
    weights = case.weights.process
    found: dict[str, Evidence] = {}
    for path, above in (
        ("/process/parent/executable", parent.executable),
        ("/process/parent/name", parent.name),
    ):
        if not above:
            continue
        kept = len(above) + len(below) <= CACHED_LENGTH
        pairs = (_cached_pairs if kept else _pairs)(above.lower().strip(), below)
        for key, statement, technique in pairs:
            if key not in found:
                found[key] = case.on_alert(
                    "process." + key,
                    statement,
                    path,
                    above,
                    weights[key].weight,
                    tainted=True,
                    technique=technique,
                )
    return list(found.values())


def _texts(*texts: str | None) -> str:
    return "\n".join([text.lower() for text in texts if text])


def _pairs(above: str, below: str) -> tuple[tuple[str, str, str], ...]:
    found = []
    shell = _SHELL.search(below)
    if shell:
        what = quoted(shell.group().strip("\n \"'("), 40)
        for pair in PAIRS:
            if hit := pair.parent.search(above):
                who = quoted(hit.group().strip("\n \"'("), 40)
                statement = pair.who + ", " + who + ", started " + what + "."
                found.append((pair.key, statement, pair.technique))
    if above not in NOBODY:
        for hit in _CHILD.finditer(below):
            if not _RIGHT_PARENT[hit[1]].fullmatch(above):
                statement = (
                    hit.group() + " was started by " + quoted(above, 60) + ", not by the system."
                )
                found.append(("strange_parent", statement, "T1036.009"))
                break
    return tuple(found)


_cached_pairs = lru_cache(maxsize=4096)(_pairs)


def identity(case: Case) -> Sequence[Evidence]:
    """A program's name or place is not what it is made to look like."""
    process = case.alert.process
    found: dict[str, Evidence] = {}
    for path, text in (
        ("/process/executable", process.executable),
        ("/process/name", process.name),
    ):
        if not text:
            continue
        kept = len(text) <= CACHED_LENGTH
        for key, what, technique in (_cached_faults if kept else _faults)(text.lower()):
            if key not in found:
                found[key] = case.on_alert(
                    "process." + key,
                    "The process " + quoted(text, 80) + " " + what + ".",
                    path,
                    text,
                    case.weights.process[key].weight,
                    tainted=True,
                    technique=technique,
                )
    return list(found.values())


def _faults(text: str) -> tuple[tuple[str, str, str], ...]:
    found = []
    if name := strange_place(text):
        what = "has the name of the system's " + name + " and lies elsewhere"
        found.append(("strange_place", what, "T1036.005"))
    if name := like_system(text):
        what = (
            "has a name, " + quoted(name, 40) + ", that differs from a system program's by a letter"
        )
        found.append(("like_system", what, "T1036.005"))
    if disguised(text):
        found.append(("disguised_name", "has a name that looks like another kind of file", "T1036"))
    if WRITABLE.search(text):
        what = "runs from a place where anybody can write"
        found.append(("writable_place", what, "T1204.002"))
    if tool := first_of(ATTACK_TOOLS, text):
        found.append(("attack_tool", "has the name of an attack tool (" + tool + ")", "T1588.002"))
    return tuple(found)


_cached_faults = lru_cache(maxsize=4096)(_faults)


def parent_command(case: Case) -> Sequence[Evidence]:
    """The parent's command line shows something that counts."""
    text = case.alert.process.parent.command_line
    if not text:
        return ()
    weights = case.weights.command
    telling = [sign for sign in signs_of(text) if weights[sign.code].weight >= TELLING]
    if not telling:
        return ()
    worst = max(telling, key=lambda sign: (weights[sign.code].weight, sign.code))
    return (
        case.on_alert(
            "process.parent_command",
            'The command line of the parent looks like an attack as well ("'
            + quoted(worst.words, 60)
            + '").',
            "/process/parent/command_line",
            text,
            case.weights.process["parent_command"].weight,
            tainted=True,
            technique="T1059",
        ),
    )
