"""All local indicators in memory, in the fewest bytes that still answer at once.

Two hundred thousand indicators of one feed differ in their value only, so what a source says is
kept once as a `Report` and shared. Networks live in prefix trees, one for each IP version.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import msgspec
import pytricia

from tocsin.knowledge.canonical import registered_domain, split_url
from tocsin.model import Indicator, ObservableType, ThreatLevel, Tlp


class Report(msgspec.Struct, frozen=True, gc=False):
    """What one source says of an indicator; `expires` is in seconds of the epoch."""

    source: str
    level: ThreatLevel
    confidence: float
    tlp: Tlp
    tags: tuple[str, ...]
    expires: float


Reports = Report | tuple[Report, ...]
Match = tuple[str, Reports]


class IndicatorIndex:
    """Indicators by canonical value; filled once with `add`, then only read."""

    def __init__(self, version: int = 0) -> None:
        self.version = version
        self.size = 0
        self._v4: Any = pytricia.PyTricia(32)
        self._v6: Any = pytricia.PyTricia(128)
        self._exact: dict[ObservableType, dict[str, Reports]] = {
            kind: {} for kind in ObservableType if kind is not ObservableType.CIDR
        }
        self._ips = self._exact[ObservableType.IP]
        self._domains = self._exact[ObservableType.DOMAIN]
        self._urls = self._exact[ObservableType.URL]
        self._shared: dict[Report, Report] = {}
        self._shared_tags: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __len__(self) -> int:
        return self.size

    def add(self, indicators: Iterable[Indicator]) -> None:
        """Take in indicators whose values are canonical; unreadable networks are left out."""
        for indicator in indicators:
            report = self._report(indicator)
            if indicator.type is ObservableType.CIDR:
                self._add_network(indicator.value, report)
            else:
                table = self._exact[indicator.type]
                known = table.get(indicator.value)
                table[indicator.value] = report if known is None else _both(known, report)
                self.size += 1

    def matches(self, kind: ObservableType, value: str) -> Iterator[Match]:
        """Every indicator that holds the value, the narrowest first."""
        if kind is ObservableType.IP:
            if (reports := self._ips.get(value)) is not None:
                yield value, reports
            yield from self._networks(value)
        elif kind is ObservableType.DOMAIN:
            yield from self._names(value)
        elif kind is ObservableType.URL:
            yield from self._url(value)
        elif kind is ObservableType.CIDR:
            yield from self._networks(value)
        else:
            if (reports := self._exact[kind].get(value)) is not None:
                yield value, reports
            if kind is ObservableType.EMAIL:
                yield from self._names(value.rpartition("@")[2])

    def _report(self, indicator: Indicator) -> Report:
        expires_at = indicator.expires_at
        report = Report(
            source=indicator.source,
            level=indicator.threat_level,
            confidence=min(1.0, max(0.0, indicator.confidence)),
            tlp=indicator.tlp,
            tags=self._shared_tags.setdefault(indicator.tags, indicator.tags),
            expires=inf if expires_at is None else expires_at.timestamp(),
        )
        return self._shared.setdefault(report, report)

    def _add_network(self, prefix: str, report: Report) -> None:
        tree = self._v6 if ":" in prefix else self._v4
        try:
            known = tree[prefix] if tree.has_key(prefix) else None
            tree[prefix] = report if known is None else _both(known, report)
        except ValueError:
            return
        self.size += 1

    def _networks(self, value: str) -> Iterator[Match]:
        tree = self._v6 if ":" in value else self._v4
        try:
            prefix = tree.get_key(value)
        except ValueError:
            return
        while prefix is not None:
            yield prefix, tree[prefix]
            prefix = tree.parent(prefix)

    def _names(self, name: str) -> Iterator[Match]:
        """The name and its parents, down to the part that somebody registered."""
        domains = self._domains
        found: list[Match] = []
        rest, dot = name, "."
        while dot:
            if (reports := domains.get(rest)) is not None:
                found.append((rest, reports))
            _, dot, rest = rest.partition(".")
        if found and (limit := registered_domain(name)) is not None:
            for match in found:
                if len(match[0]) >= len(limit):
                    yield match

    def _url(self, value: str) -> Iterator[Match]:
        if (reports := self._urls.get(value)) is not None:
            yield value, reports
        parts = split_url(value)
        if parts is None:
            return
        host = parts[1]
        numeric = ":" in host or host.rpartition(".")[2].isdigit()
        yield from self.matches(ObservableType.IP if numeric else ObservableType.DOMAIN, host)

    def finish(self) -> None:
        """Let go of what only the filling needed."""
        self._shared.clear()
        self._shared_tags.clear()


def _both(known: Reports, report: Report) -> tuple[Report, ...]:
    return (*known, report) if isinstance(known, tuple) else (known, report)
