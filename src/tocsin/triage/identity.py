"""Who acted in a cloud or SaaS event, from where, and how well the account was proven."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from tocsin.knowledge.canonical import ip_address
from tocsin.model import Evidence
from tocsin.triage import roles
from tocsin.triage.case import Case
from tocsin.triage.outcome import endings, shown
from tocsin.triage.payload import Leaf, Payload

ANONYMOUS = roles.words("identity", "anonymous")
UNPROVEN = ("system:anonymous", "system:unauthenticated")
SERVICES = roles.words("identity", "services")
MACHINERY = roles.names("identity", "machinery")
DOMAINS = roles.names("identity", "domains")
BREAK_GLASS = roles.names("identity", "break_glass")
RISKY = roles.words("identity", "risky")
YES = roles.words("identity", "yes")
NO = roles.words("identity", "no")


INSIDE = tuple(
    ipaddress.ip_network(cidr)
    for cidr in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)


def actor(case: Case) -> Sequence[Evidence]:
    """Root, nobody at all, or the provider's own machinery."""
    for leaf in case.payload.playing("identity.actors"):
        kind = _kind_of_actor(leaf.name, leaf.parent, leaf.text)
        if kind is not None:
            return _acted(case, leaf, *kind)
    if endings(case.payload)[0] is None:  # a name that somebody typed in vain proves nothing
        for leaf in case.payload.playing("identity.proven_actors"):
            if leaf.text in SERVICES or leaf.text.startswith(MACHINERY):
                return _acted(case, leaf, "provider", "The provider's own machinery acted", None)
    return ()


def _acted(
    case: Case, leaf: Leaf, key: str, what: str, technique: str | None
) -> Sequence[Evidence]:
    return (
        case.on_payload(
            "actor." + key,
            what + " (" + shown(leaf) + ").",
            leaf,
            case.weights.observed[key].weight,
            tainted=leaf.by_actor,
            technique=technique,
        ),
    )


@lru_cache(maxsize=4096)
def _kind_of_actor(name: str, parent: str, text: str) -> tuple[str, str, str] | None:
    """The weight's name, what it is, and the technique, of an actor who is worth a word."""
    if text in ANONYMOUS or any(name in text for name in UNPROVEN):
        return "anonymous", "Nobody had to log on for it", "T1078"
    is_arn = text.startswith("arn:") and text.endswith(":root") and parent == "useridentity"
    if is_arn or (name == "type" and text == "root"):
        return "root", "The account's root user acted", "T1078.004"
    if any(word in text for word in BREAK_GLASS):
        return "break_glass", "An account for emergencies acted", "T1078"
    return None


def origin(case: Case) -> Sequence[Evidence]:
    """Where the actor came from: the provider's own service, a private address, a hidden one."""
    weights = case.weights.observed
    found = []
    playing = case.payload.playing
    for leaf in (*playing("identity.sources"), *playing("identity.invokers")):
        kind = _kind_of_source(leaf.text)
        if kind is None or leaf.by_actor:
            continue
        key, what = kind
        found.append(
            case.on_payload(
                "origin." + key,
                what + " (" + shown(leaf) + ").",
                leaf,
                weights[key].weight,
                tainted=False,
            )
        )
        break
    hidden = _first(case.payload, "identity.hidden", YES)
    if hidden is not None:
        statement = (
            "The provider says that the address hides who is behind it (" + shown(hidden) + ")."
        )
        weight = weights["hidden"].weight
        found.append(
            case.on_payload(
                "origin.hidden", statement, hidden, weight, tainted=True, technique="T1090.003"
            )
        )
    return found


@lru_cache(maxsize=4096)
def _kind_of_source(text: str) -> tuple[str, str] | None:
    if text.endswith(DOMAINS):
        return "from_provider", "A service of the provider made the request"
    if _is_private(text):
        return "from_private", "The request came from a private address"
    return None


def _is_private(text: str) -> bool:
    canonical = ip_address(text)  # brackets, zones and blanks taken off
    if canonical is None:
        return False
    address = ipaddress.ip_address(canonical)
    return any(address in network for network in INSIDE if network.version == address.version)


def proof(case: Case) -> Sequence[Evidence]:
    """No second factor, a risk that the identity provider states, or a place that is new."""
    weights, payload = case.weights.observed, case.payload
    found = []
    without = _first(payload, "identity.factors", NO)
    if without is not None:
        found.append(
            case.on_payload(
                "logon.without_factor",
                "No second factor was used (" + shown(without) + ").",
                without,
                weights["without_factor"].weight,
                tainted=True,
                technique="T1078",
            )
        )
    risky = _first(payload, "identity.risks", RISKY)
    if risky is not None:
        found.append(
            case.on_payload(
                "logon.risky",
                "The identity provider states a risk (" + shown(risky) + ").",
                risky,
                weights["risky"].weight,
                tainted=True,
                technique="T1078.004",
            )
        )
    new = _first(payload, "identity.deviations", YES) or next(
        (
            leaf
            for leaf in payload.playing("identity.behaviours")
            if "=positive" in str(leaf.value).lower()
        ),
        None,
    )
    if new is not None:
        found.append(
            case.on_payload(
                "logon.unfamiliar",
                "The identity provider finds it unlike this account (" + shown(new) + ").",
                new,
                weights["unfamiliar"].weight,
                tainted=True,
                technique="T1078",
            )
        )
    return found


def _first(payload: Payload, role: str, values: frozenset[str]) -> Leaf | None:
    for leaf in payload.playing(role):
        if leaf.text in values:
            return leaf
    return None
