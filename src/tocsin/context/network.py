"""The network collector: where both ends of an alert stand, and which way it went."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple

from tocsin.context.activity import RecentActivity
from tocsin.context.keys import NO_ALERT, STEP, Answer, Answers, Questions, network_history
from tocsin.errors import SettingsError
from tocsin.knowledge.addresses import (
    LOCAL_PURPOSES,
    NOWHERE,
    ROUTED_PURPOSES,
    Network,
    NetworkNames,
    geography,
    parse_address,
    special_purpose,
)
from tocsin.model import (
    AddressContext,
    Alert,
    ContextType,
    Dossier,
    Fact,
    Gap,
    GapReason,
    NetworkContext,
    NetworkDirection,
)
from tocsin.settings import Settings

CACHED_ADDRESSES = 65_536
CONFIDENCE_BY_ENDS = (0.0, 0.6, 1.0)


class Described(NamedTuple):
    """An address and what could not be found out about it."""

    address: AddressContext | None
    gaps: tuple[Gap, ...] = ()


class AddressBook:
    """What is known of any IP address: own networks, zones, registries, country, organisation.

    Addresses that never leave the local wire (loopback, link-local, multicast …) count as
    internal, whatever the settings say.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the networks of the settings.

        Raises:
            SettingsError: a network is not written as a CIDR.
        """
        self._internal = NetworkNames(
            (_network("TOCSIN_INTERNAL_NETWORKS", cidr), "internal")
            for cidr in settings.internal_networks
        )
        self._zones = NetworkNames(
            (_network("TOCSIN_ZONES", cidr), name) for cidr, name in settings.zones.items()
        )
        self.describe: Callable[[str], Described] = lru_cache(CACHED_ADDRESSES)(self._describe)

    def is_internal(self, text: str | None) -> bool:
        """Whether the address belongs to the organisation's own networks."""
        if not text:
            return False
        address = self.describe(text).address
        return address is not None and address.internal

    def _describe(self, text: str) -> Described:
        address = parse_address(text)
        if address is None:
            return Described(
                None, (_gap("network", GapReason.UNPARSABLE, f"not an IP: {text!r:.80}"),)
            )
        purpose = special_purpose(address)
        internal = purpose in LOCAL_PURPOSES or self._internal.name(address) is not None
        place = NOWHERE
        gaps: tuple[Gap, ...] = ()
        if not internal and (purpose is None or purpose in ROUTED_PURPOSES):
            atlas = geography()
            if atlas is None:
                gaps = (_gap("geography", GapReason.NOT_CONFIGURED, "no country data installed"),)
            else:
                place = atlas.place(address)
                if place.country is None:
                    gaps = (_gap("geography", GapReason.NOT_FOUND, str(address)),)
        return Described(
            AddressContext(
                ip=str(address),
                internal=internal,
                special_purpose=purpose,
                zone=self._zones.name(address),
                country=place.country,
                organisation=place.organisation,
            ),
            gaps,
        )


class NetworkCollector:
    """Fills the context of type `network`."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self._recent = RecentActivity()

    def ask(self, dossier: Dossier) -> Questions:
        """How often the rule and the addresses were seen."""
        return Questions(history=network_history(dossier))

    def answer(self, dossier: Dossier, asked: Questions, answers: Answers) -> Answer:
        """Both addresses, the direction, the counts, and what came shortly before."""
        alert = dossier.alert or NO_ALERT
        source, gaps = self._end(alert.source.ip)
        destination, more = self._end(alert.destination.ip)
        gaps += more
        ends = (source is not None) + (destination is not None)
        if not ends and not gaps:
            gaps = _NO_ADDRESS
        data = NetworkContext(
            direction=self._direction(alert, source, destination),
            source=source,
            destination=destination,
            prevalence=answers.prevalence(asked.history),
            activity=self._recent.observe(dossier),
        )
        return Fact(
            context_type=ContextType.NETWORK,
            data=data,
            source=_SAID_BY[any(end is not None and end.country for end in (source, destination))],
            confidence=CONFIDENCE_BY_ENDS[ends],
        ), gaps

    def _end(self, text: str | None) -> Described:
        return self._book.describe(text) if text else _NOBODY

    def _direction(
        self, alert: Alert, source: AddressContext | None, destination: AddressContext | None
    ) -> NetworkDirection:
        """Which way it went; a missing end is the machine that reported, if that is ours."""
        inside_from = self._is_ours(alert) if source is None else source.internal
        inside_to = self._is_ours(alert) if destination is None else destination.internal
        if source is None and destination is None:
            return NetworkDirection.UNKNOWN
        if inside_from is None or inside_to is None:
            return NetworkDirection.UNKNOWN
        return _DIRECTIONS[inside_from, inside_to]

    def _is_ours(self, alert: Alert) -> bool | None:
        host = alert.host
        if host.ip:
            return self._book.is_internal(host.ip) or None
        return True if host.name or host.id else None


_NOBODY = Described(None)
_SAID_BY = {False: "settings", True: "settings+geoip2fast"}
_DIRECTIONS = {
    (True, True): NetworkDirection.INTERNAL,
    (True, False): NetworkDirection.OUTBOUND,
    (False, True): NetworkDirection.INBOUND,
    (False, False): NetworkDirection.EXTERNAL,
}


def _gap(subject: str, reason: GapReason, detail: str) -> Gap:
    return Gap(step=STEP, subject=subject, reason=reason, detail=detail)


_NO_ADDRESS = (_gap("network", GapReason.ABSENT, "the alert names no IP address"),)


def _network(setting: str, cidr: str) -> Network:
    try:
        return ip_network(cidr.strip(), strict=False)
    except ValueError as error:
        raise SettingsError(f"{setting}: {cidr!r} is not a network: {error}") from error
