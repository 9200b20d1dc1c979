"""What intelligence says of one observable: every matching report and list, merged into a sighting.

Alerts repeat themselves, so answers are remembered. A remembered answer ends when the first of its
reports expires, and all of them end with the index that gave them.
"""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

import pytricia

from tocsin.errors import SettingsError
from tocsin.intel.index import IndicatorIndex, Match
from tocsin.knowledge.warninglists import WarningLists
from tocsin.model import Observable, ObservableType, Sighting, ThreatLevel, Tlp

REMEMBERED = 8192
"""Answers of one generation; two generations are kept."""

MAX_REMEMBERED_LENGTH = 512
MAX_TAGS = 50

UNROUTED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
"""Addresses that mean something else in every network, so that no feed can know them."""

_RANK = {
    ThreatLevel.UNKNOWN: 0,
    ThreatLevel.LOW: 1,
    ThreatLevel.MEDIUM: 2,
    ThreatLevel.HIGH: 3,
    ThreatLevel.CRITICAL: 4,
}
_STRICTNESS = {tlp: rank for rank, tlp in enumerate(Tlp)}

Answer = tuple[Sighting | None, float]


class OwnNetworks:
    """The networks whose addresses are not indicators: unrouted ones and the organisation's."""

    def __init__(self, internal: Iterable[str]) -> None:
        self._v4: Any = pytricia.PyTricia(32)
        self._v6: Any = pytricia.PyTricia(128)
        for prefix in (*UNROUTED, *internal):
            try:
                (self._v6 if ":" in prefix else self._v4)[prefix] = True
            except ValueError as error:
                raise SettingsError(
                    f"TOCSIN_INTERNAL_NETWORKS: {prefix!r} is not a network like 192.0.2.0/24"
                ) from error

    def __contains__(self, address: str) -> bool:
        try:
            return (self._v6 if ":" in address else self._v4).get(address) is not None
        except ValueError:
            return False


class Merged(NamedTuple):
    """Several reports as one; `until` is when the first of them expires."""

    level: ThreatLevel
    confidence: float
    sources: tuple[str, ...]
    matched: str
    tags: tuple[str, ...]
    tlp: Tlp
    until: float


class Lookup:
    """Answers for observables from one index, the warning lists and the settings."""

    def __init__(self, index: IndicatorIndex, lists: WarningLists, own: OwnNetworks) -> None:
        self.index = index
        self._lists = lists
        self._own = own
        self._recent: dict[Observable, Answer] = {}
        self._older: dict[Observable, Answer] = {}

    def sighting(self, observable: Observable, now: float) -> Sighting | None:
        """What is known now (epoch seconds); None for an own address that no indicator names."""
        answer = self._recent.get(observable)
        if answer is None or answer[1] <= now:
            answer = self._older.get(observable)
            if answer is None or answer[1] <= now:
                answer = self._ask(observable, now)
            self._remember(observable, answer)
        return answer[0]

    def _remember(self, observable: Observable, answer: Answer) -> None:
        if len(observable.value) > MAX_REMEMBERED_LENGTH:
            return
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, {}
        self._recent[observable] = answer

    def _ask(self, observable: Observable, now: float) -> Answer:
        kind, value = observable.type, observable.value
        merged = merge(list(self.index.matches(kind, value)), now)
        if merged is None and kind is ObservableType.IP and value in self._own:
            return None, inf
        lists = self._lists.names(kind, value)
        if merged is None:
            unknown = Sighting(type=kind, value=value, role=observable.role, benign_lists=lists)
            return unknown, inf
        known = Sighting(
            type=kind,
            value=value,
            role=observable.role,
            threat_level=merged.level,
            confidence=merged.confidence,
            sources=merged.sources,
            matched=merged.matched,
            tags=merged.tags,
            tlp=merged.tlp,
            benign_lists=lists,
        )
        return known, merged.until


def merge(matches: list[Match], now: float) -> Merged | None:
    """Merge all reports that have not expired; None when there are none.

    The highest level wins, and `matched` is the narrowest indicator that carries it. Sources are
    taken as independent: the combined confidence is 1 - ∏(1 - c), with the best report of each
    source counted once. Tags are united, and the strictest TLP holds.
    """
    live = [
        (value, report)
        for value, reports in matches
        for report in (reports if isinstance(reports, tuple) else (reports,))
        if report.expires > now
    ]
    if not live:
        return None
    matched, strongest = max(live, key=lambda item: _RANK[item[1].level])
    best: dict[str, float] = {}
    tags: dict[str, None] = {}
    for _, report in live:
        best[report.source] = max(report.confidence, best.get(report.source, 0.0))
        tags.update(dict.fromkeys(report.tags))
    doubt = 1.0
    for confidence in best.values():
        doubt *= 1.0 - confidence
    return Merged(
        level=strongest.level,
        confidence=round(1.0 - doubt, 4),
        sources=tuple(sorted(best)),
        matched=matched,
        tags=tuple(tags)[:MAX_TAGS],
        tlp=max((report.tlp for _, report in live), key=_STRICTNESS.__getitem__),
        until=min(report.expires for _, report in live),
    )
