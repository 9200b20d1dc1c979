"""Each decoder alone, and against the examples of another project where these are at hand."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import DecodeError
from tocsin.normalize.decode import DECODERS, read_json

EXAMPLES = Path(__file__).resolve().parents[2].parent / "shared/data/vrl_parse_tests/examples.json"
MD5, SHA1 = "900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_cef_splits_header_and_extension_with_their_escapes() -> None:
    found = DECODERS["cef"](
        r"<1>host CEF:0|a\|b|p\\q|1|id|na\=me|5|act=x\=y msg=one\ntwo \\ three cs1Label=L n cs1=v w"
    )
    assert found["deviceVendor"] == "a|b"
    assert found["deviceProduct"] == "p\\q"
    assert found["name"] == r"na\=me"
    assert found["act"] == "x=y"
    assert found["msg"] == "one\ntwo \\ three"
    assert found["labels"] == {"L n": "v w"}


def test_cef_leaves_values_alone_whose_sender_does_not_escape() -> None:
    found = DECODERS["cef"](r"CEF:0|v|p|1|i|n|5|filePath=C:\new\Users\x request=http://a/?b=c&d=e")
    assert found["filePath"] == r"C:\new\Users\x"
    assert found["request"] == "http://a/?b=c&d=e"


def test_cef_keeps_the_first_of_two_equal_keys() -> None:
    assert DECODERS["cef"]("CEF:0|v|p|1|i|n|5|src=192.0.2.1 msg=x src=192.0.2.9")["src"] == (
        "192.0.2.1"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "<34>Oct 11 22:14:15 mx su[12]: 'su root' failed",
            {
                "facility": "auth",
                "severity": "critical",
                "time": "Oct 11 22:14:15",
                "host": "mx",
                "app": "su",
                "pid": "12",
                "message": "'su root' failed",
            },
        ),
        (
            '<165>1 2026-10-11T22:14:15.003Z mx app - ID47 [a@1 k="v\\"w" x="y"][b c="d"] hello',
            {
                "facility": "local4",
                "severity": "notice",
                "version": "1",
                "time": "2026-10-11T22:14:15.003Z",
                "host": "mx",
                "app": "app",
                "msgid": "ID47",
                "data": {"a@1": {"k": 'v"w', "x": "y"}, "b": {"c": "d"}},
                "message": "hello",
            },
        ),
        (
            "2026-03-04T13:55:05.1+00:00 host app: x",
            {
                "time": "2026-03-04T13:55:05.1+00:00",
                "host": "host",
                "app": "app",
                "message": "x",
            },
        ),
        (
            "<189>123: Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
            {
                "facility": "local7",
                "severity": "notice",
                "time": "Mar  1 18:46:11",
                "app": "%SYS-5-CONFIG_I",
                "message": "Configured",
            },
        ),
    ],
)
def test_syslog_reads_both_headers(line: str, expected: dict[str, Any]) -> None:
    assert DECODERS["syslog"](line) == expected


def test_key_value_reads_quotes_blanks_and_semicolons() -> None:
    assert DECODERS["key_value"]("a=1, b=\"x, y=z\" c='q' d= e=f") == {
        "a": "1",
        "b": "x, y=z",
        "c": "q",
        "d": "",
        "e": "f",
    }
    assert DECODERS["key_value"]("cat=HOST SCORING;start=1;x=") == {
        "cat": "HOST SCORING",
        "start": "1",
        "x": "",
    }


def test_hashes_are_named_by_length_and_import_hashes_kept_apart() -> None:
    text = f"SHA1={SHA1.upper()},MD5={MD5},IMPHASH={'1' * 31}a"
    assert DECODERS["hashes"](text) == {"sha1": SHA1, "md5": MD5, "imphash": "1" * 31 + "a"}
    assert DECODERS["hashes"](SHA1) == {"sha1": SHA1}
    assert DECODERS["hashes"]({"any": MD5}) == {"md5": MD5}
    assert DECODERS["hashes"](f"sha-1: {SHA1}") == {"sha1": SHA1}


def test_xml_becomes_an_object_and_entities_are_refused() -> None:
    found = DECODERS["xml"]("<e:Event a='1'><S><I>7</I></S><D N='x'>y</D><D N='z'/></e:Event>")
    assert found == {
        "Event": {
            "#attributes": {"a": "1"},
            "S": {"I": "7"},
            "D": [
                {"#attributes": {"N": "x"}, "#text": "y"},
                {"#attributes": {"N": "z"}},
            ],
        }
    }
    for hostile in (
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        "<a>" * 1000,
        "<a>",
        "",
    ):
        with pytest.raises(DecodeError):
            DECODERS["xml"](hostile)


def test_a_host_with_a_port_is_taken_apart() -> None:
    decode = DECODERS["hostport"]
    assert decode("192.0.2.1:80") == {"host": "192.0.2.1", "ip": "192.0.2.1", "port": "80"}
    assert decode("[2001:DB8::1]:443")["ip"] == "2001:db8::1"
    assert decode("2001:db8::1") == {"host": "2001:db8::1", "ip": "2001:db8::1"}
    assert decode("Www.Example.com:99")["domain"] == "www.example.com"


def test_an_account_is_taken_apart() -> None:
    decode = DECODERS["account"]
    assert decode("EXAMPLE\\ann") == {"name": "ann", "domain": "EXAMPLE"}
    assert decode("NT AUTHORITY\\SYSTEM") == {"name": "SYSTEM", "domain": "NT AUTHORITY"}
    assert decode(".\\ann") == {"name": "ann"}
    assert decode("ann@example.org") == {
        "name": "ann",
        "domain": "example.org",
        "email": "ann@example.org",
    }
    assert decode("<ann>") == {"name": "ann"}


def test_small_notations() -> None:
    assert DECODERS["basename"]("C:\\a\\b.exe") == "b.exe"
    assert DECODERS["basename"]("/usr/bin/id") == "id"
    assert DECODERS["email"]("Ann <Ann@Example.org>") == {
        "address": "ann@example.org",
        "local": "ann",
        "domain": "example.org",
    }
    assert DECODERS["url"]("https://example.com:8443/a?b")["port"] == "8443"
    assert DECODERS["ports"]("1 -> 2") == {"source": "1", "destination": "2"}
    assert DECODERS["ports"]([1, 2]) == {"source": 1, "destination": 2}
    assert DECODERS["ports"](443) == {"source": None, "destination": "443"}
    assert DECODERS["addresses"]("from 192.0.2.1 to [2001:db8::1], v1.2.3.4.5") == [
        "192.0.2.1",
        "2001:db8::1",
    ]
    assert DECODERS["finding_type"]("Backdoor:EC2/C&CActivity.B!DNS") == {
        "purpose": "Backdoor",
        "resource": "EC2",
        "name": "C&CActivity",
        "mechanism": "B",
        "artifact": "DNS",
    }


def test_event_data_is_flat_whatever_form_it_has() -> None:
    decode = DECODERS["event_data"]
    flat = {"Image": "a"}
    assert decode(flat) is flat
    assert decode({"Data": [{"#attributes": {"Name": "Image"}, "#text": "a"}]}) == flat
    assert decode({"Data": {"@Name": "Image", "#text": "a"}}) == flat
    assert decode({"Data": ["x", "y"]}) == {"Data0": "x", "Data1": "y"}


def test_json_is_read_strictly_and_then_leniently() -> None:
    assert read_json('{"a": NaN}')["a"] != read_json('{"a": 1}')["a"]
    assert read_json('"\\ud800x"') == "?x"
    assert read_json("9" * 5000) == float("inf")
    with pytest.raises(DecodeError):
        read_json("{")
    with pytest.raises(DecodeError):
        read_json("[" * 100_000)


@given(
    st.sampled_from(sorted(DECODERS)),
    st.text(max_size=300)
    | st.integers()
    | st.none()
    | st.booleans()
    | st.lists(st.text(max_size=10), max_size=3)
    | st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3),
)
def test_a_decoder_raises_nothing_but_a_decode_error(name: str, value: Any) -> None:
    with contextlib.suppress(DecodeError):
        DECODERS[name](value)


def foreign_examples() -> list[Any]:
    """Cases of another project's parsers that have our semantics, with their names for parts."""
    if not EXAMPLES.is_file():
        return []
    ours = {"parse_cef": "cef", "parse_key_value": "key_value", "parse_logfmt": "key_value"}
    ours |= {"parse_syslog": "syslog", "parse_linux_authorization": "syslog"}
    cases = []
    for case in json.loads(EXAMPLES.read_text()):
        options = ("translate_custom", "key_value_delimiter", "duplicate", "standalone")
        wanted = case["expected"]
        if case["fn"] not in ours or not wanted:
            continue
        if any(word in (case["source"] + case["title"]).lower() for word in options):
            continue
        literal = re.search(
            r"s'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", case["source"], re.DOTALL
        )
        assert literal is not None
        text = literal[1] if literal[1] is not None else re.sub(r"\\([\"\\])", r"\1", literal[2])
        cases.append(pytest.param(ours[case["fn"]], text, wanted, id=case["title"]))
    return cases


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="the foreign examples are not on this machine")
@pytest.mark.parametrize(("decoder", "text", "wanted"), foreign_examples())
def test_foreign_examples_are_decoded_alike(
    decoder: str, text: str, wanted: dict[str, Any]
) -> None:
    names = {"appname": "app", "hostname": "host", "procid": "pid"}
    found = DECODERS[decoder](text)
    for name, value in wanted.items():
        if decoder == "syslog" and name == "timestamp":
            assert found["time"]
        elif isinstance(value, dict):
            assert found["data"][name] == value
        else:
            assert str(found[names.get(name, name) if decoder == "syslog" else name]) == str(value)
