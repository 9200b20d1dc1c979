"""Harmless activity that looks like an attack: automation, management, updates, backup, scanners.

What names itself is only said: anybody can write it, so it weighs nothing. What the directory or
the inventory vouch for may lower: the account that the provider authenticated, the machine whose
address the sensor measured, and a window that somebody entered there.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage import roles
from tocsin.triage.case import Case
from tocsin.triage.claims import rule_words
from tocsin.triage.entities import unforged
from tocsin.triage.evidence import quoted
from tocsin.triage.outcome import endings, shown
from tocsin.triage.payload import Leaf

KINDS = ("infrastructure", "management", "update", "backup", "monitoring", "scanner")
NAMES = tuple((name, kind) for kind in KINDS for name in roles.names("lookalikes", kind))
AGENTS = frozenset({"useragent", "rawuseragent", "calleruseragent", "callersupplieduseragent"})
AUTOMATION = roles.words("lookalikes", "automation_tags")
WINDOW = "change-window:"
# What automation does all day; a rule that looks for theft or stealth is not explained by it.
EVERYDAY = frozenset(
    {"=create", "=change", "=delete", "=enable", "=permission", "=setting", "=network", "=compute"}
)
NEVER = frozenset({"=export", "exfiltr", "steal", "stol", "malwar", "ransom", "backdoor", "leak"})


def named(case: Case) -> Sequence[Evidence]:
    """A client that calls itself a known tool of administration; said, and worth nothing."""
    for leaf in case.payload.event:
        if leaf.name in AGENTS and type(leaf.value) is str:
            kind = _kind(leaf.text)
            if kind is None:
                return ()
            statement = "The client calls itself a tool for " + kind + " (" + shown(leaf) + ")"
            return (
                case.on_payload(
                    "lookalike.named",
                    statement + "; anybody can write that, so it lowers nothing.",
                    leaf,
                    0.0,
                    tainted=True,
                ),
            )
    return ()


@lru_cache(maxsize=4096)
def _kind(agent: str) -> str | None:
    return next((kind for name, kind in NAMES if name in agent), None)


def automation(case: Case) -> Sequence[Evidence]:
    """The directory says that the account that the provider authenticated is an automation."""
    record, context = case.user, case.user_context
    if record is None or context is None or not record.enabled or _proven(case) is None:
        return ()
    spoken = rule_words(case.payload)
    if spoken.isdisjoint(EVERYDAY) or not spoken.isdisjoint(NEVER):
        return ()
    for index, tag in enumerate(record.tags):
        if tag.strip().lower() in AUTOMATION:
            return (
                case.on_context(
                    "lookalike.automation",
                    "The directory tags the account "
                    + quoted(record.user_name or record.user_id, 64)
                    + " as "
                    + quoted(tag, 40)
                    + "; such changes are its work.",
                    "user#/user/tags/" + str(index),
                    tag,
                    case.weights.lookalike["automation"].weight,
                ),
            )
    return ()


def _proven(case: Case) -> Leaf | None:
    """The leaf in which the provider names the directory's account as the one that succeeded."""
    record = case.user
    if record is None or endings(case.payload)[0] is not None:
        return None
    names = (record.user_name, record.email, record.user_id)
    known = {name.lower() for name in names if name}
    for leaf in case.payload.playing("identity.actors"):
        if not leaf.by_actor and leaf.text in known:
            return leaf
    return None


def window(case: Case) -> Sequence[Evidence]:
    """The inventory or the directory names a window for changes, and it happened within.

    A tag `change-window:START/END` holds two times of ISO 8601 with their zones.
    """
    when = case.alert.event.time
    if when is None:
        return ()
    asset, user = case.asset, case.user
    if asset is not None and asset.tags and case.asset_is_source and unforged(case):
        found = _window(case, "asset", asset.tags, when)
        if found:
            return found
    if user is not None and user.tags and user.enabled and _proven(case) is not None:
        return _window(case, "user", user.tags, when)
    return ()


def _window(case: Case, kind: str, tags: Sequence[str], when: datetime) -> Sequence[Evidence]:
    for index, tag in enumerate(tags):
        if tag.startswith(WINDOW) and (span := _span(tag)) and span[0] <= when <= span[1]:
            return (
                case.on_context(
                    "lookalike.window",
                    "It happened within an announced window (" + quoted(tag, 80) + ").",
                    kind + "#/" + kind + "/tags/" + str(index),
                    tag,
                    case.weights.lookalike["window"].weight,
                ),
            )
    return ()


@lru_cache(maxsize=1024)
def _span(tag: str) -> tuple[datetime, datetime] | None:
    start, slash, end = tag.removeprefix(WINDOW).partition("/")
    try:
        span = datetime.fromisoformat(start.strip()), datetime.fromisoformat(end.strip())
    except ValueError:
        return None
    if not slash or span[0].tzinfo is None or span[1].tzinfo is None:
        return None
    return span  # in their own zones: at the ends of the calendar there is no such time in UTC
