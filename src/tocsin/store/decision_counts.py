"""How people decided earlier alerts, counted by what those were about; moves with each decision."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Disposition, Prevalence
from tocsin.ports import RULE_HOST, rule_host
from tocsin.store import audit
from tocsin.store.bulk import BulkInsert
from tocsin.store.database import Database
from tocsin.store.tables import decision_counts, dispositions

VALUE_LIMIT = 256

Subject = tuple[str, str]  # kind and value
Subjects = tuple[Subject, ...]


class _Seen(msgspec.Struct):
    prevalence: tuple[Prevalence, ...] = ()


_seen = msgspec.json.Decoder(_Seen)
_subjects = msgspec.json.Decoder(Subjects)
_add = BulkInsert(
    decision_counts,
    ("kind", "value", "attacks", "harmless"),
    key=("kind", "value"),
    update={
        "attacks": "decision_counts.attacks + excluded.attacks",
        "harmless": "decision_counts.harmless + excluded.harmless",
    },
)


def subjects_of(contexts: Iterable[str]) -> Subjects:
    """What an alert is counted for: the values of its stored contexts, and its rule on its host."""
    found: dict[str, str] = {}
    for context in contexts:
        for seen in _seen.decode(context).prevalence:
            found.setdefault(seen.subject, seen.value[:VALUE_LIMIT])
    found.pop(RULE_HOST, None)
    if "rule" in found and "host" in found:
        found[RULE_HOST] = rule_host(found["rule"], found["host"]).value
    return tuple(found.items())


def stored_subjects(text: str | None) -> Subjects:
    """The subjects of a row of `dispositions`."""
    return _subjects.decode(text) if text else ()


class Change:
    """Decisions that came and went in one transaction, summed up by subject."""

    def __init__(self) -> None:
        self._attacks: Counter[Subject] = Counter()
        self._harmless: Counter[Subject] = Counter()

    def count(self, disposition: Disposition | None, subjects: Subjects, sign: int) -> None:
        """A decision that stands now (`sign` 1) or no longer (-1)."""
        if disposition is Disposition.TRUE_POSITIVE:
            counter = self._attacks
        elif disposition in (Disposition.BENIGN_POSITIVE, Disposition.FALSE_POSITIVE):
            counter = self._harmless
        else:
            return
        for subject in subjects:
            counter[subject] += sign

    def rows(self) -> list[tuple[str, str, int, int]]:
        """Rows to add, in the order of their key, so that writers' locks never cross."""
        keys = sorted(self._attacks.keys() | self._harmless.keys())
        return [
            (*key, self._attacks[key], self._harmless[key])
            for key in keys
            if self._attacks[key] or self._harmless[key]
        ]


def add(connection: Connection, change: Change) -> None:
    """Move the counts, within the caller's transaction."""
    _add(connection, change.rows())


def standing(*among: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Rows of `dispositions`, one for each decided alert: the newest that was not undone."""
    d = dispositions.c
    place = (
        sa.func.row_number()
        .over(partition_by=d.alert_id, order_by=(d.decided_at.desc(), d.disposition_id.desc()))
        .label("place")
    )
    ranked = sa.select(dispositions, place).where(d.undone_at.is_(None), *among).subquery("ranked")
    named = [ranked.c[column.name] for column in dispositions.columns]
    return sa.select(*named).where(ranked.c.place == 1)


class DecisionCountStore:
    """Reads the counts, and makes them anew from the decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, subjects: Sequence[Subject]) -> Mapping[Subject, tuple[int, int]]:
        """Attacks and harmless of each subject that has any."""
        c = decision_counts.c
        query = sa.select(c.kind, c.value, c.attacks, c.harmless).where(
            sa.tuple_(c.kind, c.value).in_(subjects)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def recount(self, *, actor: str = "cli") -> tuple[int, int]:
        """Count all standing decisions anew; gives how many rows there are and how many changed."""

        def change(connection: Connection) -> tuple[int, int]:
            if connection.dialect.name != "sqlite":  # decisions wait until the sums are written
                connection.exec_driver_sql("LOCK TABLE dispositions IN SHARE MODE")
                connection.exec_driver_sql("LOCK TABLE decision_counts IN EXCLUSIVE MODE")
            total = Change()
            decided = standing().subquery("decided")
            query = sa.select(decided.c.disposition, decided.c.subjects)
            for disposition, subjects in connection.execute(query):
                total.count(Disposition(disposition), stored_subjects(subjects), 1)
            right = {row[:2]: row[2:] for row in total.rows()}
            before = {
                (row.kind, row.value): (row.attacks, row.harmless)
                for row in connection.execute(sa.select(decision_counts))
            }
            wrong = {k for k in right.keys() | before.keys() if _nonzero(before, k) != right.get(k)}
            connection.execute(sa.delete(decision_counts))
            add(connection, total)
            done = {"rows": len(right), "changed": len(wrong)}
            audit.record(
                connection, audit.Entry(actor, "decisions.recounted", "decision_counts", done)
            )
            return len(right), len(wrong)

        return await self._database.write(change)


def _nonzero(
    counts: Mapping[tuple[str, str], tuple[int, int]], key: tuple[str, str]
) -> tuple[int, int] | None:
    found = counts.get(key)
    return found if found and any(found) else None
