"""What a cloud or SaaS event changes: rights, openness, protection, credentials, data in bulk.

All of it raises only. A value that shows a dangerous setting is evidence; the same field with a
harmless value is none, because many of these values stand in requests that the actor wrote.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.model import Evidence
from tocsin.triage import roles
from tocsin.triage.case import Case
from tocsin.triage.claims import VOCABULARY, rule_speaks_of, wanted_words
from tocsin.triage.outcome import endings, shown
from tocsin.triage.payload import Leaf, Payload

_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_ENUMERATION = re.compile(r"[\w.:/ -]{1,120}", re.ASCII)
READS = roles.words("changes", "reading")
LOOKED_AT = ("=read", "=export", "=logon", "=secret", "discover", "recon", "enumer")
PROTECTION = roles.words("changes", "protection")
REMOVING = frozenset({"=delete", "=disable"})
DEEDS = frozenset(
    {"=create", "=delete", "=change", "=disable", "=enable", "=read", "=export", "=logon", "=share"}
)
MAKING = frozenset({"=create", "=change", "=enable"})


class Sign(NamedTuple):
    """A kind of dangerous setting; `key` names its weight in the section `observed`."""

    key: str
    what: str
    technique: str


OPEN = Sign("open_to_all", "It opens something to everybody", "T1562.007")
SHARED = Sign("shared_widely", "It gives everybody access", "T1537")
ADMIN = Sign("administrator", "It gives the rights of an administrator", "T1098.003")
WILDCARD = Sign("wildcard", "A policy allows everything", "T1098.003")
UNCONFINED = Sign("unconfined", "A container is not confined to itself", "T1611")
INSIDE = Sign("into_container", "Somebody enters a running container", "T1609")
OFF = Sign("protection_off", "A protection is switched off", "T1562")

# Values that say it whatever the member is called.
VALUES: Mapping[str, Sign] = {
    **dict.fromkeys(roles.names("changes", "open_to_all"), OPEN),
    **dict.fromkeys(roles.names("changes", "shared_widely"), SHARED),
    **dict.fromkeys(roles.names("changes", "administrator"), ADMIN),
}
# Members that say it when they are on, and when they are off.
SET: Mapping[str, Sign] = {
    **dict.fromkeys(roles.names("changes", "on_unconfined"), UNCONFINED),
    **dict.fromkeys(roles.names("changes", "on_shared"), SHARED),
    **dict.fromkeys(roles.names("changes", "on_administrator"), ADMIN),
    **dict.fromkeys(roles.names("changes", "on_protection_off"), OFF),
}
UNSET: Mapping[str, Sign] = dict.fromkeys(roles.names("changes", "off_protection_off"), OFF)
SET_WORDS = roles.words("identity", "yes")
OFF_WORDS = roles.words("changes", "off_words")
# Values that say it in members of these names.
IN_MEMBERS: Mapping[str, Mapping[str, Sign]] = {
    **{
        name: dict.fromkeys(roles.names("changes", "admin_words"), ADMIN)
        for name in roles.names("changes", "role_members")
    },
    **{
        name: dict.fromkeys(("*", "*:*"), WILDCARD)
        for name in roles.names("changes", "policy_members")
    },
    "subresource": dict.fromkeys(roles.names("changes", "entering"), INSIDE),
    "newvalue": {
        **dict.fromkeys(roles.names("changes", "admin_words"), ADMIN),
        **dict.fromkeys(roles.names("changes", "off_words"), OFF),
        **dict.fromkeys(roles.names("changes", "wide_words"), SHARED),
    },
}
TELLING = frozenset({"path", *SET, *UNSET, *IN_MEMBERS})
READABLE = (str, bool)
NOTHING: Mapping[str, Sign] = {}
LONGEST_VALUE = 80
MANY, MUCH = 100, 500_000_000  # objects; bytes


def settings(case: Case) -> Sequence[Evidence]:
    """Dangerous settings, one piece of evidence of each kind."""
    found: dict[str, Evidence] = {}
    weights = case.weights.observed
    for leaf in case.payload.event:
        _, name, parent, value, _ = leaf
        if name in TELLING or parent == "newvalue":
            sign = _sign(name, parent, value) if type(value) in READABLE else None
        elif type(value) is str:
            sign = VALUES.get(value.lower()) if len(value) <= LONGEST_VALUE else None
        else:
            continue
        if sign is not None and sign.key not in found:
            found[sign.key] = case.on_payload(
                "change." + sign.key,
                sign.what + " (" + shown(leaf) + ").",
                leaf,
                weights[sign.key].weight,
                tainted=True,
                technique=sign.technique,
            )
    return list(found.values())


@lru_cache(maxsize=8192, typed=True)
def _sign(name: str, parent: str, value: str | bool) -> Sign | None:
    if isinstance(value, bool):
        return (SET if value else UNSET).get(name)
    if len(value) > LONGEST_VALUE:
        return None
    if name == "path" and parent == "hostpath":
        return UNCONFINED
    text = value.strip().lower()
    return (
        VALUES.get(text.replace(" ", "_"))
        or IN_MEMBERS.get(name, NOTHING).get(text)
        or (IN_MEMBERS["newvalue"].get(text) if parent == "newvalue" else None)
        or (UNSET.get(name) if text in OFF_WORDS else None)
        or (SET.get(name) if text in SET_WORDS else None)
    )


def deed(case: Case) -> Sequence[Evidence]:
    """What kind of action it is, where that kind is what intruders need."""
    leaf = action(case.payload)
    if leaf is None or endings(case.payload)[0] is not None:
        return ()
    words = VOCABULARY.of(str(leaf.value))
    weights = case.weights.observed
    key = what = technique = ""
    if not words.isdisjoint(REMOVING) and not words.isdisjoint(PROTECTION):
        key, what, technique = "control_off", "A control is taken away", "T1562.008"
    elif not words.isdisjoint(MAKING) and "=secret" in words:
        key, what, technique = "new_credential", "A credential is made or set", "T1098.001"
    elif not words.isdisjoint(MAKING) and "=permission" in words:
        key, what, technique = "rights_changed", "Rights are changed", "T1098"
    elif "=export" in words:
        key, what, technique = "export", "Data are taken out", "T1567"
    elif not words.isdisjoint(("=share", "=public")):
        key, what, technique = "sharing", "Something is shared", "T1537"
    if not key:
        return ()
    statement = what + " (" + shown(leaf) + ")."
    weight = weights[key].weight
    return (
        case.on_payload("deed." + key, statement, leaf, weight, tainted=True, technique=technique),
    )


def action(payload: Payload) -> Leaf | None:
    """The leaf that names what was done."""
    for leaf in payload.playing("changes.actions"):
        if isinstance(leaf.value, str) and not leaf.by_actor:
            return leaf
    return None


def volume(case: Case) -> Sequence[Evidence]:
    """Many objects or much data at once, as the event counts it."""
    weights = case.weights.observed
    for role, least, key, what in (
        ("changes.counts", MANY, "many", "It concerns many objects at once"),
        ("changes.bytes", MUCH, "much", "Much data moved"),
    ):
        for leaf in case.payload.playing(role):
            if isinstance(leaf.value, int | float) and leaf.value >= least:
                statement = what + " (" + shown(leaf) + ")."
                weight = weights[key].weight
                return (
                    case.on_payload(
                        "volume." + key, statement, leaf, weight, tainted=True, technique="T1567"
                    ),
                )
    return ()


def reading(case: Case) -> Sequence[Evidence]:
    """The event only looked, on a rule that looks for something else."""
    payload = case.payload
    if not payload.rule or rule_speaks_of(payload, *LOOKED_AT):
        return ()
    leaf = next((leaf for leaf in payload.playing("changes.read_only") if leaf.value is True), None)
    if leaf is None:
        leaf = next((leaf for leaf in payload.playing("changes.verbs") if not leaf.by_actor), None)
        if leaf is None or not _reads(str(leaf.value)):
            return ()
    statement = "It only reads (" + shown(leaf) + "), and the rule looks for more."
    weight = case.weights.observed["read_only"].weight
    return (case.on_payload("deed.read_only", statement, leaf, weight, tainted=leaf.by_actor),)


def _reads(verb: str) -> bool:
    if not _ENUMERATION.fullmatch(verb):
        return False
    words = _CAMEL.findall(verb.rpartition(".")[2])
    first, last = (words[0].lower(), words[-1].lower()) if words else ("", "")
    return first in READS or last == "read"


def contrary(case: Case) -> Sequence[Evidence]:
    """The provider names another kind of action than the rule's author does.

    Only words of the rule that no event can have put there count.
    """
    payload = case.payload
    if not payload.brings_event:
        return ()
    wanted_words(payload)
    looked_for = DEEDS.intersection(payload.fixed or ())
    if not looked_for:
        return ()
    for leaf in payload.playing("changes.verbs"):
        if leaf.by_actor or not isinstance(leaf.value, str):
            continue
        done = DEEDS & VOCABULARY.of(leaf.value)
        if not done:
            continue
        if not done.isdisjoint(looked_for):
            return ()
        statement = (
            "What was done ("
            + shown(leaf)
            + ") is not to "
            + " or ".join(sorted(word[1:] for word in looked_for))
            + ", which the rule looks for."
        )
        weight = case.weights.observed["contrary"].weight
        return (case.on_payload("deed.contrary", statement, leaf, weight, tainted=False),)
    return ()
