"""The index, the merging of reports, the warning lists and the step that uses them."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isclose, prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import SettingsError, StoreUnavailable
from tocsin.intel import build
from tocsin.intel.index import IndicatorIndex, Report
from tocsin.intel.lookup import REMEMBERED, Lookup, OwnNetworks, merge
from tocsin.intel.refresh import FreshLookup
from tocsin.intel.step import Intelligence
from tocsin.knowledge import warninglists
from tocsin.model import (
    Alert,
    Dossier,
    Gap,
    GapReason,
    Indicator,
    Observable,
    ObservableRole,
    ObservableType,
    Sighting,
    ThreatLevel,
    Tlp,
)
from tocsin.ports import IndicatorSource, Resources
from tocsin.settings import load

IP, CIDR, DOMAIN = ObservableType.IP, ObservableType.CIDR, ObservableType.DOMAIN
URL, HASH, EMAIL = ObservableType.URL, ObservableType.HASH, ObservableType.EMAIL
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SHA256 = "a" * 64


@dataclass
class Feed:
    """An indicator source in memory whose content, version and availability a test sets."""

    indicators: list[Indicator] = field(default_factory=list)
    number: int = 1
    down: bool = False
    scans: int = 0

    async def version(self) -> int:
        if self.down:
            raise StoreUnavailable("down")
        return self.number

    async def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        self.scans += 1
        yield [i for i in self.indicators if i.expires_at is None or i.expires_at > now]


def known(kind: ObservableType, value: str, source: str = "feed", **more: Any) -> Indicator:
    return Indicator(type=kind, value=value, source=source, **more)


def seen(kind: ObservableType, value: str) -> Observable:
    return Observable(type=kind, value=value, role=ObservableRole.SOURCE)


def lookup(*indicators: Indicator, internal: Sequence[str] = ()) -> Lookup:
    index = IndicatorIndex(1)
    index.add(indicators)
    index.finish()
    return Lookup(index, warninglists.load(), OwnNetworks(internal))


def ask(found: Lookup, kind: ObservableType, value: str, now: datetime = NOW) -> Sighting | None:
    return found.sighting(seen(kind, value), now.timestamp())


def dossier(*observables: Observable, gaps: tuple[Gap, ...] = ()) -> Dossier:
    alert = Alert(title="t", observables=observables)
    return Dossier(alert_id="a", received_at=NOW, payload="{}", alert=alert, gaps=gaps)


def step(feed: Feed, clock: Callable[[], float] = lambda: 0.0, refresh: float = 5.0) -> Any:
    fresh = FreshLookup(feed, OwnNetworks(("10.0.0.0/8",)), refresh, clock=clock)
    return Intelligence(fresh, clock=NOW.timestamp)


def test_an_unknown_indicator_is_a_row_of_level_unknown() -> None:
    found = ask(lookup(), IP, "192.0.2.1")
    assert found == Sighting(type=IP, value="192.0.2.1", role=ObservableRole.SOURCE)
    assert found.threat_level is ThreatLevel.UNKNOWN


@pytest.mark.parametrize(
    ("indicator", "value"),
    [
        (known(IP, "192.0.2.1"), "192.0.2.1"),
        (known(IP, "2001:db8::1"), "2001:db8::1"),
        (known(DOMAIN, "evil.example.com"), "evil.example.com"),
        (known(URL, "http://example.org/x"), "http://example.org/x"),
        (known(HASH, SHA256), SHA256),
        (known(EMAIL, "a@example.net"), "a@example.net"),
        (known(CIDR, "192.0.2.0/24"), "192.0.2.0/24"),
    ],
)
def test_every_type_matches_its_own_value(indicator: Indicator, value: str) -> None:
    found = ask(lookup(indicator), indicator.type, value)
    assert found is not None
    assert (found.threat_level, found.matched) == (ThreatLevel.HIGH, value)
    assert (found.sources, found.confidence, found.tlp) == (("feed",), 0.7, Tlp.AMBER)


def test_an_address_matches_every_network_that_contains_it() -> None:
    found = ask(
        lookup(
            known(CIDR, "198.51.100.0/24", "narrow", threat_level=ThreatLevel.LOW),
            known(CIDR, "198.51.0.0/16", "wide", threat_level=ThreatLevel.CRITICAL),
            known(CIDR, "2001:db8::/32", "six"),
        ),
        IP,
        "198.51.100.7",
    )
    assert found is not None
    assert found.sources == ("narrow", "wide")
    assert (found.threat_level, found.matched) == (ThreatLevel.CRITICAL, "198.51.0.0/16")


def test_networks_of_one_ip_version_never_match_addresses_of_the_other() -> None:
    both = lookup(known(CIDR, "2001:db8::/32"), known(CIDR, "192.0.2.0/24"))
    sixes = ask(both, IP, "2001:db8:7::1")
    assert sixes is not None
    assert sixes.matched == "2001:db8::/32"
    # 32.1.13.184 has the bits of 2001:db8::, and c000:0200:: those of 192.0.2.0.
    for value in ("32.1.13.184", "c000:200::1"):
        other = ask(both, IP, value)
        assert other is not None
        assert other.matched is None


def test_a_domain_matches_its_parents_down_to_the_registered_one() -> None:
    found = lookup(known(DOMAIN, "example.co.uk"), known(DOMAIN, "c2.example.com"))
    for value, matched in (
        ("a.b.example.co.uk", "example.co.uk"),
        ("x.c2.example.com", "c2.example.com"),
        ("example.com", None),
        ("notexample.co.uk", None),
        ("evil-c2.example.com", None),
    ):
        sighting = ask(found, DOMAIN, value)
        assert sighting is not None
        assert sighting.matched == matched


@pytest.mark.parametrize("suffix", ["uk", "co.uk", "com", "github.io"])
def test_an_indicator_for_a_public_suffix_never_matches(suffix: str) -> None:
    found = lookup(known(DOMAIN, suffix))
    for value in (f"example.{suffix}", f"a.example.{suffix}", suffix):
        sighting = ask(found, DOMAIN, value)
        assert sighting is not None
        assert sighting.matched is None


def test_a_url_matches_by_its_host_and_an_email_by_its_domain() -> None:
    found = lookup(
        known(DOMAIN, "evil.example.com"), known(IP, "192.0.2.1"), known(CIDR, "203.0.113.0/24")
    )
    for kind, value, matched in (
        (URL, "https://www.evil.example.com:8443/a?b", "evil.example.com"),
        (URL, "http://192.0.2.1/x", "192.0.2.1"),
        (URL, "http://203.0.113.9/x", "203.0.113.0/24"),
        (EMAIL, "boss@evil.example.com", "evil.example.com"),
    ):
        sighting = ask(found, kind, value)
        assert sighting is not None
        assert sighting.matched == matched


def test_several_sources_are_merged() -> None:
    found = ask(
        lookup(
            known(IP, "192.0.2.1", "b", confidence=0.5, tags=("c2", "kit"), tlp=Tlp.GREEN),
            known(
                IP,
                "192.0.2.1",
                "a",
                confidence=0.6,
                tags=("kit", "apt"),
                tlp=Tlp.RED,
                threat_level=ThreatLevel.CRITICAL,
            ),
            known(CIDR, "192.0.2.0/24", "a", confidence=0.1, threat_level=ThreatLevel.LOW),
        ),
        IP,
        "192.0.2.1",
    )
    assert found is not None
    assert (found.threat_level, found.matched) == (ThreatLevel.CRITICAL, "192.0.2.1")
    assert found.confidence == 0.8
    assert found.sources == ("a", "b")
    assert found.tags == ("c2", "kit", "apt")
    assert found.tlp is Tlp.RED


reports = st.builds(
    Report,
    source=st.sampled_from("abc"),
    level=st.sampled_from(ThreatLevel),
    confidence=st.floats(0, 1),
    tlp=st.sampled_from(Tlp),
    tags=st.tuples(st.sampled_from(("x", "y"))),
    expires=st.sampled_from((1.0, 3.0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(reports, min_size=1, max_size=6))
def test_merging_never_loses_the_highest_level_nor_counts_a_source_twice(
    given_reports: list[Report],
) -> None:
    merged = merge([("v", tuple(given_reports))], now=2.0)
    live = [report for report in given_reports if report.expires > 2.0]
    if merged is None:
        assert not live
        return
    order = list(ThreatLevel)[::-1]
    ranks = {level: order.index(level) - (level is ThreatLevel.UNKNOWN) * 9 for level in order}
    assert ranks[merged.level] == max(ranks[report.level] for report in live)
    best = {r.source: max(s.confidence for s in live if s.source == r.source) for r in live}
    assert isclose(merged.confidence, 1 - prod(1 - c for c in best.values()), abs_tol=1e-4)
    assert merged.sources == tuple(sorted(best))


def test_an_indicator_stops_matching_when_it_expires_even_if_remembered() -> None:
    found = lookup(known(IP, "192.0.2.1", expires_at=NOW + timedelta(seconds=10)))
    before = ask(found, IP, "192.0.2.1")
    again = ask(found, IP, "192.0.2.1", NOW + timedelta(seconds=9))
    after = ask(found, IP, "192.0.2.1", NOW + timedelta(seconds=10))
    assert before is not None
    assert before is again
    assert before.matched == "192.0.2.1"
    assert after is not None
    assert (after.matched, after.threat_level) == (None, ThreatLevel.UNKNOWN)


@pytest.mark.parametrize(
    "value",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1"),
        *("224.0.0.251", "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1"),
        "203.0.113.5",
    ],
)
def test_own_addresses_are_reported_only_when_an_indicator_matches(value: str) -> None:
    own = ("203.0.113.0/24",)
    assert ask(lookup(internal=own), IP, value) is None
    found = ask(lookup(known(IP, value), internal=own), IP, value)
    assert found is not None
    assert found.matched == value


@pytest.mark.parametrize("value", ["192.0.2.1", "198.51.100.1", "2001:db8::1", "172.32.0.1"])
def test_other_addresses_are_always_asked_about(value: str) -> None:
    assert ask(lookup(internal=("10.0.0.0/8",)), IP, value) is not None


def test_an_internal_network_that_is_none_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="TOCSIN_INTERNAL_NETWORKS"):
        OwnNetworks(("10.0.0.0/8", "office"))


def test_memory_of_answers_is_bounded() -> None:
    found = lookup()
    for number in range(3 * REMEMBERED):
        ask(found, IP, f"192.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    ask(found, URL, "http://example.org/" + "x" * 5000)
    assert len(found._recent) + len(found._older) <= 2 * REMEMBERED
    assert all(len(observable.value) < 1000 for observable in found._recent)


@pytest.mark.parametrize("kind", list(ObservableType))
@pytest.mark.parametrize(
    "value", ["", "{}%s\n", "\x00", "\ud800", "a" * 9000, ".", "::", "http://", "@", "." * 300]
)
def test_values_that_are_not_canonical_are_unknown_and_never_raise(
    kind: ObservableType, value: str
) -> None:
    found = ask(lookup(known(CIDR, "192.0.2.0/24"), known(CIDR, "junk")), kind, value)
    assert found is None or found.matched is None


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (IP, "8.8.8.8", "Public DNS resolver"),
        (IP, "104.16.1.1", "Cloudflare network"),
        (IP, "2606:4700::1", "Cloudflare network"),
        (DOMAIN, "update.microsoft.com", "Microsoft domain"),
        (DOMAIN, "en.wikipedia.org", "Tranco top 10,000"),
        (URL, "https://en.wikipedia.org/wiki/Bell", "Tranco top 10,000"),
        (HASH, "d41d8cd98f00b204e9800998ecf8427e", "Empty file"),
        (HASH, "44d88612fea8a8f36de82e1278abb02f", "EICAR test file"),
    ],
)
def test_warning_lists_say_what_a_value_is_without_calling_it_clean(
    kind: ObservableType, value: str, name: str
) -> None:
    found = ask(lookup(), kind, value)
    assert found is not None
    assert name in found.benign_lists
    assert found.threat_level is ThreatLevel.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IP, "192.0.2.1"),
        (DOMAIN, "example.com"),
        (DOMAIN, "shop.example.org"),
        (DOMAIN, "somebody.github.io"),
        (DOMAIN, "somebody.duckdns.org"),
        (DOMAIN, "somebody.sharepoint.com"),
        (URL, "https://docs.google.com/forms/x"),
        (URL, "https://pastebin.com/raw/x"),
        (URL, "https://bit.ly/x"),
        (DOMAIN, "google.com.evil.example"),
        (EMAIL, "ceo@microsoft.com"),
        (HASH, SHA256),
        (HASH, "d41d8cd98f00b204e9800998ecf8427f"),
    ],
)
def test_what_strangers_can_write_under_a_famous_name_is_on_no_list(
    kind: ObservableType, value: str
) -> None:
    found = ask(lookup(), kind, value)
    assert found is not None
    assert found.benign_lists == ()


def test_lists_that_strangers_share_are_marked() -> None:
    assert "Cloudflare network" in warninglists.SHARED
    assert "Microsoft domain" not in warninglists.SHARED


def test_all_named_lists_are_in_the_package() -> None:
    lists = warninglists.load()
    entries = (*warninglists.NETWORK_LISTS, *warninglists.NAME_LISTS, *warninglists.HASH_LISTS)
    folders = [*(entry.folder for entry in entries), *warninglists.HOSTING_LISTS]
    missing = [name for name in (*folders, warninglists.DYNAMIC_LIST) if not lists._bytes(name)]
    assert not missing
    assert len(lists) > 200_000


def test_without_the_package_there_are_no_lists_and_no_error(tmp_path: Any) -> None:
    lists = warninglists.WarningLists(tmp_path)
    assert lists.names(DOMAIN, "update.microsoft.com") == ()
    assert lists.names(IP, "8.8.8.8") == ("Public DNS resolver",)


async def test_the_step_fills_one_sighting_for_each_observable_in_order() -> None:
    work = build(
        Resources(
            settings=load(),
            inventory=None,  # type: ignore[arg-type] # the step asks indicators only
            history=None,  # type: ignore[arg-type]
            indicators=Feed([known(IP, "192.0.2.1")]),
            incidents=None,  # type: ignore[arg-type]
        )
    )
    batch = [
        dossier(seen(IP, "192.0.2.1"), seen(HASH, SHA256), seen(IP, "10.0.0.1")),
        dossier(seen(DOMAIN, "example.com")),
    ]
    first, second = await work(batch)
    assert [(s.value, s.threat_level.value) for s in first.intel] == [
        ("192.0.2.1", "high"),
        (SHA256, "unknown"),
    ]
    assert [s.value for s in second.intel] == ["example.com"]
    assert first.gaps == second.gaps == ()


async def test_an_empty_store_is_a_gap_and_not_a_clean_answer() -> None:
    (found,) = await step(Feed())([dossier(seen(IP, "192.0.2.1"))])
    assert [(s.value, s.threat_level.value) for s in found.intel] == [("192.0.2.1", "unknown")]
    assert [(g.step, g.subject, g.reason) for g in found.gaps] == [
        ("intel", "threat_intel", GapReason.NOT_CONFIGURED)
    ]


async def test_an_alert_without_indicators_is_a_gap() -> None:
    bare = Dossier(alert_id="b", received_at=NOW, payload="")
    for item in (bare, dossier(), dossier(seen(IP, "10.0.0.1"))):
        (found,) = await step(Feed([known(IP, "192.0.2.1")]))([item])
        assert found.intel == ()
        assert [gap.reason for gap in found.gaps] == [GapReason.ABSENT]


async def test_a_second_delivery_gives_the_same_result_and_keeps_the_gaps_of_others() -> None:
    other = Gap(step="context", subject="asset", reason=GapReason.NOT_FOUND)
    work = step(Feed())
    once = await work([dossier(seen(IP, "192.0.2.1"), gaps=(other,))])
    twice = await work(once)
    assert once == twice
    assert [gap.step for gap in twice[0].gaps] == ["context", "intel"]


async def test_changed_indicators_are_found_after_the_refresh_interval() -> None:
    clock = [100.0]
    feed = Feed([known(IP, "192.0.2.1")])
    work = step(feed, clock=lambda: clock[0])
    batch = [dossier(seen(IP, "192.0.2.2"))]
    await work(batch)
    feed.indicators.append(known(IP, "192.0.2.2"))
    feed.number += 1
    clock[0] += 4.9
    assert (await work(batch))[0].intel[0].matched is None
    clock[0] += 0.2
    assert (await work(batch))[0].intel[0].matched == "192.0.2.2"


async def test_an_unchanged_version_is_not_read_again() -> None:
    clock = [100.0]
    feed = Feed([known(IP, "192.0.2.1")])
    work = step(feed, clock=lambda: clock[0])
    for _ in range(3):
        await work([])
        clock[0] += 60
    assert feed.scans == 1


async def test_while_the_store_is_down_the_old_index_answers() -> None:
    clock = [100.0]
    feed = Feed([known(IP, "192.0.2.1")])
    work = step(feed, clock=lambda: clock[0])
    batch = [dossier(seen(IP, "192.0.2.1"))]
    await work(batch)
    feed.down = True
    clock[0] += 60
    assert (await work(batch))[0].intel[0].matched == "192.0.2.1"


async def test_without_any_index_a_store_that_is_down_stops_the_batch() -> None:
    feed = Feed(down=True)
    work = step(feed)
    with pytest.raises(StoreUnavailable):
        await work([dossier(seen(IP, "192.0.2.1"))])
    feed.down = False
    assert len(await work([dossier(seen(IP, "192.0.2.1"))])) == 1


def test_the_feed_of_these_tests_is_an_indicator_source() -> None:
    source: IndicatorSource = Feed()
    assert source is not None


def test_a_large_feed_shares_what_its_rows_have_in_common() -> None:
    index = IndicatorIndex()
    index.add(
        known(IP, f"198.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", tags=("botnet",))
        for n in range(5000)
    )
    held = {id(found) for n in range(200) for _, found in index.matches(IP, f"198.0.0.{n}")}
    assert len(index) == 5000
    assert len(held) == 1
