"""What the inventory and the directory say of the machine and the account."""

from collections.abc import Sequence

from tocsin.model import AssetRecord, Evidence, NetworkDirection
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted

DECOYS = frozenset({"honeypot", "decoy", "canary"})
AGAINST_SERVERS = frozenset({"exploit", "web_attack", "brute_force", "webshell"})
ON_CREDENTIALS = frozenset({"credential_theft", "brute_force"})
FAILURES = frozenset({"failure", "failed", "fail"})


def authorised(case: Case) -> Sequence[Evidence]:
    """The inventory says that the acting machine is there to do what the rule saw.

    The machine is recognised by the source address that the sensor measured, never by a name that
    a client sent, and the rule by its vendor's words. Over TCP or from inside, that address cannot
    be forged; anything else explains nothing.
    """
    asset, family = case.asset, case.family.vouched
    if asset is None or family is None or not case.asset_is_source or not unforged(case):
        return ()
    for index, tag in enumerate(asset.tags):
        entry = case.weights.authorised.get(tag.strip().lower())
        if entry is not None and family in entry.families:
            statement = (
                "The inventory tags the source, "
                + _name(asset)
                + ", as "
                + quoted(tag, 40)
                + ": "
                + family.replace("_", " ")
                + " is what it is for."
            )
            return (
                case.on_context(
                    "authorised." + tag.strip().lower(),
                    statement,
                    "asset#/asset/tags/" + str(index),
                    tag,
                    entry.weight,
                ),
            )
    return ()


def asset(case: Case) -> Sequence[Evidence]:
    """A decoy was touched, or the target is one that intruders gain from."""
    record = case.asset
    if record is None or case.asset_is_source:
        return ()
    found = []
    weights = case.weights.asset
    for index, tag in enumerate(record.tags):
        if tag.strip().lower() in DECOYS:
            found.append(
                case.on_context(
                    "asset.honeypot",
                    "The target " + _name(record) + " is a decoy that nobody has business with.",
                    "asset#/asset/tags/" + str(index),
                    tag,
                    weights["honeypot"].weight,
                )
            )
            break
    inbound = case.direction is NetworkDirection.INBOUND and not case.blocked
    if record.exposed and inbound and case.is_about(AGAINST_SERVERS):
        found.append(
            case.on_context(
                "asset.exposed_target",
                "The target " + _name(record) + " can be reached from the internet.",
                "asset#/asset/exposed",
                record.exposed,
                weights["exposed_target"].weight,
            )
        )
    credentials = case.is_about(ON_CREDENTIALS) or "TA0006" in case.tactics
    if credentials and record.type and _is_domain_controller(record.type):
        found.append(
            case.on_context(
                "asset.domain_controller",
                "Credentials are at stake on " + _name(record) + ", a domain controller.",
                "asset#/asset/type",
                record.type,
                weights["domain_controller"].weight,
            )
        )
    return found


def user(case: Case) -> Sequence[Evidence]:
    """A disabled, privileged or unknown account is in use."""
    context = case.user_context
    if context is None:
        return ()
    record, weights = context.user, case.weights.user
    if record is None:
        name = case.alert.user.name
        if name and case.names_account and case.unchecked.account_not_found:
            return (
                case.on_alert(
                    "user.unknown",
                    "The directory has no account " + quoted(name, 64) + ".",
                    "/user/name",
                    name,
                    weights["unknown"].weight,
                    tainted=True,
                ),
            )
        return ()
    name = quoted(record.user_name or record.user_id, 64)
    if not record.enabled:
        key = "disabled_failed" if case.outcome in FAILURES else "disabled"
        return (
            case.on_context(
                "user.disabled",
                "The account "
                + name
                + " is disabled, and yet "
                + ("was tried." if key == "disabled_failed" else "was used."),
                "user#/user/enabled",
                record.enabled,
                weights[key].weight,
            ),
        )
    if record.privileged:
        return (
            case.on_context(
                "user.privileged",
                "The account " + name + " is privileged.",
                "user#/user/privileged",
                record.privileged,
                weights["privileged"].weight,
            ),
        )
    return ()


def unforged(case: Case) -> bool:
    """Whether nobody can have forged the source's address: it is inside, or spoke TCP."""
    inside = case.network is not None and case.ours_acted
    return inside or (case.alert.network.transport or "").lower() == "tcp"


def _is_domain_controller(kind: str) -> bool:
    words = kind.lower().replace("_", " ").replace("-", " ")
    return "domain controller" in words or words.strip() == "dc"


def _name(record: AssetRecord) -> str:
    return quoted(record.hostname or record.asset_id, 64)
