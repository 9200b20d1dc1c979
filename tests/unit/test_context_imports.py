"""Imported files: formats, columns, words, and rows that cannot be used."""

import gzip
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import ImportRowError, InputError
from tocsin.knowledge.directory import ASSET_COLUMNS, USER_COLUMNS, asset_of, user_of
from tocsin.knowledge.tabular import Columns, read_rows
from tocsin.model import AssetRecord, Criticality, UserRecord


@pytest.fixture
def rows(tmp_path: Path) -> Any:
    def read(content: bytes | str) -> list[Any]:
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(read_rows(str(path)))

    return read


def asset(**cells: Any) -> AssetRecord:
    return asset_of(2, Columns(ASSET_COLUMNS).fields(cells))


def user(**cells: Any) -> UserRecord:
    return user_of(2, Columns(USER_COLUMNS).fields(cells))


# --- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_found_out(rows: Any, delimiter: str) -> None:
    content = delimiter.join(["id", "name"]) + "\n" + delimiter.join(["1", '"a, b; c | d"']) + "\n"
    assert rows(content) == [(2, {"id": "1", "name": "a, b; c | d"})]


def test_a_byte_order_mark_windows_line_ends_and_quoted_newlines_are_read(rows: Any) -> None:
    content = '\ufeffid,name\r\n1,"two\r\nlines ""quoted"""\r\n\r\n2,x\r\n'
    assert rows(content) == [
        (2, {"id": "1", "name": 'two\r\nlines "quoted"'}),
        (4, {"id": "2", "name": "x"}),
    ]


def test_a_delimiter_inside_a_quoted_heading_does_not_count(rows: Any) -> None:
    assert rows('"a;b;c",d\n1,2\n') == [(2, {"a;b;c": "1", "d": "2"})]


def test_a_row_with_too_many_cells_is_refused_and_the_next_one_read(rows: Any) -> None:
    wrong, right = rows("id,name\n1,2,3\n4,5\n")
    assert isinstance(wrong, ImportRowError)
    assert wrong.row == 2
    assert right == (3, {"id": "4", "name": "5"})


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": 1}, {"id": 2}]',
        '{"id": 1}\n{"id": 2}\n',
        '{"assets": [{"id": 1}, {"id": 2}], "total": 2}',
        '{\n "assets": [\n {"id": 1}, {"id": 2}]\n}',
    ],
)
def test_json_is_read_in_the_forms_that_exports_have(rows: Any, content: str) -> None:
    assert [row[1] for row in rows(content)] == [{"id": 1}, {"id": 2}]


def test_one_json_object_is_one_record(rows: Any) -> None:
    assert rows('{"id": 1, "tags": ["a"]}') == [(1, {"id": 1, "tags": ["a"]})]


def test_a_broken_line_of_ndjson_is_refused_and_the_next_one_read(rows: Any) -> None:
    first, second, third, fourth = rows('{"id": 1}\n{"id": \n[1]\n{"id": 4}\n')
    assert first == (1, {"id": 1})
    assert (second.row, third.row) == (2, 3)
    assert fourth == (4, {"id": 4})


def test_gzip_is_recognised_by_content(rows: Any) -> None:
    assert rows(gzip.compress(b"id\n7\n")) == [(2, {"id": "7"})]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        ("id,name\n1,Jos\u00e9\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("id\n1\n".encode("utf-16"), "UTF-16"),
        (b'[{"id": 1}', "not JSON"),
        (b"[]", "empty"),
        (b"id,ID,id\n1,2,3\n", "twice"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(rows: Any, content: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        rows(content)


def test_a_file_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(str(tmp_path / "none.csv"))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    path.touch()
    os.truncate(path, 1 << 40)  # it takes no room on the disk; nobody has as much memory
    with pytest.raises(InputError, match="larger than 1024 MiB"):
        read_rows(str(path))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_content_breaks_the_reader(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    try:
        for row in read_rows(str(path)):
            assert isinstance(row, ImportRowError | tuple)
    except InputError:
        pass


# --- columns ------------------------------------------------------------------------------------


def test_columns_are_recognised_by_their_usual_names() -> None:
    found = asset(**{"Computer Name": "ws-1", "IP-Address": "10.0.0.1", "Business_Unit": "Sales"})
    assert (found.hostname, found.ip, found.department) == ("ws-1", "10.0.0.1", "Sales")
    person = user(sAMAccountName="ada", mail="ada@example.com", displayName="Ada L.")
    assert (person.user_name, person.email, person.full_name) == (
        "ada",
        "ada@example.com",
        "Ada L.",
    )


def test_our_own_name_wins_over_a_synonym_and_a_mapping_over_both() -> None:
    cells = {"name": "b", "hostname": "a", "Odd": "c"}
    assert asset(**cells).hostname == "a"
    mapped = Columns(ASSET_COLUMNS, {"odd": "hostname"}).fields(cells)
    assert asset_of(2, mapped).hostname == "c"


def test_a_second_column_fills_in_where_the_first_is_empty() -> None:
    assert asset(hostname=" ", name="b").hostname == "b"


def test_a_mapping_to_an_unknown_field_names_the_fields() -> None:
    with pytest.raises(InputError, match=r"no field 'colour'.*asset_id"):
        Columns(ASSET_COLUMNS, {"x": "colour"})


def test_columns_that_nobody_uses_are_remembered() -> None:
    columns = Columns(ASSET_COLUMNS)
    columns.fields({"hostname": "a", "Rack Height": "2"})
    assert columns.ignored == {"Rack Height"}


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("critical", Criticality.CRITICAL),
        ("Mission-Critical", Criticality.CRITICAL),
        (5, Criticality.CRITICAL),
        ("4 - High", Criticality.HIGH),
        ("4", Criticality.HIGH),
        ("Moderate", Criticality.MEDIUM),
        (3.0, Criticality.MEDIUM),
        ("2", Criticality.LOW),
        ("1", Criticality.LOW),
    ],
)
def test_criticality_is_understood_in_words_and_numbers(text: Any, level: Criticality) -> None:
    assert asset(hostname="a", criticality=text).criticality == level


@pytest.mark.parametrize("text", ["yes", "TRUE", "1", "y", "On", "x", True, 1, "admin"])
def test_yes_is_understood_in_its_usual_spellings(text: Any) -> None:
    assert user(login="a", is_admin=text).privileged


@pytest.mark.parametrize("text", ["no", "False", "0", "n", "off", "-", False, 0, "standard"])
def test_no_is_understood_in_its_usual_spellings(text: Any) -> None:
    assert not user(login="a", is_admin=text).privileged


@pytest.mark.parametrize(
    ("column", "text", "enabled"),
    [
        ("enabled", "no", False),
        ("disabled", "yes", False),
        ("Account Disabled", "false", True),
        ("status", "Disabled", False),
        ("status", "active", True),
        ("disabled", "disabled", False),
    ],
)
def test_a_disabled_account_is_recognised_in_either_sense(
    column: str, text: str, enabled: bool
) -> None:
    assert user(login="a", **{column: text}).enabled is enabled


def test_tags_come_from_lists_and_from_texts() -> None:
    assert asset(hostname="a", tags=["VIP", "", "vip", 7]).tags == ("vip", "7")
    assert asset(hostname="a", tags="dmz; Shop,dmz | pci").tags == ("dmz", "shop", "pci")


def test_the_first_address_of_a_cell_counts_in_its_canonical_form() -> None:
    assert asset(ip="fe80::1%en0; 10.0.0.1").ip == "fe80::1"
    assert asset(ip="2001:DB8::0:1/64").ip == "2001:db8::1"
    assert asset(hostname="a", ips=["", "10.0.0.7"]).ip == "10.0.0.7"


def test_an_asset_without_an_id_goes_by_its_name_or_address() -> None:
    assert asset(hostname="ws-1").asset_id == "ws-1"
    assert asset(ip="10.0.0.1").asset_id == "10.0.0.1"
    assert user(email="a@example.com").user_id == "a@example.com"


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ({"os": "Linux"}, "names no asset"),
        ({"hostname": "a", "ip": "300.1.1.1"}, "'300.1.1.1' is not an IP address"),
        ({"hostname": "a", "criticality": "very"}, "'very' is not critical"),
        ({"hostname": "a", "exposed": "perhaps"}, "not yes or no"),
        ({"hostname": {"a": 1}}, "not a text"),
        ({"hostname": "x" * 600}, "longer than"),
    ],
)
def test_a_row_that_cannot_be_used_names_the_row_and_the_cell(
    cells: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ImportRowError, match=f"row 2: .*{complaint}"):
        asset(**cells)


def test_a_mail_address_without_an_at_sign_is_refused() -> None:
    with pytest.raises(ImportRowError, match="e-mail"):
        user(login="a", mail="nothing")


_cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*ASSET_COLUMNS, "name", "id"]), _cell, max_size=8))
def test_no_cell_breaks_an_asset(cells: dict[str, Any]) -> None:
    try:
        found = asset(**cells)
    except ImportRowError:
        return
    assert found.asset_id == found.asset_id.encode("utf-8").decode("utf-8")
    assert "\0" not in found.asset_id


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*USER_COLUMNS, "name", "id"]), _cell, max_size=8))
def test_no_cell_breaks_a_user(cells: dict[str, Any]) -> None:
    with suppress(ImportRowError):
        assert user(**cells).user_id
