"""Rows of the audit trail in a bundle: what is found in them, and what is never called right."""

import random
from typing import Any

import msgspec
import pytest

from tocsin.audit_chain import BEGUN, GENESIS, REGISTER, AuditRow, Sealer
from tocsin.model import AuditLine
from tocsin.proof import check_rows
from tocsin.store.tables import audit_logs

KEY, OTHER = "a {key} of 100%", "another"
HOSTILE = "{} %s \x1b[31m\u202e'; DROP TABLE audit_logs --"


def row(sealer: Sealer, writer: str, sequence: int, previous: str, **said: str) -> AuditLine:
    fields = {"actor": "t", "action": "alert.decided", "subject": "s", "detail": "{}", **said}
    made = AuditRow(writer, sequence, "2026-03-04T00:00:00.000000Z", *fields.values(), previous, "")
    made = made._replace(hash=sealer.hash(made))
    return AuditLine(**made._asdict())


def trail(key: str = "", rows: int = 4) -> list[AuditLine]:
    """The register's row of a chain, then the chain."""
    sealer = Sealer(key)
    detail = msgspec.json.encode({"keyed": bool(key)}).decode()
    lines = [row(sealer, REGISTER, 1, GENESIS, action=BEGUN, subject="w", detail=detail)]
    for number in range(1, rows + 1):
        lines.append(row(sealer, "w", number, lines[-1].hash, subject=f"{number} {HOSTILE}"))
    return lines


def test_a_bundles_row_is_the_row_that_is_hashed_and_the_row_that_is_stored() -> None:
    assert AuditLine.__struct_fields__ == AuditRow._fields == tuple(audit_logs.c.keys())


@pytest.mark.parametrize("key", ["", KEY])
def test_what_was_written_is_right_in_any_order(key: str) -> None:
    lines = trail(key)
    random.Random(1).shuffle(lines)
    found = check_rows([*lines, lines[0]], f"{OTHER},{key}" if key else "")
    assert (found.rows, found.right, found.linked) == (5, 5, 5)
    assert (found.unchecked, found.wrong) == (0, ())


def test_rows_without_their_neighbours_are_right_and_not_linked() -> None:
    lines = trail()
    found = check_rows([lines[2], lines[4]])
    assert (found.rows, found.right, found.linked, found.wrong) == (2, 2, 0, ())


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize(
    "change",
    [
        {"actor": "nobody"},
        {"detail": '{"disposition":"false_positive"}'},
        {"logged_at": "2026-03-05T00:00:00.000000Z"},
        {"sequence": 99},
        {"writer": "v"},
        {"subject": "\ud800"},
        {"hash": "0" * 64},
        {"hash": ""},
        {"sequence": 2**70, "hash": ""},
        {"previous_hash": "f" * 64},
    ],
)
@pytest.mark.parametrize("place", range(5))
def test_every_edit_is_found(key: str, change: dict[str, Any], place: int) -> None:
    lines = trail(key)
    lines[place] = msgspec.structs.replace(lines[place], **change)
    found = check_rows(lines, key)
    without_register = "writer" in change and place == 0 and not key
    assert found.unchecked if without_register else found.wrong


def test_a_row_in_place_of_another_does_not_follow() -> None:
    lines = trail()
    lines[2] = row(Sealer(), "w", 2, lines[1].hash, actor="nobody")
    found = check_rows(lines)
    assert found.wrong == ("w row 3 does not follow from the row before it",)
    assert check_rows([*trail(), lines[2]]).wrong, "two rows in one place"
    first = trail()
    first[0] = row(Sealer(), REGISTER, 1, GENESIS, action=BEGUN, subject="w", detail="{}")
    assert check_rows(first).wrong == ("w row 1 does not follow from the row before it",)


def test_without_the_key_its_rows_are_unchecked_and_not_right() -> None:
    lines = trail(KEY)
    found = check_rows(lines)
    assert (found.rows, found.right, found.unchecked, found.wrong) == (5, 0, 5, ())
    assert len(check_rows(lines, OTHER).wrong) == 5
    assert "another key" in check_rows(lines, OTHER).wrong[0]


@pytest.mark.parametrize("keys", ["", KEY])
def test_who_does_not_know_the_key_cannot_write_a_chain_anew(keys: str) -> None:
    forged = [trail(KEY)[0], *trail("")[1:]]
    assert check_rows(forged, keys).wrong
    claimed = [msgspec.structs.replace(trail("")[0], detail='{"keyed":true}'), *trail("")[1:]]
    assert check_rows(claimed, keys).wrong
    mixed = [*trail("")[1:3], *trail(KEY)[3:]]
    assert check_rows(mixed, KEY).wrong


@pytest.mark.parametrize("detail", ["", "[", "[" * 100_000, "null", '{"keyed":1}', "\ud800"])
def test_a_register_that_says_nonsense_is_no_claim(detail: str) -> None:
    lines = trail()
    lines[0] = msgspec.structs.replace(lines[0], detail=detail)
    assert check_rows(lines).wrong


def test_only_so_many_rows_are_named() -> None:
    lines = [msgspec.structs.replace(line, actor="x") for line in trail(rows=100)]
    assert len(check_rows(lines).wrong) == 20
    assert check_rows([]).rows == 0
