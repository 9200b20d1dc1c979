"""Addresses: registries, longest networks, countries, and a data file that cannot run code."""

import gzip
import ipaddress
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.knowledge.addresses import (
    SPECIAL_PURPOSE,
    Geography,
    NetworkNames,
    geography,
    parse_address,
    special_purpose,
)


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("10.0.0.1", "Private-Use"),
        ("172.31.255.255", "Private-Use"),
        ("172.32.0.0", None),
        ("192.0.2.7", "Documentation (TEST-NET-1)"),
        ("100.64.0.1", "Shared Address Space"),
        ("127.9.9.9", "Loopback"),
        ("169.254.169.254", "Link Local"),
        ("239.1.1.1", "Multicast"),
        ("255.255.255.255", "Limited Broadcast"),
        ("240.0.0.1", "Reserved"),
        ("::1", "Loopback Address"),
        ("fe80::1%eth0", "Link-Local Unicast"),
        ("fd00::1", "Unique-Local"),
        ("2001:db8::1", "Documentation"),
        ("2001:0:1::", "TEREDO"),
        ("::ffff:10.1.2.3", "Private-Use"),
        ("8.8.8.8", None),
    ],
)
def test_the_registry_names_what_an_address_is_for(text: str, purpose: str | None) -> None:
    address = parse_address(text)
    assert address is not None
    assert special_purpose(address) == purpose


def test_every_network_of_the_registry_is_written_without_host_bits() -> None:
    assert [str(ipaddress.ip_network(cidr)) for cidr in SPECIAL_PURPOSE] == list(SPECIAL_PURPOSE)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_an_address(text: str) -> None:
    parse_address(text)


@settings(deadline=None)
@given(st.ip_addresses())
def test_an_address_survives_being_written_and_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = address.ipv4_mapped if address.version == 6 else None
    assert parse_address(str(address)) == (mapped or address)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), max_size=20),
    st.ip_addresses(v=4),
)
def test_the_longest_network_names_an_address(
    pairs: list[tuple[ipaddress.IPv4Address, int]], address: ipaddress.IPv4Address
) -> None:
    networks = [ipaddress.ip_network(f"{ip}/{length}", strict=False) for ip, length in pairs]
    holding = [network for network in networks if address in network]
    longest = str(max(holding, key=lambda network: network.prefixlen)) if holding else None
    names = NetworkNames((network, str(network)) for network in networks)
    assert names.name(address) == longest


@pytest.mark.parametrize(
    ("text", "country", "organisation"),
    [
        ("8.8.8.8", "US", "GOOGLE"),
        ("2001:4860:4860::8888", "US", "GOOGLE"),
        ("1.1.1.1", "AU", "CLOUDFLARENET"),
        ("10.0.0.1", None, None),
        ("::", None, None),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
    ],
)
def test_country_and_organisation_come_from_the_installed_data(
    text: str, country: str | None, organisation: str | None
) -> None:
    atlas, address = geography(), parse_address(text)
    assert atlas is not None
    assert address is not None
    assert atlas.place(address) == (country, organisation)


@settings(deadline=None)
@given(st.ip_addresses())
def test_every_address_can_be_looked_up(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    atlas = geography()
    assert atlas is not None
    country, _ = atlas.place(address)
    assert country is None or (len(country) == 2 and country.isalpha())


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path, ("/nowhere",))


@pytest.mark.parametrize(
    "content", [_Evil(), ["not four items"], (121, {}, 0, []), (120, {}, 0, [[]])]
)
def test_a_data_file_of_another_kind_is_refused_and_runs_nothing(
    tmp_path: Path, content: object
) -> None:
    path = tmp_path / "geo.dat.gz"
    path.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(ValueError, match=r"geo\.dat\.gz"):
        Geography(path)


def test_a_truncated_data_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "geo.dat.gz"
    path.write_bytes(gzip.compress(pickle.dumps((120, {}, 0, [[]] * 10)))[:-12])
    with pytest.raises((ValueError, OSError)):
        Geography(path)
