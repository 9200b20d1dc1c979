"""The rows of the audit trail in a bundle: whether each is what was written, as far as it shows.

A bundle holds the rows about one alert, not whole chains. Each row carries the hash of what it
says; where the row before it is in the bundle too, it must carry that one's hash as well. The
register's row about a chain says whether a key went into its hashes, which nobody can check
without the key: such rows are counted as unchecked, never as right.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tocsin.audit_chain import BEGUN, GENESIS, REGISTER, AuditRow, Sealer, sealers
from tocsin.model import AuditLine, Record

MOST = 20  # wrong rows that are named


class AuditFinding(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What the rows show: `right` have their own hash, `linked` follow from one in the bundle.

    `unchecked` were hashed with a key that was not given; `wrong` names up to 20 rows that are not
    what was written, or that do not follow from the row before.
    """

    rows: int = 0
    right: int = 0
    linked: int = 0
    unchecked: int = 0
    wrong: tuple[str, ...] = ()


def check_rows(lines: Sequence[AuditLine], keys: str = "") -> AuditFinding:
    """Recompute the rows' hashes, and compare neighbours.

    Args:
        lines: the rows, in any order.
        keys: the setting `audit_key` of the installation that wrote them; empty where not known.
    """
    rows = sorted({AuditRow(*msgspec.structs.astuple(line)) for line in lines})
    given = sealers(keys)
    made = {row: _keyed(row, (*given, Sealer())) for row in rows}
    said = {row.subject: row for row in rows if _begins(row)}
    kinds = {writer: {_claims_key(row)} for writer, row in said.items()}
    for row, keyed in made.items():
        if keyed is not None and row.writer != REGISTER:
            kinds.setdefault(row.writer, set()).add(keyed)
    wrong: list[str] = []
    right = unchecked = 0
    for row, keyed in made.items():
        kind = {_claims_key(row)} if _begins(row) else kinds.get(row.writer, set())
        known = not said or _begins(row) or row.writer in said
        if keyed is None and known and not given and False not in kind:
            unchecked += 1
        elif keyed is None:
            wrong.append(f"{_place(row)} is not what was written" + _or_key(bool(given), kind))
        elif not known:
            wrong.append(f"{_place(row)} stands in a chain that the register does not know")
        elif {keyed} != kind:
            wrong.append(f"{_place(row)} is hashed otherwise than its chain")
        else:
            right += 1
    linked, broken = _follow(rows, said)
    named = tuple([*wrong, *broken][:MOST])
    return AuditFinding(
        rows=len(rows), right=right, linked=linked, unchecked=unchecked, wrong=named
    )


def _follow(rows: Sequence[AuditRow], begun: dict[str, AuditRow]) -> tuple[int, list[str]]:
    """How many rows follow from a row that is there, and those that should but do not."""
    linked, broken = 0, []
    for row, expected in _with_previous(rows, begun):
        if expected == row.previous_hash:
            linked += 1
        else:
            broken.append(f"{_place(row)} does not follow from the row before it")
    return linked, broken


def _with_previous(
    rows: Sequence[AuditRow], begun: dict[str, AuditRow]
) -> Iterator[tuple[AuditRow, str]]:
    """Each row with the hash that it must follow from, where that is known."""
    before: AuditRow | None = None
    for row in rows:  # by chain and sequence
        if before is not None and before[:2] == row[:2]:
            yield row, ""  # two rows in one place: no hash fits
        elif before is not None and (before.writer, before.sequence + 1) == row[:2]:
            yield row, before.hash
        elif row.sequence == 1 and row.writer == REGISTER:
            yield row, GENESIS
        elif row.sequence == 1 and row.writer in begun:
            yield row, begun[row.writer].hash
        before = row


def _keyed(row: AuditRow, known: Sequence[Sealer]) -> bool | None:
    """Whether the row's hash was made with a key; None if it is not right."""
    if row.hash:  # a row that cannot be hashed at all has an empty one
        for sealer in known:
            if sealer.hash(row) == row.hash:
                return sealer.keyed
    return None


def _begins(row: AuditRow) -> bool:
    return row.writer == REGISTER and row.action == BEGUN


def _claims_key(row: AuditRow) -> bool:
    """Whether a register's row says that its chain, and so the row itself, is made with a key."""
    try:
        detail: Any = msgspec.json.decode(row.detail)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return isinstance(detail, dict) and detail.get("keyed") is True


def _or_key(given: bool, kind: set[bool]) -> str:
    return ", or was hashed with another key" if given and False not in kind else ""


def _place(row: AuditRow) -> str:
    return f"{row.writer[:80]} row {row.sequence}"
