"""What an alert has that others may have too, without what everybody has."""

import importlib.resources
import ipaddress
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache

import msgspec

from tocsin.errors import SettingsError
from tocsin.knowledge import attack
from tocsin.model import (
    Alert,
    AssetContext,
    AssetRecord,
    Dossier,
    Entity,
    EntityKind,
    NetworkContext,
    ObservableRole,
    ObservableType,
    UserContext,
)
from tocsin.model.incident import moment
from tocsin.ports import EntityKey, Trail

FILE = "generic.toml"
LONGEST = 256  # characters of a value; longer ones are cut, and then need more in common
MOST = 24  # entities of one alert
RECIPIENTS = 5  # of a message, that are taken for accounts
OBSERVERS = frozenset({"suricata", "cef"})  # whose host is the sensor, not the machine concerned
NAMED = {ObservableType.HASH: EntityKind.HASH, ObservableType.DOMAIN: EntityKind.DOMAIN}
SAID = frozenset({ObservableRole.MENTION, ObservableRole.HOST})  # in passing, or of ourselves


class Generic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags and types of machines, and names of accounts, that link nothing."""

    machines: frozenset[str]
    accounts: frozenset[str]

    def holds(self, asset: AssetRecord | None) -> bool:
        """Whether the inventory says of this machine that many stand behind it or are visited."""
        if asset is None:
            return False
        words = (*asset.tags, asset.type or "")
        return any(_word(word) in self.machines for word in words)


@cache
def shipped() -> Generic:
    """The shipped list.

    Raises:
        SettingsError: it cannot be read.
    """
    content = (importlib.resources.files(__package__) / FILE).read_bytes()
    try:
        return msgspec.convert(tomllib.loads(content.decode()), Generic)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"after/{FILE}: {error}") from error


def addresses(batch: Sequence[Dossier]) -> list[EntityKey]:
    """What to ask the inventory: the addresses of both ends and of the machine."""
    found = {
        EntityKey("ip", ip): None
        for dossier in batch
        if dossier.alert is not None
        for text in _ends(dossier.alert)
        if (ip := address(text))
    }
    return list(found)


def trail(dossier: Dossier, generic: Generic, assets: Mapping[EntityKey, AssetRecord]) -> Trail:
    """An alert's entities, the machine first.

    Args:
        dossier: with its context and intelligence.
        generic: what never links.
        assets: what the inventory says of `addresses`.
    """
    alert = dossier.alert or Alert(title="")
    seen = _seen(dossier)
    known_good = {sighting.value for sighting in dossier.intel if sighting.benign_lists}
    found: dict[tuple[EntityKind, str], int] = {}

    def add(kind: EntityKind, value: str, count: int = 0) -> None:
        if value and value not in known_good and len(found) < MOST:
            key = (kind, value[:LONGEST])
            found[key] = max(found.get(key, 0), count)

    asset = next((f.data.asset for f in dossier.context if isinstance(f.data, AssetContext)), None)
    host, count = _host(dossier, alert, asset, seen)
    if host and not generic.holds(asset):
        add(EntityKind.HOST, host, count)
    for role, ip in _other_addresses(alert, asset):
        if not generic.holds(assets.get(EntityKey("ip", ip))):
            add(EntityKind.IP, ip, seen.get((role, ip), count if role == "host" else 0))
    for name, times in _accounts(dossier, alert, seen):
        if not name.endswith("$") and name not in generic.accounts:
            add(EntityKind.USER, name, times)
    for observable in alert.observables:
        kind = NAMED.get(observable.type)
        if kind is not None and observable.role not in SAID and observable.value != host:
            add(kind, observable.value)
    values = list(found)
    return Trail(
        alert_id=dossier.alert_id,
        at=moment(alert.event.time, dossier.received_at),
        stage=stage(alert.threat.tactics, alert.threat.techniques),
        entities=[
            Entity(kind=kind, value=value, seen=count, beside=_beside((kind, value), values))
            for (kind, value), count in found.items()
        ],
    )


def _ends(alert: Alert) -> tuple[str | None, str | None, str | None]:
    return alert.source.ip, alert.destination.ip, alert.host.ip


def _other_addresses(alert: Alert, asset: AssetRecord | None) -> Iterator[tuple[str, str]]:
    """Addresses by role, without that of the machine that the inventory knows by its name."""
    for role, text in zip(("source_ip", "destination_ip", "host"), _ends(alert), strict=True):
        ip = address(text)
        if ip and (asset is None or ip != asset.ip):
            yield role, ip


def _beside(entity: tuple[EntityKind, str], values: list[tuple[EntityKind, str]]) -> str:
    """The first other thing of the alert, the machine before its peers before its accounts."""
    return next((value[:64] for kind, value in values if (kind, value) != entity), "")


def _seen(dossier: Dossier) -> dict[tuple[str, str], int]:
    """How many alerts of the last 30 days had each value, by subject."""
    return {
        (counted.subject, counted.value): counted.month
        for fact in dossier.context
        if isinstance(fact.data, NetworkContext | AssetContext | UserContext)
        for counted in fact.data.prevalence
    }


def _host(
    dossier: Dossier, alert: Alert, asset: AssetRecord | None, seen: Mapping[tuple[str, str], int]
) -> tuple[str, int]:
    """The machine of ours under the name that the inventory gives it, and how often it came."""
    named = next((count for (subject, _), count in seen.items() if subject == "host"), 0)
    if asset is not None:
        met = [
            seen.get((role, asset.ip), 0)
            for role, ip in (
                ("source_ip", alert.source.ip),
                ("destination_ip", alert.destination.ip),
            )
            if asset.ip and ip == asset.ip
        ]
        if dossier.source not in OBSERVERS or met:
            return lowered(asset.hostname or asset.asset_id), max([named, *met])
    if dossier.source in OBSERVERS:
        return "", 0
    return lowered(alert.host.name or alert.host.id), named


def _accounts(
    dossier: Dossier, alert: Alert, seen: Mapping[tuple[str, str], int]
) -> Iterator[tuple[str, int]]:
    user = alert.user
    known = next((f.data.user for f in dossier.context if isinstance(f.data, UserContext)), None)
    name = login(user.name) or login(known.user_name if known else None) or lowered(user.id)
    if name or user.email:
        yield (
            name or login(user.email),
            next((count for (subject, _), count in seen.items() if subject == "user"), 0),
        )
    for recipient in alert.email.recipients[:RECIPIENTS]:
        yield login(recipient), 0


@lru_cache(maxsize=4096)
def stage(tactics: tuple[str, ...], techniques: tuple[str, ...]) -> int:
    """How far along an attack: 0 (reconnaissance) to 13 (impact), -1 when nothing says.

    A technique that serves several tactics counts as the earliest of them.
    """
    named = [found.stage for text in tactics[:16] if (found := attack.tactic(text))]
    for identifier in techniques[:16] if not named else ():
        technique = attack.technique(identifier)
        if technique and technique.tactics and (found := attack.tactic(technique.tactics[0])):
            named.append(found.stage)
    return max(named, default=-1)


@lru_cache(maxsize=16_384)
def address(text: str | None) -> str:
    """The canonical text of an address that belongs to one machine; empty for all others."""
    try:
        found = ipaddress.ip_address((text or "").strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    shared = (
        found.is_loopback
        or found.is_unspecified
        or found.is_multicast
        or found.is_link_local
        or str(found) == "255.255.255.255"
    )
    return "" if shared else str(found)


def lowered(text: str | None) -> str:
    """A name as it is compared."""
    return (text or "").strip().lower()[:LONGEST]


def login(text: str | None) -> str:
    r"""The bare account name in `DOMAIN\name` or `name@domain`, in lower case."""
    name = lowered(text)
    return name.rpartition("\\")[2].partition("@")[0].strip() or name


def _word(text: str) -> str:
    return text.strip().lower().replace(" ", "-").replace("_", "-")
