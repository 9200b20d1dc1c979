"""What to do: actions of `playbooks.toml`, bound to the host, account or address they concern."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import msgspec

from tocsin.errors import SettingsError
from tocsin.model import (
    Action,
    AddressContext,
    Disposition,
    Endpoint,
    NetworkDirection,
    ObservableRole,
    ObservableType,
)
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.intelligence import known_good
from tocsin.triage.weights import Weights, convert, data_file

FILE = "playbooks.toml"
BLANK = "ENTITY"
FALLBACK = "investigate_alert"
LONGEST_ENTITY = 512
NOISY = 20  # alerts of a rule in a week that make it worth narrowing
OBSERVERS = frozenset({"suricata", "cef"})  # whose host is the sensor, not the machine concerned

T = TypeVar("T")
Entity = tuple[str, str]  # type as in model.Action, value


class _Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entity: str
    title: str
    reason: str


class _Step(NamedTuple):
    """An action of the file, its title cut where the entity goes."""

    code: str
    kind: str
    before: str
    after: str
    reason: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    actions: dict[str, _Action]
    attack: dict[str, list[str]]
    open: dict[str, list[str]]
    harmless: dict[Disposition, list[str]]


class Playbooks:
    """The actions for each verdict and family.

    Raises:
        SettingsError: the file cannot be read or names an action, entity or family that is not.
    """

    def __init__(self, weights: Weights, text: bytes | None = None) -> None:
        file = convert(text if text is not None else data_file(FILE), _File, FILE)
        _check(file, weights)
        steps: dict[str, _Step] = {}
        for code, action in file.actions.items():
            before, _, after = action.title.partition(BLANK)
            steps[code] = _Step(code, action.entity, before, after, action.reason)
        self._attack = _steps(file.attack, steps)
        self._open = _steps(file.open, steps)
        self._harmless = _steps(file.harmless, steps)
        self._fallback = [steps[FALLBACK]]

    def actions(self, case: Case, verdict: Disposition) -> tuple[Action, ...]:
        """The recommended actions, first things first; never empty."""
        steps = self._harmless.get(verdict)
        if steps is None:
            lists = self._attack if verdict is Disposition.TRUE_POSITIVE else self._open
            steps = lists.get(case.family.name or "default") or lists["default"]
        return tuple(_bound(steps, case) or _bound(self._fallback, case))


def _steps(
    lists: Mapping[T, Sequence[str]], steps: Mapping[str, _Step]
) -> Mapping[T, Sequence[_Step]]:
    return {key: [steps[code] for code in codes] for key, codes in lists.items()}


def _bound(steps: Sequence[_Step], case: Case) -> list[Action]:
    """The actions whose entity the alert names."""
    entities: dict[str, Entity | None] = {}
    found: list[Action] = []
    for code, kind, before, after, reason in steps:
        if kind in entities:
            entity = entities[kind]
        else:
            entity = entities[kind] = ENTITIES[kind](case)
        if entity is not None:
            found.append(
                Action(
                    action=code,
                    title=before + quoted(entity[1]) + after,
                    entity_type=entity[0],
                    entity=entity[1],
                    reason=reason,
                    priority=len(found) + 1,
                )
            )
    return found


def _check(file: _File, weights: Weights) -> None:
    wrong = []
    for code, action in file.actions.items():
        if action.entity not in ENTITIES:
            wrong.append("actions." + code + ": no entity " + action.entity)
        if action.title.count(BLANK) != 1:
            wrong.append("actions." + code + ": title needs one " + BLANK)
    for name, lists in (("attack", file.attack), ("open", file.open)):
        if "default" not in lists:
            wrong.append(name + ": lacks default")
        wrong += [
            name + ": no family " + key for key in lists.keys() - weights.family - {"default"}
        ]
    for listed in (*file.attack.values(), *file.open.values(), *file.harmless.values()):
        wrong += ["no action " + code for code in listed if code not in file.actions]
    missing = {Disposition.FALSE_POSITIVE, Disposition.BENIGN_POSITIVE} - file.harmless.keys()
    wrong += ["harmless: lacks " + verdict for verdict in sorted(missing)]
    if FALLBACK not in file.actions or file.actions[FALLBACK].entity != "alert":
        wrong.append("actions: lacks " + FALLBACK)
    if wrong:
        raise SettingsError("triage/" + FILE + ": " + "; ".join(wrong))


# --- the entities that an action can be bound to ---------------------------------------------


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
