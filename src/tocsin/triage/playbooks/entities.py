"""The entities that an action can be bound to: the host, account, address … an alert concerns."""

import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache

from tocsin.model import (
    AddressContext,
    Endpoint,
    NetworkDirection,
    ObservableRole,
    ObservableType,
)
from tocsin.triage.case import Case
from tocsin.triage.intelligence import known_good

LONGEST_ENTITY = 512
NOISY = 20  # alerts of a rule in a week that make it worth narrowing
OBSERVERS = frozenset({"suricata", "cef"})  # whose host is the sensor, not the machine concerned

Entity = tuple[str, str]  # type as in model.Action, value


def _host(case: Case) -> Entity | None:
    """The machine of ours that the alert is about."""
    host, asset = case.alert.host, case.asset
    if case.source in OBSERVERS and (address := _own_address(case)):
        if asset is not None and asset.ip == address:
            return _entity("host", asset.hostname or asset.asset_id)
        return _entity("host", address)
    name = host.name or (asset.hostname or asset.asset_id if asset else None)
    return _entity("host", name or host.id or host.ip or _own_address(case))


def _unknown_host(case: Case) -> Entity | None:
    return _host(case) if case.asset is None else None


def _own_address(case: Case) -> str | None:
    first, second = case.alert.source, case.alert.destination
    if not case.ours_acted:
        first, second = second, first
    for end in (first, second):
        if end.ip:
            known = _known(case, end)
            if known.internal if known else _is_private(end.ip):
                return end.ip
    return None


def _remote_ip(case: Case) -> Entity | None:
    """An outside address that can be blocked: not ours, and not a service everybody uses."""
    for end in (case.alert.destination, case.alert.source):
        if end.ip is None or _is_private(end.ip):
            continue
        known = _known(case, end)
        if (known is None or not known.internal) and not _well_known(case, end.ip):
            return _entity("ip", end.ip)
    return None


def _known(case: Case, end: Endpoint) -> AddressContext | None:
    network = case.network
    if network is None:
        return None
    for known in (network.source, network.destination):
        if known is not None and known.ip == end.ip:
            return known
    return None


def _well_known(case: Case, value: str) -> bool:
    for sighting in case.dossier.intel:
        if sighting.benign_lists and sighting.value == value and known_good(sighting):
            return True
    return False


@lru_cache(maxsize=8192)
def _is_private(text: str) -> bool:
    """Addresses of the private ranges only; documentation ranges are blocked like any other."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or any(address in network for network in PRIVATE if network.version == address.version)
    )


PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def _domain(case: Case) -> Entity | None:
    alert = case.alert
    name = alert.dns.question
    if name is None and case.direction is not NetworkDirection.INBOUND:
        name = alert.destination.domain
    if name is None or name in _own_names(case) or _well_known(case, name):
        return None
    return _entity("domain", name)


def _own_names(case: Case) -> tuple[str | None, ...]:
    return case.alert.host.name, case.asset.hostname if case.asset else None


def _file(case: Case) -> Entity | None:
    file = case.alert.file
    return _entity(
        "file",
        file.hash.sha256 or file.hash.sha1 or file.hash.md5 or file.path or file.name,
    )


def _user(case: Case) -> Entity | None:
    user = case.alert.user
    if not case.names_account:
        return None
    known = case.user.user_name or case.user.user_id if case.user else None
    return _entity("user", user.name or known or user.email or user.id)


def _owner(case: Case) -> Entity | None:
    return _entity("user", case.asset.owner) if case.asset else None


def _indicator(case: Case) -> Entity | None:
    """The indicator that intelligence knows, else a hash, a name, an outside address."""
    for sighting in case.known_indicators:
        return _sighted(sighting.type, sighting.value)
    for sighting in case.dossier.intel:
        if sighting.type is ObservableType.HASH and sighting.role is not ObservableRole.MENTION:
            return _sighted(sighting.type, sighting.value)
    return _domain(case) or _remote_ip(case)


def _sighted(kind: ObservableType, value: str) -> Entity | None:
    names = {ObservableType.HASH: "file", ObservableType.CIDR: "ip"}
    return _entity(names.get(kind, kind.value), value)


def _rule(case: Case) -> Entity | None:
    rule = case.alert.rule
    return _entity("alert", rule.name or rule.id)


def _noisy_rule(case: Case) -> Entity | None:
    seen = case.network.prevalence if case.network else ()
    noisy = any(each.subject == "rule" and each.week >= NOISY for each in seen)
    return _rule(case) if noisy else None


def _entity(kind: str, value: str | None) -> Entity | None:
    return (kind, value[:LONGEST_ENTITY]) if value else None


ENTITIES: Mapping[str, Callable[[Case], Entity | None]] = {
    "host": _host,
    "unknown_host": _unknown_host,
    "remote_ip": _remote_ip,
    "domain": _domain,
    "url": lambda case: _entity("url", case.alert.url),
    "sender": lambda case: _entity("email", case.alert.email.sender),
    "file": _file,
    "user": _user,
    "owner": _owner,
    "indicator": _indicator,
    "rule": _rule,
    "noisy_rule": _noisy_rule,
    "alert": lambda case: ("alert", case.dossier.alert_id),
}
