"""The asset collector: which machine of the inventory the alert is about."""

from functools import lru_cache

from tocsin.context.keys import (
    NO_ALERT,
    STEP,
    Answer,
    Answers,
    Questions,
    address_text,
    clean,
    host_history,
    lowered,
    rule_host_history,
)
from tocsin.context.network import AddressBook
from tocsin.model import (
    AssetContext,
    AssetRecord,
    ContextType,
    Dossier,
    Fact,
    Gap,
    GapReason,
)
from tocsin.ports import EntityKey

CONFIDENCE = {"asset_id": 1.0, "hostname": 0.9, "ip": 0.7}


class AssetCollector:
    """Fills the context of type `asset`."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self._keys = lru_cache(maxsize=16_384)(self._find_keys)

    def ask(self, dossier: Dossier) -> Questions:
        """The names of the alert's machine, best first, and how often it was seen."""
        alert = dossier.alert or NO_ALERT
        host = alert.host
        keys = self._keys(host.id, host.name, host.ip, alert.source.ip, alert.destination.ip)
        return Questions(assets=keys, history=host_history(alert) + rule_host_history(dossier))

    def answer(self, _dossier: Dossier, asked: Questions, answers: Answers) -> Answer:
        """The asset that the first answering key names."""
        prevalence = answers.prevalence(asked.history)
        for key in asked.assets:
            asset = answers.assets.get(key)
            if asset is not None and _is_meant(key, asset, asked.assets):
                return Fact(
                    context_type=ContextType.ASSET,
                    data=AssetContext(asset=asset, matched_by=key[0], prevalence=prevalence),
                    source="inventory",
                    confidence=CONFIDENCE[key[0]],
                ), ()
        return Fact(
            context_type=ContextType.ASSET,
            data=AssetContext(prevalence=prevalence),
            source="inventory",
            confidence=0.0,
        ), _gap(asked.assets, answers)

    def _find_keys(
        self,
        host_id: str | None,
        host_name: str | None,
        host_ip: str | None,
        source_ip: str | None,
        destination_ip: str | None,
    ) -> tuple[EntityKey, ...]:
        """Ids before names before addresses; without a host, the nearest internal end."""
        keys: dict[EntityKey, None] = {}
        if identity := clean(host_id):
            keys[EntityKey("asset_id", identity)] = None
        for name in (lowered(host_name), lowered(host_id)):
            if address := address_text(name):
                keys[EntityKey("ip", address)] = None
            elif name:
                full = name.rstrip(".")
                keys[EntityKey("hostname", full)] = None
                short = full.partition(".")[0]
                if short:
                    keys[EntityKey("hostname", short)] = None
        for ip in (host_ip, *self._own_ends(source_ip, destination_ip)):
            if address := address_text(ip):
                keys[EntityKey("ip", address)] = None
        return tuple(keys)

    def _own_ends(self, source_ip: str | None, destination_ip: str | None) -> tuple[str, ...]:
        """The internal ends; the source first, since it acts, or is told apart by being ours."""
        return tuple(ip for ip in (source_ip, destination_ip) if ip and self._book.is_internal(ip))


def _is_meant(key: EntityKey, asset: AssetRecord, keys: tuple[EntityKey, ...]) -> bool:
    """Whether a match by short host name is not one with a namesake in another domain."""
    kind, value = key
    if kind != "hostname" or "." in value or asset.hostname is None:
        return True
    recorded = lowered(asset.hostname).rstrip(".")
    if "." not in recorded:
        return True
    full_names = [name for other, name in keys if other == "hostname" and "." in name]
    return not full_names or recorded in full_names


def _gap(keys: tuple[EntityKey, ...], answers: Answers) -> tuple[Gap, ...]:
    if not keys:
        return _ABSENT
    if not answers.has_inventory:
        return _EMPTY
    named = ", ".join([f"{kind} {value}" for kind, value in keys[:4]])
    return (Gap(step=STEP, subject="asset", reason=GapReason.NOT_FOUND, detail=named),)


_EMPTY = (
    Gap(
        step=STEP,
        subject="asset",
        reason=GapReason.NOT_CONFIGURED,
        detail="the inventory is empty; fill it with: tocsin assets import",
    ),
)
_ABSENT = (
    Gap(
        step=STEP,
        subject="asset",
        reason=GapReason.ABSENT,
        detail="the alert names no host, and no internal address",
    ),
)
