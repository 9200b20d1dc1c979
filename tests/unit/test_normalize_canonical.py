"""The one spelling of indicators, that alerts and intelligence share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.knowledge.canonical import canonical, classify, registered_domain, split_url
from tocsin.model import ObservableType

IP, DOMAIN, URL = ObservableType.IP, ObservableType.DOMAIN, ObservableType.URL
HASH, EMAIL, CIDR = ObservableType.HASH, ObservableType.EMAIL, ObservableType.CIDR
MD5 = "900150983cd24fb0d6963f7d28e17f72"

CLASSIFIED = {
    "192.0.2.1": (IP, "192.0.2.1"),
    " 192[.]0[.]2[.]1 ": (IP, "192.0.2.1"),
    "2001:0DB8:0::1": (IP, "2001:db8::1"),
    "[2001:db8::1]": (IP, "2001:db8::1"),
    "fe80::1%eth0": (IP, "fe80::1"),
    "::ffff:192.0.2.1": (IP, "192.0.2.1"),
    "192.0.2.1/32": (IP, "192.0.2.1"),
    "192.0.2.77/24": (CIDR, "192.0.2.0/24"),
    "2001:db8::1/32": (CIDR, "2001:db8::/32"),
    "Evil(dot)Example[.]COM.": (DOMAIN, "evil.example.com"),
    "bücher.example.de": (DOMAIN, "xn--bcher-kva.example.de"),
    "_dmarc.example.org": (DOMAIN, "_dmarc.example.org"),
    "hxxps://Example[.]com:443/A?b#c": (URL, "https://example.com/A?b"),
    "http://user:secret@example.com": (URL, "http://example.com/"),
    "http://3221225985/x": (URL, "http://192.0.2.1/x"),
    "http://0xc0.0.2.1/": (URL, "http://192.0.2.1/"),
    "http://[2001:DB8::1]:8080/": (URL, "http://[2001:db8::1]:8080/"),
    "HTTP://EXAMPLE.COM\\a b": (URL, "http://example.com/a%20b"),
    "Name <Ann[at]Example.org>": (EMAIL, "ann@example.org"),
    "mailto:ann@example.org": (EMAIL, "ann@example.org"),
    MD5.upper(): (HASH, MD5),
    "a" * 128: (HASH, "a" * 128),
}
NOTHING = (
    *("", "-", "0.0.0.0", "::", "192.0.2.010", "192.0.2.256", "192.0.2", "192.0.2.1.5"),
    *("localhost", "setup.exe", "a..example.com", "-a.example.com", "http://", "ftp://x"),
    *("0" * 32, "a" * 33, "g" * 32, "@example.com", "a b@example.com", "\ud800.com", "x" * 10_000),
    *("http://example.com:99999/", "http://[::1", "192.0.2.1/33", "１９２.0.2.1"),
)


@pytest.mark.parametrize(("text", "expected"), CLASSIFIED.items())
def test_a_text_is_classified_and_spelled_one_way(
    text: str, expected: tuple[ObservableType, str]
) -> None:
    assert classify(text) == expected


@pytest.mark.parametrize(("kind", "value"), CLASSIFIED.values())
def test_a_canonical_value_is_its_own_canonical_form(kind: ObservableType, value: str) -> None:
    assert canonical(kind, value) == value
    assert classify(value) == (kind, value)


@pytest.mark.parametrize("text", NOTHING, ids=lambda text: repr(text[:20]))
def test_what_is_no_indicator_is_none(text: str) -> None:
    assert classify(text) is None


def test_the_registered_domain_follows_the_public_suffix_list() -> None:
    assert registered_domain("a.b.example.co.uk") == "example.co.uk"
    assert registered_domain("WWW.Example.com.") == "example.com"
    assert registered_domain("co.uk") is None
    assert registered_domain("not a domain") is None


def test_the_parts_of_a_url_leave_out_the_default_port_and_the_fragment() -> None:
    assert split_url("https://example.com:443/a#b") == ("https", "example.com", "", "/a")
    assert split_url("https://example.com:8443") == ("https", "example.com", ":8443", "/")
    assert split_url("/only/a/path") is None


@given(st.text(max_size=200), st.sampled_from(list(ObservableType)))
def test_no_text_makes_it_raise_and_canonical_is_stable(text: str, kind: ObservableType) -> None:
    classify(text)
    registered_domain(text)
    value = canonical(kind, text)
    assert value is None or canonical(kind, value) == value


@given(st.ip_addresses())
def test_every_address_has_exactly_one_form(address: object) -> None:
    value = canonical(IP, str(address))
    if str(address) not in {"0.0.0.0", "::", "::ffff:0:0", "::ffff:0.0.0.0"}:  # no address at all
        assert value is not None
        assert canonical(IP, value.upper()) == value
