"""What a process's command line shows, in plain text and in each encoding that can be undone.

Attackers write command lines, so all of it raises, and no text around a command hides what it does.
"""

from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.commands.layers import Shown, read
from tocsin.triage.commands.signs import shipped
from tocsin.triage.evidence import quoted, value_hash

CACHED_LENGTH = 1024
SNIPPET = 60


def command_line(case: Case) -> Sequence[Evidence]:
    """Signs of an attack in the command line, the weightiest first, up to a limit in all."""
    text = case.alert.process.command_line
    if not text:
        return ()
    found = signs_of(text)
    if not found:
        return ()
    weights, digest = case.weights.command, value_hash(text)
    left = weights["limit"].weight
    evidence = []
    for sign in sorted(found, key=lambda sign: (-weights[sign.code].weight, sign.code)):
        weight = min(weights[sign.code].weight, left)
        left = round(left - weight, 3)
        about = shipped().signs[sign.code]
        statement = "The command line " + about.what
        if sign.how:
            statement += " " + sign.how
        evidence.append(
            case.on_alert(
                "command." + sign.code,
                statement + ' ("' + quoted(sign.words, SNIPPET) + '").',
                "/process/command_line",
                text,
                weight,
                tainted=True,
                technique=about.technique,
                digest=digest,
            )
        )
    return evidence


def signs_of(text: str) -> tuple[Shown, ...]:
    """All signs in a command line; those of short ones are kept."""
    return _short(text) if len(text) <= CACHED_LENGTH else _signs(text)


def _signs(text: str) -> tuple[Shown, ...]:
    return read(text, shipped())


_short = lru_cache(maxsize=4096)(_signs)
