"""The user collector: which account of the directory the alert is about."""

from functools import lru_cache

from tocsin.context.keys import (
    NO_ALERT,
    STEP,
    Answer,
    Answers,
    Questions,
    clean,
    login,
    lowered,
    user_history,
)
from tocsin.context.network import AddressBook
from tocsin.model import ContextType, Dossier, Fact, Gap, GapReason, UserContext
from tocsin.ports import EntityKey

CONFIDENCE = {"user_id": 1.0, "user_name": 0.9, "email": 0.9}

# Accounts of the operating system: no person, and in nobody's directory.
BUILT_IN = frozenset(
    {
        "system",
        "local system",
        "localsystem",
        "local service",
        "network service",
        "anonymous logon",
        "iusr",
        "-",
    }
)


class UserCollector:
    """Fills the context of type `user`."""

    def __init__(self, _book: AddressBook) -> None:
        """Needs nothing but the directory's answers."""

    def ask(self, dossier: Dossier) -> Questions:
        """The names of the alert's account, best first, and how often it was seen."""
        alert = dossier.alert or NO_ALERT
        user = alert.user
        return Questions(users=_keys(user.id, user.name, user.email), history=user_history(alert))

    def answer(self, _dossier: Dossier, asked: Questions, answers: Answers) -> Answer:
        """The user that the first answering key names."""
        prevalence = answers.prevalence(asked.history)
        for key in asked.users:
            user = answers.users.get(key)
            if user is not None:
                return Fact(
                    context_type=ContextType.USER,
                    data=UserContext(user=user, matched_by=key[0], prevalence=prevalence),
                    source="directory",
                    confidence=CONFIDENCE[key[0]],
                ), ()
        return Fact(
            context_type=ContextType.USER,
            data=UserContext(prevalence=prevalence),
            source="directory",
            confidence=0.0,
        ), _gap(asked, answers)


@lru_cache(maxsize=16_384)
def _keys(user_id: str | None, name: str | None, email: str | None) -> tuple[EntityKey, ...]:
    """Ids before names before addresses of mail; names also without their domain."""
    keys: dict[EntityKey, None] = {}
    full, bare, identity = lowered(name), login(name), lowered(user_id)
    if identity:
        keys[EntityKey("user_id", clean(user_id))] = None
    if full and not _is_built_in(bare):
        keys[EntityKey("user_name", full)] = None
        keys[EntityKey("user_name", bare)] = None
        if "@" in full:
            keys[EntityKey("email", full)] = None
    if address := lowered(email):
        keys[EntityKey("email", address)] = None
    if identity and not identity.startswith("s-1-"):
        keys[EntityKey("user_name", identity)] = None
        if "@" in identity:
            keys[EntityKey("email", identity)] = None
    return tuple(keys)


def _is_built_in(name: str) -> bool:
    return name in BUILT_IN or name.endswith("$") or name.startswith(("dwm-", "umfd-"))


def _gap(asked: Questions, answers: Answers) -> tuple[Gap, ...]:
    if asked.users and not answers.has_directory:
        return _EMPTY
    if asked.users:
        named = ", ".join([f"{kind} {value}" for kind, value in asked.users[:4]])
        return (Gap(step=STEP, subject="user", reason=GapReason.NOT_FOUND, detail=named),)
    return _BUILT_IN if asked.history else _ABSENT


_EMPTY = (
    Gap(
        step=STEP,
        subject="user",
        reason=GapReason.NOT_CONFIGURED,
        detail="the directory is empty; fill it with: tocsin users import",
    ),
)
_ABSENT = (
    Gap(step=STEP, subject="user", reason=GapReason.ABSENT, detail="the alert names no account"),
)
_BUILT_IN = (
    Gap(
        step=STEP,
        subject="user",
        reason=GapReason.ABSENT,
        detail="the alert names an account of the operating system or of a machine",
    ),
)
