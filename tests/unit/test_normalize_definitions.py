"""Source definitions: the six verbs, the conditions, and errors that name file and entry."""

from datetime import UTC, datetime
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import SourceError
from tocsin.model import Alert, Record
from tocsin.normalize.catalogue import Catalogue, compile_source, load_catalogue
from tocsin.normalize.condition import compile_condition
from tocsin.normalize.engine import Engine
from tocsin.normalize.expression import compile_expression
from tocsin.normalize.fields import CASTS
from tocsin.normalize.path import compile_path

RECEIVED = datetime(2026, 9, 1, tzinfo=UTC)
SMALL = """
name = "small"
title = "A small source"
vendor = "Example"
product = "small"
[[detect]]
exists = ["small"]
[decoded]
"@line" = { path = "line", decode = "key_value" }
[fields]
title = "small"
"event.severity" = { path = "level", map = { "1" = "high", ">=5" = "low" }, default = "medium" }
"source.ip" = ["a.ip", "b.ip", "@line.src"]
"user.name" = "who"
"""


def value_of(spec: Any, document: Any) -> Any:
    return compile_expression(spec, "test", set()).pick(document)


@pytest.mark.parametrize(
    ("spec", "document", "expected"),
    [
        ("a", {"a": 1}, 1),
        ("a.b.c.d", {"a": {"b": {"c": {"d": 1}}}}, 1),
        ("a.b", {"a": [{"b": 1}, {"b": 2}]}, 1),
        ("a.1.b", {"a": [{"b": 1}, {"b": 2}]}, 2),
        ("a.*.b", {"a": [{"b": 1}, {}, {"b": 2}]}, [1, 2]),
        ("a.9", {"a": []}, None),
        ("a.b", {"a": "text"}, None),
        ("a.b", [], None),
        ("$", {"a": 1}, {"a": 1}),
        ({"path": "a"}, {"a": 1}, 1),
        (["a", "b"], {"a": "-", "b": 2}, 2),
        ({"first": ["a", "b"]}, {"a": "", "b": []}, None),
        ({"path": "a", "map": {"x": "y"}}, {"a": "X"}, "y"),
        ({"path": "a", "map": {"7": "y"}}, {"a": 7.0}, "y"),
        ({"path": "a", "map": {"true": "y"}}, {"a": True}, "y"),
        ({"path": "a", "map": {">=7": "b", ">=9": "c"}}, {"a": "9.5"}, "c"),
        ({"path": "a", "map": {">=7": "b", ">=9": "c"}}, {"a": 6.9}, None),
        ({"path": "a", "map": {"x": "y"}}, {"a": ["q", "x"]}, "y"),
        ({"path": "a", "default": "d"}, {}, "d"),
        ({"path": "a", "map": {"x": "y"}, "default": "d"}, {"a": "z"}, "d"),
        ({"default": "d"}, {}, "d"),
        ({"join": ["a", "b"], "with": "\\"}, {"a": "D", "b": "u"}, "D\\u"),
        ({"join": ["a", "b"], "with": ","}, {"a": ["x", 1], "b": None}, "x,1"),
        ({"join": ["a"]}, {}, None),
        ({"path": "a", "decode": "hostport", "take": "port"}, {"a": "192.0.2.1:9"}, "9"),
        ({"path": "a", "when": {"exists": ["b"]}}, {"a": 1}, None),
        ({"path": "a", "when": {"equals": {"b": ["x", 2]}}}, {"a": 1, "b": 2}, 1),
    ],
)
def test_a_verb_gives_the_value_that_it_promises(spec: Any, document: Any, expected: Any) -> None:
    assert value_of(spec, document) == expected


@pytest.mark.parametrize(
    ("spec", "document", "expected"),
    [
        ({"exists": ["a", "b.c"]}, {"a": 0, "b": {"c": False}}, True),
        ({"exists": ["a"]}, {"a": None}, False),
        ({"any": ["a", "b"]}, {"b": 1}, True),
        ({"any": ["a", "b"]}, {"a": "", "b": []}, False),
        ({"absent": ["a"]}, {"a": ""}, True),
        ({"equals": {"a": "x"}}, {"a": "X"}, True),
        ({"equals": {"a": 1}}, {"a": "1"}, True),
        ({"matches": {"a": "^x"}}, {"a": "xy"}, True),
        ({"matches": {"a": "^x"}}, {"a": 7}, False),
        ({"exists": ["a"], "equals": {"b": 1}}, {"a": 1, "b": 2}, False),
    ],
)
def test_a_condition_holds_when_all_its_parts_do(spec: Any, document: Any, expected: bool) -> None:
    assert compile_condition(spec, "test", set()).test(document) is expected


@pytest.mark.parametrize(
    "broken",
    [
        'title = ""',
        "unknown = 1",
        'name = "other"',
        "[[detect]]",
        "[[detect]]\nmaybe = 1",
        '[[detect]]\nmatches = { a = "(" }',
        '[decoded]\nline = "a"',
        '[fields]\n"no.such" = "a"\ntitle = "a"',
        "[fields]",
        "[fields]\ntitle = 7",
        "[fields]\ntitle = []",
        '[fields]\ntitle = { path = "a", first = ["b"] }',
        '[fields]\ntitle = { path = "a", shout = true }',
        '[fields]\ntitle = { path = "a", decode = "rot13" }',
        '[fields]\ntitle = { path = "a", take = "b" }',
        '[fields]\ntitle = { path = "a", with = "b" }',
        '[fields]\ntitle = { path = "a", map = {} }',
        "[fields]\ntitle = {}",
        "not toml",
    ],
)
def test_a_broken_definition_is_refused_with_its_file_name(broken: str) -> None:
    whole = {
        "name": 'name = "small"',
        "title": 'title = "t"',
        "vendor": 'vendor = "v"',
        "product": 'product = "p"',
        "[[detect]]": '[[detect]]\nexists = ["a"]',
        "[fields]": '[fields]\ntitle = "a"',
    }
    first = broken.partition(" =")[0].partition("\n")[0]
    whole.pop(first, None)
    tables = [part for key, part in whole.items() if key.startswith("[")]
    plain = [part for key, part in whole.items() if not key.startswith("[")]
    parts = [*plain, *tables, broken] if broken.startswith("[") else [broken, *plain, *tables]
    with pytest.raises(SourceError, match=r"small\.toml"):
        compile_source("small.toml", "\n".join(parts))


def test_two_sources_cannot_have_one_name() -> None:
    with pytest.raises(SourceError, match="small"):
        Catalogue([compile_source("small.toml", SMALL)] * 2)


def test_a_new_source_is_one_definition_and_no_code() -> None:
    engine = Engine(Catalogue([compile_source("small.toml", SMALL)]))
    payload = '{"small": "One", "level": 6, "b": {"ip": "192.0.2.1"}, "who": "-", "x": 1}'
    name, alert, _ = engine.normalize(payload, None, RECEIVED)
    assert (name, alert.title, alert.event.severity) == ("small", "One", "low")
    assert alert.source.ip == "192.0.2.1"
    assert alert.user.name is None
    assert alert.event.module == "small"
    assert (alert.mapping.mapped, alert.mapping.unmapped_fields) == (4, ("x",))


def test_an_unusable_value_falls_through_to_the_next_alternative() -> None:
    engine = Engine(Catalogue([compile_source("small.toml", SMALL)]))
    _, alert, gaps = engine.normalize(
        '{"small": 1, "a": {"ip": "x"}, "line": "src=192.0.2.2 c=d"}', None, RECEIVED
    )
    assert alert.source.ip == "192.0.2.2"
    assert "source.ip" not in {gap.subject for gap in gaps}


@given(
    st.dictionaries(
        st.sampled_from(["small", "level", "a", "b", "line", "who"]),
        st.none()
        | st.integers()
        | st.text(max_size=20)
        | st.lists(st.dictionaries(st.just("ip"), st.text(max_size=10)), max_size=2)
        | st.dictionaries(st.just("ip"), st.text(max_size=10)),
    )
)
def test_plans_for_every_shape_agree_with_reading_each_path_anew(document: dict[str, Any]) -> None:
    source = compile_source("small.toml", SMALL)
    lines, nodes = source.plan.lines(document)
    for name, choices, _ in lines:
        for node, key, pick in choices:
            planned = nodes[node].get(key) if pick is None else None
            if pick is None:
                field = next(field for field in source.plan.fields if field.name == name)
                values = [item.pick(document) for item in field.alternatives]
                assert planned in values
    for path in ("a.ip", "b.ip", "who"):
        compile_path(path)(document)


def test_every_field_of_the_record_can_be_filled_by_a_definition() -> None:
    def paths(record: type[Record], prefix: str) -> set[str]:
        hints = get_type_hints(record)
        found: set[str] = set()
        for field in msgspec.structs.fields(record):
            kind = hints[field.name]
            if isinstance(kind, type) and issubclass(kind, Record):
                found |= paths(kind, f"{prefix}{field.name}.")
            else:
                found.add(f"{prefix}{field.name}")
        return found

    own = {"observables", *(path for path in paths(Alert, "") if path.startswith("mapping."))}
    assert paths(Alert, "") - own == {name for name in CASTS if not name.startswith("related.")}


def test_the_shipped_definitions_load_and_cover_the_six_sources() -> None:
    names = {source.name for source in load_catalogue().sources}
    assert names >= {"suricata", "wazuh", "windows", "cef", "guardduty", "generic"}
