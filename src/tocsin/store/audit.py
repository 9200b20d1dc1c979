"""The audit trail: who wrote what, in the transaction that wrote it, as chains of hashes.

Every connection that writes has a chain of its own, so that neither threads nor replicas queue
behind each other. The end of the chain is remembered and moved by an update that says what it was:
if the transaction before was rolled back, that update finds nothing, and the end is read again.
"""

import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.audit_chain import (
    BEGUN,
    GENESIS,
    REGISTER,
    AuditRow,
    Head,
    Sealer,
    sealers,
)
from tocsin.ports import Accepted
from tocsin.store.bulk import mark_of, marks
from tocsin.store.database import AUDIT_KEY
from tocsin.store.tables import audit_heads, audit_logs
from tocsin.store.types import instant_text

_STATE = "audit.writer"
_FIELD_LIMIT = 1024
PRUNED_AT_ONCE = 20_000  # rows of a chain that one transaction removes
_TYPES = ("text", "bigint", "timestamptz", "text", "text", "text", "json", "text", "text")
_json = msgspec.json.Encoder(order="sorted").encode


class Entry(NamedTuple):
    """Something that was done: by whom, what, on what, and how it came out."""

    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def batch(actor: str, action: str, ids: Collection[str], **detail: Any) -> Entry:
    """An entry for many things at once: how many, and a digest of their sorted ids."""
    listed = "\n".join(sorted(ids)).encode("utf-8", "backslashreplace")
    counted = {"count": len(ids), "digest": sha256(listed).hexdigest(), **detail}
    return Entry(actor, action, "alerts", counted)


def record(connection: Connection, *entries: Entry) -> None:
    """Append entries to this connection's chain, in the caller's transaction.

    Call it last: the first entry of a connection takes a lock that other connections may wait for.
    """
    state = connection.info.get(_STATE)
    if state is None:
        state = connection.info[_STATE] = _Writer(_sealer(connection))
    state.append(connection, entries)


def accepted(connection: Connection, answers: Sequence[Accepted]) -> None:
    """Record a commit of new alerts."""
    new = [answer.alert_id for answer in answers if not answer.duplicate]
    duplicates = len(answers) - len(new)
    record(connection, batch("ingest", "alerts.accepted", new, duplicates=duplicates))


def saved(
    connection: Connection,
    ids: Collection[str],
    step: str,
    filled: Sequence[str],
    following: str | None,
) -> None:
    """Record that a chain's results were stored, if any were."""
    if ids:
        found = {"step": step, "filled": list(filled), "next": following}
        record(connection, batch("pipeline", "alerts.saved", ids, **found))


def failed(connection: Connection, ids: Sequence[str], step: str, parked: Sequence[str]) -> None:
    """Record failed attempts, and the alerts that were parked after theirs."""
    entries = [batch("pipeline", "alerts.failed", ids, step=step)]
    if parked:
        entries.append(batch("pipeline", "alerts.parked", parked, step=step, parked=list(parked)))
    record(connection, *entries)


def imported(
    connection: Connection, actor: str, subject: str, ids: Collection[str], **detail: Any
) -> None:
    """Record that people brought in what triage should know."""
    entry = batch(actor, "records.imported", ids, **detail)
    record(connection, entry._replace(subject=subject))


class _Writer:
    """One connection's chain."""

    def __init__(self, sealer: Sealer) -> None:
        host = _clean(socket.gethostname())[:32]
        self._name = f"{host}-{os.getpid()}-{secrets.token_hex(6)}"
        self._sealer = sealer
        self._head = Head("", 0, "", 0, "")  # a guess, which the database confirms

    def append(self, connection: Connection, entries: Sequence[Entry]) -> None:
        rows, head = self._link(self._head, entries)
        if not _move(connection, self._head, head, rows):
            stored = _read_head(connection, self._name) or self._begin(connection)
            rows, head = self._link(stored, entries)
            if not _move(connection, stored, head, rows):
                raise RuntimeError(f"the audit chain {self._name} has another writer")
        self._head = head

    def _begin(self, connection: Connection) -> Head:
        """Enter this chain in the register; it goes on from the hash of that row."""
        _insert_head(connection, self._sealer.head(REGISTER, 0, GENESIS))
        register = _read_head(connection, REGISTER)
        assert register is not None
        entry = Entry("audit", BEGUN, self._name, {"keyed": self._sealer.keyed})
        rows, moved = self._link(register, [entry])
        _move(connection, register, moved, rows)
        head = self._sealer.head(self._name, 0, moved.hash)
        _insert_head(connection, head)
        return head

    def _link(self, head: Head, entries: Sequence[Entry]) -> tuple[list[AuditRow], Head]:
        now = instant_text(datetime.now(UTC))
        rows, sequence, last = [], head.sequence, head.hash
        for entry in entries:
            sequence += 1
            row = AuditRow(
                head.writer,
                sequence,
                now,
                _clean(entry.actor),
                _clean(entry.action),
                _clean(entry.subject),
                _detail(entry.detail),
                last,
                "",
            )
            last = self._sealer.hash(row)
            rows.append(row._replace(hash=last))
        return rows, self._sealer.head(head.writer, sequence, last, head.pruned)


def prune(connection: Connection, writer: str, before: datetime, actor: str) -> int:
    """Remove a chain's oldest rows, those from before a moment; gives how many.

    At most `PRUNED_AT_ONCE` go, so that nobody waits long for the transaction: ask again until
    none do. The head says from then on, sealed, up to where rows were removed, which also is what
    the database's triggers ask before they let rows go.
    """
    head = _read_head(connection, writer)
    if head is None:
        return 0
    last = min(head.sequence, head.pruned + PRUNED_AT_ONCE)
    kept = sa.select(sa.func.min(audit_logs.c.sequence)).where(
        audit_logs.c.writer == writer,
        audit_logs.c.sequence <= last,
        audit_logs.c.logged_at >= before,
    )
    first: int = connection.execute(kept).scalar() or last + 1
    if first - 1 <= head.pruned:
        return 0
    sealer = _sealer(connection)
    moved = sealer.head(writer, head.sequence, head.hash, first - 1)
    change = sa.update(audit_heads).where(audit_heads.c.writer == writer)
    connection.execute(change.values(pruned=moved.pruned, seal=moved.seal))
    gone = sa.delete(audit_logs).where(audit_logs.c.writer == writer, audit_logs.c.sequence < first)
    removed = connection.execute(gone).rowcount
    detail = {"count": removed, "before": instant_text(before), "up_to": first - 1}
    record(connection, Entry(actor, "audit.pruned", writer, detail))
    return removed


def _sealer(connection: Connection) -> Sealer:
    """With the first of the database's keys, if it has any."""
    key = str(connection.get_execution_options().get(AUDIT_KEY, ""))
    return next(iter(sealers(key)), Sealer())


def _move(connection: Connection, old: Head, new: Head, rows: Sequence[AuditRow]) -> bool:
    """Write rows and the head after them, if the stored head is still the old one."""
    if not rows:
        return True
    change = (new.sequence, new.hash, new.pruned, new.seal, *old[:-1])
    values = chain.from_iterable(rows)
    if connection.dialect.name != "sqlite":  # one statement, one journey
        result = connection.exec_driver_sql(_move_and_insert(len(rows)), (*change, *values))
        return result.rowcount == len(rows)
    if connection.exec_driver_sql(_update_head("?"), change).rowcount != 1:
        return False
    connection.exec_driver_sql(_insert_rows(len(rows)), tuple(values))
    return True


def _read_head(connection: Connection, writer: str) -> Head | None:
    """The stored head, held against other writers until the transaction ends."""
    mark = mark_of(connection)
    query = f"SELECT {', '.join(Head._fields)} FROM audit_heads WHERE writer = {mark}"
    if mark != "?":
        query += " FOR UPDATE"
    found = connection.exec_driver_sql(query, (writer,)).first()
    return None if found is None else Head(*found)


def _insert_head(connection: Connection, head: Head) -> None:
    connection.exec_driver_sql(
        f"INSERT INTO audit_heads ({', '.join(Head._fields)}) "
        f"VALUES {marks(len(head), mark_of(connection))} ON CONFLICT (writer) DO NOTHING",
        tuple(head),
    )


def _update_head(mark: str) -> str:
    return (
        f"UPDATE audit_heads SET sequence = {mark}, hash = {mark}, pruned = {mark}, seal = {mark} "
        f"WHERE writer = {mark} AND sequence = {mark} AND hash = {mark} AND pruned = {mark}"
    )


@lru_cache(maxsize=16)
def _insert_rows(count: int) -> str:
    values = ", ".join([marks(len(_TYPES), "?")] * count)
    return f"INSERT INTO audit_logs ({', '.join(AuditRow._fields)}) VALUES {values}"


@lru_cache(maxsize=16)
def _move_and_insert(count: int) -> str:
    row = f"({', '.join(f'CAST(%s AS {kind})' for kind in _TYPES)})"
    return (
        f"WITH moved AS ({_update_head('%s')} RETURNING 1) "
        f"INSERT INTO audit_logs ({', '.join(AuditRow._fields)}) "
        f"SELECT v.* FROM moved, (VALUES {', '.join([row] * count)}) AS v"
    )


def _clean(text: str) -> str:
    """Text that both databases store and give back unchanged."""
    bounded = text[:_FIELD_LIMIT].encode("utf-8", "backslashreplace").decode()
    return bounded.replace("\0", "\\0")


def _detail(detail: Mapping[str, Any]) -> str:
    return _json({name: _cleaned(value) for name, value in detail.items()}).decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        return {_clean(str(name)): _cleaned(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part) for part in value]
    return value
