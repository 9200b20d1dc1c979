"""Indicator files of every format become indicators, and bad rows never stop an import."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import ImportRowError, InputError
from tocsin.intel import FORMATS, parse_ttl, read_indicators
from tocsin.intel.formats import words
from tocsin.intel.formats.detect import detect
from tocsin.model import Indicator, ObservableType, ThreatLevel, Tlp

REAL = Path(__file__).parents[3] / "shared" / "data" / "intel"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
IP, CIDR, DOMAIN = ObservableType.IP, ObservableType.CIDR, ObservableType.DOMAIN
URL, HASH, EMAIL = ObservableType.URL, ObservableType.HASH, ObservableType.EMAIL
MD5, SHA256 = "5" * 32, "a" * 64


def read(content: str | bytes, **options: Any) -> tuple[list[Indicator], list[ImportRowError]]:
    """The good and the bad rows of a file with this content."""
    raw = content.encode() if isinstance(content, str) else content
    options.setdefault("source", "feed")
    rows = list(read_indicators(io.BytesIO(raw), now=NOW, **options))
    return (
        [row for row in rows if isinstance(row, Indicator)],
        [row for row in rows if isinstance(row, ImportRowError)],
    )


def values(found: Iterable[Indicator]) -> list[tuple[ObservableType, str]]:
    return [(item.type, item.value) for item in found]


def test_a_plain_list_gives_each_value_its_type_and_canonical_form() -> None:
    good, bad = read(
        "# my list\n192.0.2.1\n198[.]51[.]100[.]7 ; seen in March\n203.0.113.0/24 # range\n"
        "2001:DB8::0001\nEvil.Example.COM.\nhxxps://evil[.]example.org/a;b,c\n"
        f"{SHA256.upper()}\nPhish@Example.net\n*.wild.example.net\n||ads.example.net^\n\n! end\n"
    )
    assert not bad
    assert values(good) == [
        (IP, "192.0.2.1"),
        (IP, "198.51.100.7"),
        (CIDR, "203.0.113.0/24"),
        (IP, "2001:db8::1"),
        (DOMAIN, "evil.example.com"),
        (URL, "https://evil.example.org/a;b,c"),
        (HASH, SHA256),
        (EMAIL, "phish@example.net"),
        (DOMAIN, "wild.example.net"),
        (DOMAIN, "ads.example.net"),
    ]
    assert good[1].description == "seen in March"


def test_rows_without_their_own_words_take_those_of_the_import() -> None:
    (item,), _ = read(
        "192.0.2.1",
        source=" feed ",
        level=ThreatLevel.LOW,
        confidence=0.25,
        tlp=Tlp.RED,
        tags=("scanner",),
        ttl=timedelta(days=2),
    )
    assert item.source == "feed"
    assert (item.threat_level, item.confidence, item.tlp) == (ThreatLevel.LOW, 0.25, Tlp.RED)
    assert item.tags == ("scanner",)
    assert item.expires_at == NOW + timedelta(days=2)


def test_a_bad_row_is_reported_with_its_number_and_the_next_one_is_read() -> None:
    good, bad = read("192.0.2.1\nsetup.exe\n{}%s\n999.1.1.1\n192.0.2.2\n")
    assert len(good) == 2
    assert [error.row for error in bad] == [2, 3, 4]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("co.uk", "public suffix"),
        ("0.0.0.0/0", "wider"),
        ("10.0.0.0/7", "wider"),
        ("2000::/3", "wider"),
        ("127.0.0.1", "no single machine"),
        ("224.0.0.1", "no single machine"),
        ("http://example.org/cut…", "cut short"),
        ("http://example.org/" + "a" * 2100, "longer"),
    ],
)
def test_an_indicator_that_would_match_too_much_or_nothing_is_refused(
    value: str, reason: str
) -> None:
    good, bad = read(f"{value}\n", format="plain")
    assert not good
    assert reason in str(bad[0])


def test_a_hosts_file_gives_its_names_and_not_its_sink() -> None:
    good, bad = read(
        "127.0.0.1 localhost\n::1 localhost\n0.0.0.0 0.0.0.0\n"
        "0.0.0.0 bad.example.com www.bad.example.com # both\n127.0.0.1 worse.example.com\n"
    )
    assert not bad
    assert [item.value for item in good] == [
        "bad.example.com",
        "www.bad.example.com",
        "worse.example.com",
    ]


def test_ipsum_counts_become_confidence_and_level() -> None:
    good, bad = read("# IPsum\n192.0.2.1\t9\n192.0.2.2\t3\n192.0.2.3\t2\n192.0.2.4\t1\n")
    assert not bad
    assert [item.confidence for item in good] == [0.96, 0.657, 0.51, 0.3]
    assert [item.threat_level.value for item in good] == ["high", "high", "medium", "low"]


def test_a_chosen_confidence_outranks_the_one_guessed_from_ipsum() -> None:
    (item,), _ = read("192.0.2.4\t1\n", confidence=0.9, level=ThreatLevel.CRITICAL)
    assert (item.confidence, item.threat_level) == (0.9, ThreatLevel.CRITICAL)


def test_maltrail_trails_lose_ports_and_keep_their_reference(tmp_path: Path) -> None:
    file = tmp_path / "badfamily.txt"
    file.write_text(
        "# Copyright\n\n# Aliases: worse\n\n# Reference: https://example.org/report\n\n"
        "192.0.2.9:4785\nhttp://192.0.2.10\nc2.example.com\nc2.example.com/gate.php\n/panel.php\n"
    )
    rows = list(read_indicators(file, source="maltrail"))
    good = [row for row in rows if isinstance(row, Indicator)]
    assert values(good) == [
        (IP, "192.0.2.9"),
        (IP, "192.0.2.10"),
        (DOMAIN, "c2.example.com"),
        (URL, "http://c2.example.com/gate.php"),
    ]
    assert good[0].tags == ("badfamily", "port:4785")
    assert good[0].description == "https://example.org/report"
    assert [str(row) for row in rows if isinstance(row, ImportRowError)] == [
        "row 11: '/panel.php' is a path that names no machine"
    ]


def test_a_zeek_file_is_read_by_its_fields_line() -> None:
    good, bad = read(
        "#fields\tindicator\tindicator_type\tmeta.source\tmeta.do_notice\tmeta.desc\n"
        "192.0.2.1\tIntel::ADDR\tCTI\tF\tBOTNET\n"
        "192.0.2.0/24\tIntel::SUBNET\tCTI\tF\t-\n"
        "example.org/x\tIntel::URL\tCTI\tF\tx\n"
        "curl/7\tIntel::SOFTWARE\tCTI\tF\tx\n"
        f"{MD5}\tIntel::FILE_HASH\tCTI\n"
    )
    assert values(good) == [
        (IP, "192.0.2.1"),
        (CIDR, "192.0.2.0/24"),
        (URL, "http://example.org/x"),
        (HASH, MD5),
    ]
    assert good[0].tags == ("CTI", "BOTNET")
    assert [error.row for error in bad] == [5]


def test_a_csv_file_is_read_by_the_names_of_its_columns() -> None:
    good, bad = read(
        "\ufeffIndicator,Type,Threat Level,Confidence,TLP,Tags,Comment,Valid Until\n"
        '192.0.2.1,ip,critical,90,TLP:RED,"c2, apt","beacon\nof a kit",2036-01-01T00:00:00Z\n'
        "evil.example.com,domain,,0.5,,,,\n"
        "192.0.2.2,ip,benign,,,,,\n"
        "192.0.2.3,ip,,,,,,next week\n"
        ",,,,,,,\n"
    )
    assert values(good) == [(IP, "192.0.2.1"), (DOMAIN, "evil.example.com")]
    first = good[0]
    assert (first.threat_level, first.confidence, first.tlp) == (
        ThreatLevel.CRITICAL,
        0.9,
        Tlp.RED,
    )
    assert first.tags == ("c2", "apt")
    assert first.description == "beacon\nof a kit"
    assert first.expires_at == datetime(2036, 1, 1, tzinfo=UTC)
    assert good[1].confidence == 0.5
    assert len(bad) == 2


def test_a_header_behind_a_hash_and_several_values_a_row_are_understood() -> None:
    good, bad = read(
        "# abuse list\n#\n"
        '# "first_seen_utc","sha256_hash","md5_hash","signature"\n'
        f'"2026-01-02 03:04:05", "{SHA256}", "{MD5}", "Kit"\n'
    )
    assert not bad
    assert {item.value for item in good} == {SHA256, MD5}
    assert all(item.tags == ("Kit",) for item in good)
    assert good[0].first_seen == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_tab_separated_table_with_a_mapping_and_ports_is_understood() -> None:
    good, bad = read(
        "badness\tvalue_type\n192.0.2.1:8080\tip:port\n",
        format="csv",
        columns={"badness": "value"},
    )
    assert not bad
    assert values(good) == [(IP, "192.0.2.1")]
    assert good[0].tags == ("port:8080",)


def test_json_records_and_json_lines_are_read_like_tables() -> None:
    record = {"ioc": "192.0.2.1", "confidence": 80, "tags": ["c2"], "threat_level": "low"}
    for content in (json.dumps([record]), json.dumps(record) + "\nnot json\n"):
        good, bad = read(content)
        assert values(good) == [(IP, "192.0.2.1")]
        assert (good[0].confidence, good[0].tags) == (0.8, ("c2",))
        assert len(bad) == content.count("not json")


def bundle(*patterns: str, **more: Any) -> str:
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{number}",
            "pattern": pattern,
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
            **more,
        }
        for number, pattern in enumerate(patterns)
    ]
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects})


def test_stix_patterns_give_all_their_alternatives() -> None:
    good, bad = read(
        bundle(
            "[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']",
            f"[file:hashes.'SHA-256' = '{SHA256}' AND file:hashes.MD5 = '{MD5}']",
            f"[file:hashes.'SHA-1' = '{'b' * 40}']",
            "[domain-name:value IN ('a.example.com', 'b.example.com')]",
            "[url:value = 'http://example.org/it\\'s'] OR [email-addr:value = 'a@example.net']",
        )
    )
    assert not bad
    assert values(good) == [
        (IP, "192.0.2.1"),
        (CIDR, "198.51.100.0/24"),
        (HASH, SHA256),
        (HASH, MD5),
        (HASH, "b" * 40),
        (DOMAIN, "a.example.com"),
        (DOMAIN, "b.example.com"),
        (URL, "http://example.org/it's"),
        (EMAIL, "a@example.net"),
    ]


def test_stix_fields_become_expiry_confidence_tlp_and_tags() -> None:
    (item,), _ = read(
        bundle(
            "[ipv4-addr:value = '192.0.2.1']",
            name="C2",
            description="of the kit",
            confidence=1,
            labels=["kit"],
            valid_until="2026-06-01T00:00:00.5Z",
            object_marking_refs=[
                "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
                "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
            ],
        )
    )
    assert item.confidence == 0.01
    assert item.tlp is Tlp.RED
    assert item.tags == ("kit",)
    assert item.description == "C2: of the kit"
    assert item.first_seen == datetime(2026, 1, 1, tzinfo=UTC)
    assert item.expires_at == datetime(2026, 6, 1, 0, 0, 0, 500000, tzinfo=UTC)


def test_a_revoked_stix_indicator_is_imported_as_expired() -> None:
    (item,), _ = read(
        bundle("[ipv4-addr:value = '192.0.2.1']", revoked=True, modified="2026-02-01T00:00:00Z")
    )
    assert item.expires_at == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]",
        "[ipv4-addr:value != '192.0.2.1']",
        "[domain-name:value LIKE '%.example.com']",
        "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
        "[NOT ipv4-addr:value = '192.0.2.1']",
        "[mutex:name = 'x']",
        "[[[[",
        "",
    ],
)
def test_a_stix_pattern_is_never_taken_apart_into_more_than_it_says(pattern: str) -> None:
    good, bad = read(bundle(pattern))
    assert not good
    assert len(bad) == 1


def test_misp_attributes_for_detection_are_read_with_those_of_objects() -> None:
    event = {
        "Event": {
            "info": "Campaign",
            "threat_level_id": "2",
            "Tag": [{"name": "tlp:green"}, {"name": "kit"}],
            "Attribute": [
                {"type": "ip-dst", "value": "192.0.2.1", "to_ids": True, "comment": "c2"},
                {"type": "ip-src", "value": "192.0.2.2", "to_ids": False},
                {"type": "domain|ip", "value": "c2.example.com|192.0.2.3", "to_ids": True},
                {"type": "ip-dst|port", "value": "192.0.2.4|443", "to_ids": True},
                {"type": "yara", "value": "rule x {}", "to_ids": True},
                {"type": "ip-dst", "value": "192.0.2.9", "to_ids": True, "deleted": True},
                {
                    "type": "hostname",
                    "value": "d.example.com",
                    "to_ids": True,
                    "Tag": [
                        {"name": "tlp:amber+strict"},
                        {"name": 'misp:confidence-level="usually-confident"'},
                    ],
                },
            ],
            "Object": [
                {
                    "name": "file",
                    "Attribute": [
                        {"type": "filename|sha256", "value": f"a|b.exe|{SHA256}", "to_ids": True}
                    ],
                }
            ],
        }
    }
    for document in (event, [event], {"response": [event]}):
        good, bad = read(json.dumps(document))
        assert values(good) == [
            (IP, "192.0.2.1"),
            (DOMAIN, "c2.example.com"),
            (IP, "192.0.2.3"),
            (IP, "192.0.2.4"),
            (DOMAIN, "d.example.com"),
            (HASH, SHA256),
        ]
        assert [error.row for error in bad] == [5]
        assert good[0].description == "c2"
        assert good[1].description == "Campaign"
        assert (good[0].tlp, good[0].tags) == (Tlp.GREEN, ("kit",))
        assert good[0].threat_level is ThreatLevel.MEDIUM
        assert (good[4].tlp, good[4].confidence) == (Tlp.AMBER_STRICT, 0.75)


def test_gzip_and_utf16_are_recognised() -> None:
    assert values(read(gzip.compress(b"192.0.2.1\n"))[0]) == [(IP, "192.0.2.1")]
    assert values(read("192.0.2.1\r\n192.0.2.2\r\n".encode("utf-16"))[0])[1] == (IP, "192.0.2.2")


def test_damaged_gzip_is_an_input_error() -> None:
    whole = gzip.compress(b"192.0.2.1\n" * 100_000)
    with pytest.raises(InputError, match="cannot read"):
        read(whole[: len(whole) // 2])


def test_a_missing_file_and_wrong_arguments_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot open"):
        list(read_indicators(tmp_path / "none.txt", source="x"))
    for options in (
        {"format": "xls"},
        {"source": " "},
        {"confidence": 70.0},
        {"columns": {"a": "nothing"}},
    ):
        with pytest.raises(InputError):
            read("192.0.2.1", **options)


def test_a_table_without_a_column_of_values_says_how_to_name_one() -> None:
    with pytest.raises(InputError, match="mapping"):
        read("colour,size\nred,3\n", format="csv")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"\x00\xff\xfe{}%s\n\xed\xa0\x80\n",
        b'"unclosed,\n192.0.2.1\n' * 50,
        b"a" * 200_000 + b"\n192.0.2.1\n",
        b"#fields\tindicator\n\t\t\t\n",
        b"\x1f\x8bnot gzip",
        b"[" * 100_000,
        b'{"type":"bundle","objects":[1,null,{"type":"indicator","pattern":3,"pattern_type":[]}]}',
        b'{"Event":{"Attribute":[1,{"type":1},{"type":"ip-src","value":null}],"Object":{}}}',
        b'{"ioc":{"a":1},"confidence":[],"tags":{"x":[]}}',
    ],
)
def test_hostile_files_end_in_row_errors_or_an_input_error(form: str, content: bytes) -> None:
    try:
        good, _ = read(content, format=form)
    except InputError:
        return
    assert all(item.type in ObservableType for item in good)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.sampled_from(FORMATS))
def test_no_text_makes_a_reader_raise_anything_else(content: str, form: str) -> None:
    raw = content.encode("utf-8", "surrogatepass")
    try:
        good, _ = read(raw, format=form)
    except InputError:
        return
    for item in good:
        item.value.encode()
        assert 0 <= item.confidence <= 1


@settings(max_examples=60, deadline=None)
@given(st.ip_addresses(v=4), st.integers(0, 3))
def test_an_address_reads_the_same_however_it_is_disarmed(address: Any, style: int) -> None:
    text = str(address).replace(".", ("[.]", "(.)", "[dot]", ".")[style])
    good, bad = read(f"{text}\n", format="plain")
    assert len(good) + len(bad) == 1
    assert all(item.value == str(address) for item in good)


def test_words_of_feeds_mean_what_they_say() -> None:
    assert words.tlp("TLP:WHITE") is Tlp.CLEAR
    assert words.tlp("tlp:amber+strict") is Tlp.AMBER_STRICT
    assert words.tlp("purple") is None
    assert words.confidence("80%") == 0.8
    assert words.confidence("1") == 1.0
    assert words.confidence(1, percent=True) == 0.01
    assert words.confidence("nan") is None
    assert words.confidence(True) is None
    assert words.threat_level("Severe") is ThreatLevel.CRITICAL
    assert words.threat_level("75%") is ThreatLevel.HIGH
    assert words.threat_level("banana") is None
    assert words.moment("1772625600") == NOW
    assert words.moment("1772625600000") == NOW
    assert words.moment("2026-03-04 12:00:00 UTC") == NOW
    assert words.moment("1e400") is None
    assert parse_ttl("12h") == timedelta(hours=12)
    assert parse_ttl("2 weeks") == timedelta(weeks=2)
    assert parse_ttl("30") == timedelta(days=30)
    for text in ("", "0d", "-1d", "soon", "999999y"):
        with pytest.raises(InputError):
            parse_ttl(text)


REAL_FILES = {
    "ipsum/ipsum.txt": ("ipsum", 120_430, 0),
    "maltrail_small/trails/static/malware/emotet.txt": ("maltrail", 10_296, 4738),
    "maltrail_small/trails/static/mass_scanner_cidr.txt": ("maltrail", 1106, 0),
    "zeek_intel_feeds/abuse-ch-malware.intel": ("zeek", 828, 0),
    "zeek_intel_feeds/atomspam.intel": ("zeek", 2011, 781),
    "zeek_intel_feeds/gru-aa25.intel": ("zeek", 109, 16),
    "tor/tor-exit-nodes.lst": ("plain", 1746, 0),
}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real feeds are not beside the repository")
@pytest.mark.parametrize("name", [name for name in REAL_FILES if "ipsum" not in name])
def test_a_real_feed_is_recognised_and_read_to_its_last_row(name: str) -> None:
    form, good, bad = REAL_FILES[name]
    with (REAL / name).open("rb") as stream:
        assert detect(stream.read(65536).decode(), {}) == form
    rows = Counter(type(row) for row in read_indicators(REAL / name, source="real"))
    assert rows[Indicator] == good
    assert rows[ImportRowError] == bad


@pytest.mark.skipif(not REAL.is_dir(), reason="the real feeds are not beside the repository")
def test_the_first_ten_thousand_rows_of_ipsum_are_all_addresses() -> None:
    lines = (REAL / "ipsum/ipsum.txt").read_bytes().splitlines(keepends=True)[:10_000]
    good, bad = read(b"".join(lines))
    assert not bad
    assert {item.type for item in good} == {IP}
    assert len(good) == sum(not line.startswith(b"#") for line in lines)
