"""Ways to tamper with an audit trail behind its back, chosen and placed at random.

Each takes a chance and a connection (the triggers are dropped already),
changes the tables `audit_logs` and `audit_heads`, and says what it did.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.audit_chain import REGISTER, AuditRow, Head, Sealer
from tocsin.store.tables import audit_heads, audit_logs
from tocsin.store.types import instant_text

Row = dict[str, Any]
FAR = 1_000_000
PLAIN = Sealer()
logs, heads = audit_logs.c, audit_heads.c


def drop_triggers(connection: Connection) -> None:
    """What stands between an attacker and the rows, and falls at once."""
    names = ("no_update", "no_delete") if _sqlite(connection) else ("no_change", "no_truncate")
    for name in names:
        on = "" if _sqlite(connection) else " ON audit_logs"
        connection.exec_driver_sql(f"DROP TRIGGER audit_logs_{name}{on}")


def edit_column(chance: random.Random, connection: Connection) -> str:
    row = _some(chance, connection)
    name = chance.choice([c for c in AuditRow._fields if c != "writer"])
    _change(connection, row, **{name: _other(chance, name, row[name])})
    return name


def delete_row(chance: random.Random, connection: Connection) -> str:
    _delete(connection, _some(chance, connection))
    return "one"


def delete_range(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection)
    first = chance.randrange(len(rows))
    last = chance.randrange(first, len(rows))
    for row in rows[first : last + 1]:
        _delete(connection, row)
    return f"{first}-{last}"


def cut_off(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection)
    kept = chance.randrange(len(rows))
    for row in rows[kept:]:
        _delete(connection, row)
    return f"after {kept}"


def cut_off_and_move_head(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection, at_least=2)
    kept = chance.randrange(1, len(rows))
    for row in rows[kept:]:
        _delete(connection, row)
    last = rows[kept - 1]
    change = sa.update(audit_heads).where(heads.writer == last["writer"])
    connection.execute(change.values(sequence=last["sequence"], hash=last["hash"]))
    return f"after {kept}"


def delete_chain(chance: random.Random, connection: Connection) -> str:
    writer = chance.choice(_writers(connection))
    connection.execute(sa.delete(audit_logs).where(logs.writer == writer))
    also = chance.choice(("", "head", "head and register"))
    if also:
        connection.execute(sa.delete(audit_heads).where(heads.writer == writer))
    if also == "head and register":
        connection.execute(sa.delete(audit_logs).where(logs.subject == writer))
    return f"{writer} {also}"


def delete_everything(chance: random.Random, connection: Connection) -> str:
    connection.execute(sa.delete(audit_logs))
    if chance.random() < 0.5:
        connection.execute(sa.delete(audit_heads))
    return ""


def append_copy(chance: random.Random, connection: Connection) -> str:
    last = _chain(chance, connection)[-1]
    _insert(connection, {**last, "sequence": last["sequence"] + 1})
    return "the last row again"


def append_forged(chance: random.Random, connection: Connection) -> str:
    last = _chain(chance, connection)[-1]
    _insert(connection, _forge(last, actor="somebody", subject="nothing"))
    return "with a right plain hash"


def swap_sequences(chance: random.Random, connection: Connection) -> str:
    one, other = chance.sample(_chain(chance, connection, at_least=2), 2)
    _change(connection, one, sequence=FAR)
    _change(connection, other, sequence=one["sequence"])
    _change(connection, {**one, "sequence": FAR}, sequence=other["sequence"])
    return f"{one['sequence']} and {other['sequence']}"


def swap_contents(chance: random.Random, connection: Connection) -> str:
    one, other = chance.sample(_rows(connection), 2)
    names = chance.choice([AuditRow._fields[2:], AuditRow._fields[2:7], AuditRow._fields[8:]])
    _change(connection, one, **{name: other[name] for name in names})
    _change(connection, other, **{name: one[name] for name in names})
    return ", ".join(names)


def move_to_another_chain(chance: random.Random, connection: Connection) -> str:
    row = _some(chance, connection)
    writers = [writer for writer in _writers(connection) if writer != row["writer"]]
    writer = chance.choice(writers)
    last = max(r["sequence"] for r in _rows(connection) if r["writer"] == writer)
    _change(connection, row, writer=writer, sequence=last + 1)
    return f"to {writer}"


def close_the_gap(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection, at_least=2)
    gone = chance.randrange(len(rows) - 1)
    _delete(connection, rows[gone])
    for row in rows[gone + 1 :]:
        _change(connection, row, sequence=row["sequence"] - 1)
    change = sa.update(audit_heads).where(heads.writer == rows[0]["writer"])
    connection.execute(change.values(sequence=heads.sequence - 1))
    return f"over row {gone + 1}"


def edit_head(chance: random.Random, connection: Connection) -> str:
    writer = chance.choice(_writers(connection))
    name = chance.choice(("sequence", "hash", "pruned", "seal"))
    row = connection.execute(sa.select(audit_heads).where(heads.writer == writer)).mappings().one()
    value = row[name] + 1 if isinstance(row[name], int) else _other(chance, name, row[name])
    connection.execute(sa.update(audit_heads).where(heads.writer == writer).values({name: value}))
    return name


def delete_head(chance: random.Random, connection: Connection) -> str:
    writer = chance.choice(_writers(connection))
    connection.execute(sa.delete(audit_heads).where(heads.writer == writer))
    return writer


def rename_chain(chance: random.Random, connection: Connection) -> str:
    writer = chance.choice(_writers(connection))
    connection.execute(sa.update(audit_logs).where(logs.writer == writer).values(writer="other"))
    connection.execute(sa.update(audit_heads).where(heads.writer == writer).values(writer="other"))
    return writer


def forge_chain(chance: random.Random, connection: Connection) -> str:
    like = _some(chance, connection)
    row = _forge({**like, "writer": "forged", "sequence": 0})
    _insert(connection, row)
    _insert_head(connection, PLAIN.head("forged", 1, row["hash"]))
    return "right in itself"


def pretend_retention(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection)
    upto = chance.randrange(1, len(rows) + 1)
    for row in rows[:upto]:
        _delete(connection, row)
    change = sa.update(audit_heads).where(heads.writer == rows[0]["writer"])
    connection.execute(change.values(pruned=upto))
    return f"up to {upto}"


def rewrite_plainly(chance: random.Random, connection: Connection) -> str:
    """Change a row and make all hashes after it anew, by who does not know the key."""
    rows = _chain(chance, connection)
    place = chance.randrange(len(rows))
    _rewrite(connection, rows[place:], rows[place]["previous_hash"])
    return f"from row {place + 1}"


def rewrite_everything_plainly(_: random.Random, connection: Connection) -> str:
    rows = _rows(connection)
    begun: dict[str, str] = {}
    for row in _rewrite(connection, [r for r in rows if r["writer"] == REGISTER], "0" * 64):
        begun[row["subject"]] = row["hash"]
    for writer, first in begun.items():
        _rewrite(connection, [r for r in rows if r["writer"] == writer], first, actor="nobody")
    return ""


def cut_off_and_seal_plainly(chance: random.Random, connection: Connection) -> str:
    rows = _chain(chance, connection)
    kept = chance.randrange(len(rows))
    for row in rows[kept:]:
        _delete(connection, row)
    last = rows[kept - 1]["hash"] if kept else rows[0]["previous_hash"]
    _seal(connection, rows[0]["writer"], kept, last, chance.choice((0, kept)))
    return f"after {kept}"


Tampering = Callable[[random.Random, Connection], str]
TAMPERINGS: tuple[Tampering, ...] = (
    edit_column, edit_column, edit_column, delete_row, delete_range, cut_off,
    cut_off_and_move_head, delete_chain, delete_everything, append_copy, append_forged,
    swap_sequences, swap_contents, move_to_another_chain, close_the_gap, edit_head, delete_head,
    rename_chain, forge_chain, pretend_retention,
)  # fmt: skip
WITHOUT_THE_KEY: tuple[Tampering, ...] = (
    rewrite_plainly, rewrite_everything_plainly, cut_off_and_seal_plainly,
)  # fmt: skip


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _rows(connection: Connection) -> list[Row]:
    query = sa.select(audit_logs).order_by(logs.writer, logs.sequence)
    return [dict(row) for row in connection.execute(query).mappings()]


def _writers(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(heads.writer).order_by(heads.writer)).scalars())


def _some(chance: random.Random, connection: Connection) -> Row:
    return chance.choice(_rows(connection))


def _chain(chance: random.Random, connection: Connection, at_least: int = 1) -> list[Row]:
    rows = _rows(connection)
    chains = [[r for r in rows if r["writer"] == w] for w in _writers(connection)]
    return chance.choice([chain for chain in chains if len(chain) >= at_least])


def _place(row: Row) -> sa.ColumnElement[bool]:
    return sa.and_(logs.writer == row["writer"], logs.sequence == row["sequence"])


def _change(connection: Connection, row: Row, **values: Any) -> None:
    assert connection.execute(sa.update(audit_logs).where(_place(row)).values(values)).rowcount == 1


def _delete(connection: Connection, row: Row) -> None:
    assert connection.execute(sa.delete(audit_logs).where(_place(row))).rowcount == 1


def _insert(connection: Connection, row: Row) -> None:
    connection.execute(sa.insert(audit_logs), row)


def _insert_head(connection: Connection, head: Head) -> None:
    connection.execute(sa.insert(audit_heads), head._asdict())


def _other(chance: random.Random, name: str, value: Any) -> Any:
    """A different value that the column takes."""
    if name == "sequence":
        return value + FAR
    if name == "logged_at":
        return value + timedelta(microseconds=chance.choice((-1, 1, 3_600_000_000)))
    if name == "detail":
        return chance.choice((value + " ", value.replace(":", ": ", 1), '{"count":0}'))
    place = chance.randrange(len(value))
    return value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]


def _hash(row: Row) -> str:
    fields = {**row, "logged_at": instant_text(row["logged_at"])}
    return PLAIN.hash(AuditRow(**fields))


def _forge(last: Row, **values: Any) -> Row:
    """The next row of a chain, as who has read the code would make it."""
    row = {**last, **values, "sequence": last["sequence"] + 1, "previous_hash": last["hash"]}
    return {**row, "hash": _hash(row)}


def _rewrite(connection: Connection, rows: list[Row], last: str, **values: Any) -> list[Row]:
    written = []
    for row in rows:
        new = {**row, **values, "previous_hash": last}
        new["hash"] = last = _hash(new)
        _change(connection, row, **new)
        written.append(new)
    _seal(connection, rows[0]["writer"], rows[-1]["sequence"], last)
    return written


def _seal(connection: Connection, writer: str, sequence: int, last: str, pruned: int = 0) -> None:
    head = PLAIN.head(writer, sequence, last, pruned)
    change = sa.update(audit_heads).where(heads.writer == writer)
    connection.execute(change.values(head._asdict()))
