"""Decisions for those who read them: one alert's history, exports, and what is learned from."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Decided, Disposition, Dossier, Example, Record
from tocsin.store import reading
from tocsin.store.database import Database
from tocsin.store.decision_counts import standing
from tocsin.store.tables import alerts, decision_counts, dispositions
from tocsin.store.undecided import undecided

PORTION = 500
MOST_UNDECIDED = 5_000  # alerts
LONGEST_PAYLOAD = 16_384  # characters of what was sent that is learned from; longer is left out
FIELDS = ("alert", "context", "intel", "verdict")


class Decision(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One decision: who, what, why and when; whether it stands, or who undid it and when."""

    disposition_id: str
    alert_id: str
    disposition: Disposition
    reason: str
    actor: str
    decided_at: datetime
    stands: bool
    bulk_id: str | None = None
    undone_at: datetime | None = None
    undone_by: str | None = None


class Teaching(NamedTuple):
    """What can be learned from, and how all alerts of each rule stood decided at that moment.

    `undecided` are alerts of rules that nobody had decided on.
    """

    examples: list[Example]
    by_rule: dict[str, Decided]
    undecided: list[Dossier]


class DecidedStore:
    """Reads decisions; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, alert_id: str) -> list[Decision] | None:
        """All decisions on an alert, newest first; None when there is no such alert.

        An alert that retention deleted is still known by its decisions.
        """
        d = dispositions.c
        query = sa.select(dispositions).where(d.alert_id == alert_id)
        query = query.order_by(d.decided_at.desc(), d.disposition_id.desc())
        there = sa.select(alerts.c.alert_id).where(alerts.c.alert_id == alert_id)

        def ask(connection: Connection) -> list[Decision] | None:
            found = connection.execute(query).all()
            if not found and connection.execute(there).first() is None:
                return None
            return _decisions(found)

        return await self._database.read(ask)

    async def counts(self) -> dict[Disposition, int]:
        """How many alerts stand decided, by disposition."""
        decided = standing().subquery("decided")
        query = sa.select(decided.c.disposition, sa.func.count()).group_by(decided.c.disposition)
        return await self._database.read(
            lambda c: {Disposition(row[0]): int(row[1]) for row in c.execute(query)}
        )

    async def scan(self) -> AsyncIterator[list[tuple[Decision, str | None]]]:
        """All standing decisions in order of their alerts, with the payloads, in portions.

        The payload is None for an alert that retention deleted.
        """
        after = ""
        while True:
            portion = await self._database.read(partial(_portion, after=after))
            if portion:
                yield portion
            if len(portion) < PORTION:
                return
            after = portion[-1][0].alert_id

    async def stored_by(self, moment: datetime) -> set[str]:
        """The alerts whose standing decision was stored by then."""
        decided = standing().subquery("decided")
        query = sa.select(decided.c.alert_id).where(decided.c.stored_at <= moment)
        return await self._database.read(lambda c: set(c.execute(query).scalars()))

    async def teaching(self, limit: int) -> Teaching:
        """The newest standing decisions that say what an alert was, oldest first.

        Left out are the undetermined ones, and alerts that retention has deleted. What was sent is
        learned from, unless it is so long that many such would fill the memory. Beside them stand
        alerts of rules that nobody has decided on, whose level is learned.

        Args:
            limit: the most examples; each holds a dossier of some KB.
        """
        decided = standing().subquery("decided")
        query = (
            sa.select(decided.c.alert_id, decided.c.disposition, decided.c.decided_at)
            .where(decided.c.disposition != Disposition.UNDETERMINED.value)
            .order_by(decided.c.decided_at.desc(), decided.c.alert_id.desc())
            .limit(limit)
        )

        def read(connection: Connection) -> tuple[Sequence[Any], dict[str, Decided]]:
            return connection.execute(query).all(), _by_rule(connection)

        named, by_rule = await self._database.read(read)
        dossiers = {d.alert_id: d for d in await self._judged([row.alert_id for row in named])}
        found = [
            Example(
                dossier=dossiers[row.alert_id],
                disposition=Disposition(row.disposition),
                decided_at=row.decided_at,
            )
            for row in reversed(named)
            if row.alert_id in dossiers
        ]
        others = await self._database.read(
            partial(undecided, decided=by_rule, limit=MOST_UNDECIDED)
        )
        return Teaching(found, by_rule, await self._judged(others))

    async def _judged(self, ids: Sequence[str]) -> list[Dossier]:
        """The dossiers of these alerts that have a verdict, without very long payloads."""
        found: list[Dossier] = []
        for start in range(0, len(ids), PORTION):
            some = ids[start : start + PORTION]
            loaded = await self._database.read(partial(reading.load, ids=some, filled=FIELDS))
            found += [_shortened(dossier) for dossier in loaded if dossier.verdict is not None]
        return found


def _shortened(dossier: Dossier) -> Dossier:
    if len(dossier.payload) <= LONGEST_PAYLOAD:
        return dossier
    return msgspec.structs.replace(dossier, payload="")


def _by_rule(connection: Connection) -> dict[str, Decided]:
    c = decision_counts.c
    query = sa.select(c.value, c.attacks, c.harmless).where(c.kind == "rule")
    return {
        value: Decided(attacks=attacks, harmless=harmless)
        for value, attacks, harmless in connection.execute(query)
    }


def _portion(connection: Connection, after: str) -> list[tuple[Decision, str | None]]:
    decided = standing(dispositions.c.alert_id > after).subquery("decided")
    query = (
        sa.select(decided, alerts.c.raw_data)
        .outerjoin(alerts, alerts.c.alert_id == decided.c.alert_id)
        .order_by(decided.c.alert_id)
        .limit(PORTION)
    )
    rows = connection.execute(query).all()
    return [(_decision(row, stands=True), row.raw_data) for row in rows]


def _decisions(rows: Sequence[Any]) -> list[Decision]:
    """Rows of one alert, newest first: the first that was not undone stands."""
    stands = next((row.disposition_id for row in rows if row.undone_at is None), None)
    return [_decision(row, stands=row.disposition_id == stands) for row in rows]


def _decision(row: Any, *, stands: bool) -> Decision:
    return Decision(
        disposition_id=row.disposition_id,
        alert_id=row.alert_id,
        disposition=Disposition(row.disposition),
        reason=row.reason,
        actor=row.actor,
        decided_at=row.decided_at,
        stands=stands,
        bulk_id=row.bulk_id,
        undone_at=row.undone_at,
        undone_by=row.undone_by,
    )
