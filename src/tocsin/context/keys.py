"""What to ask the inventory, the directory and the history about: cleaned, comparable keys."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from tocsin.knowledge.addresses import parse_address
from tocsin.model import Alert, AssetRecord, Dossier, Fact, Gap, Prevalence, UserRecord
from tocsin.ports import RULE_HOST, EntityKey, rule_host

STEP = "context"
KEY_LIMIT = 256

Answer = tuple[Fact, tuple[Gap, ...]]

NO_ALERT = Alert(title="")


class Questions(NamedTuple):
    """What one collector wants to know for one alert, as (kind, value) pairs."""

    assets: tuple[EntityKey, ...] = ()
    users: tuple[EntityKey, ...] = ()
    history: tuple[EntityKey, ...] = ()


class Answers(NamedTuple):
    """What was found for a whole batch; keys that nobody answers to are left out."""

    assets: Mapping[EntityKey, AssetRecord]
    users: Mapping[EntityKey, UserRecord]
    history: Mapping[EntityKey, Prevalence]
    has_inventory: bool = True  # whether any asset is recorded at all
    has_directory: bool = True  # whether any user is

    def prevalence(self, keys: tuple[EntityKey, ...]) -> tuple[Prevalence, ...]:
        """The counts of these keys; what was never seen counts zero.

        A rule on one machine is told of only where somebody has decided an alert of it.
        """
        history = self.history
        return tuple(
            [
                history.get(key) or Prevalence(subject=key[0], value=key[1])
                for key in keys
                if key[0] != RULE_HOST or self._decided(key)
            ]
        )

    def _decided(self, key: EntityKey) -> bool:
        found = self.history.get(key)
        return found is not None and bool(found.attacks or found.harmless)


@lru_cache(maxsize=65_536)
def clean(value: str | None) -> str:
    """A value that every database can compare: no NUL, no lone surrogates, trimmed and capped."""
    if not value:
        return ""
    value = value[:KEY_LIMIT].replace("\0", "\ufffd").strip()
    return value.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=65_536)
def lowered(value: str | None) -> str:
    """`clean`, in lower case: how names are compared."""
    return clean(clean(value).lower())


@lru_cache(maxsize=65_536)
def address_text(value: str | None) -> str:
    """The canonical text of an IP address, or nothing when it is not one."""
    address = parse_address(value) if value else None
    return "" if address is None else str(address)


@lru_cache(maxsize=65_536)
def login(value: str | None) -> str:
    r"""The bare account name in `DOMAIN\name` or `name@domain`, in lower case."""
    name = lowered(value)
    return name.rpartition("\\")[2].partition("@")[0].strip() or name


@lru_cache(maxsize=16_384)
def _rule(source: str | None, rule: str | None) -> str:
    return clean(f"{source or 'unknown'}:{rule}") if rule else ""


@lru_cache(maxsize=65_536)
def _rule_host(rule: str, host: str) -> tuple[EntityKey, ...]:
    return (rule_host(rule, host),) if rule and host else ()


def rule_host_history(dossier: Dossier) -> tuple[EntityKey, ...]:
    """The key of the alert's rule on its machine, if it names both; only decisions are counted."""
    alert = dossier.alert or NO_ALERT
    rule, host = rule_of(dossier), alert.host
    return _rule_host(rule, lowered(host.name) or lowered(host.id) or address_text(host.ip))


def rule_of(dossier: Dossier) -> str:
    """The rule that fired, as the history counts it; empty where the alert names none."""
    alert = dossier.alert or NO_ALERT
    return _rule(dossier.source, alert.rule.id or alert.rule.name)


def network_history(dossier: Dossier) -> tuple[EntityKey, ...]:
    """The keys of the rule and of both addresses, as far as the alert has them."""
    alert = dossier.alert or NO_ALERT
    rule = rule_of(dossier)
    source = address_text(alert.source.ip)
    destination = address_text(alert.destination.ip)
    keys: list[EntityKey] = []
    if rule:
        keys.append(EntityKey("rule", rule))
    if source:
        keys.append(EntityKey("source_ip", source))
    if destination:
        keys.append(EntityKey("destination_ip", destination))
    return tuple(keys)


def host_history(alert: Alert) -> tuple[EntityKey, ...]:
    """The key of the machine that the alert is about, if it names one."""
    host = alert.host
    value = lowered(host.name) or lowered(host.id) or address_text(host.ip)
    return (EntityKey("host", value),) if value else ()


def user_history(alert: Alert) -> tuple[EntityKey, ...]:
    """The key of the account that the alert is about, if it names one."""
    user = alert.user
    value = login(user.name) or lowered(user.id) or lowered(user.email)
    return (EntityKey("user", value),) if value else ()


def history_keys(dossier: Dossier) -> tuple[EntityKey, ...]:
    """Every value of an alert whose occurrences are counted: rule, addresses, host and user.

    These are the subjects and values of the `Prevalence` entries of the alert's facts.
    """
    alert = dossier.alert or NO_ALERT
    return network_history(dossier) + host_history(alert) + user_history(alert)
