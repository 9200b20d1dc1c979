"""The pipeline's side of the store: accept, claim, load, save, fail, sweep.

Every function here works on a batch in one transaction. A write advances the work rows first
(`WHERE step = … AND lease_owner = …`) and then stores only what it advanced, so a second delivery
changes nothing and two workers cannot both store an alert.
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin import metrics
from tocsin.model import AlertStatus, Dossier
from tocsin.ports import Accepted, Failure, Grouping, NewAlert
from tocsin.store import audit, closures, history, incidents, opinions, reading, rows, statements
from tocsin.store.clock import WorkClock
from tocsin.store.copying import Row
from tocsin.store.database import Database
from tocsin.store.tables import alert_work
from tocsin.store.types import stamp_of

WRITERS = 16


class DossierStore:
    """Alerts and everything the pipeline found, for one owner (one process).

    Args:
        database: where.
        owner: names the holder of leases; unique per process start.
        first_step: the step that new alerts wait for.
        follow_ups: the steps that follow a verdict; what waits for them is triaged already.
        grouping: the rules by which alerts become incidents.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        first_step: str,
        follow_ups: Collection[str],
        grouping: Grouping,
    ) -> None:
        self._database = database
        self._follow_ups = follow_ups
        self._grouping = grouping
        self._owner = owner
        self._first_step = first_step
        self.queue = opinions.NOBODY  # `app.py` says on which verdicts second opinions are wanted
        self._writer = f"w{sum(owner.encode()) % WRITERS:02d}"
        self._stamp = stamp_of("sqlite" if database.sqlite else "postgresql")
        self._clock = WorkClock()

    # --- accepting ------------------------------------------------------------------------------

    async def accept(self, new: Sequence[NewAlert]) -> list[Accepted]:
        """See `ports.Intake.accept`."""
        return await self._database.write(lambda connection: self._accept(connection, list(new)))

    def _accept(self, connection: Connection, new: Sequence[NewAlert]) -> list[Accepted]:
        answers = self._place(connection, new)
        homeless = [place for place, answer in enumerate(answers) if answer is None]
        if homeless:
            renamed = [
                replace(new[place], alert_id=new[place].fallback_id, key=new[place].digest)
                for place in homeless
            ]
            for place, answer in zip(homeless, self._place(connection, renamed), strict=True):
                answers[place] = answer and replace(answer, renamed=True)
        settled = [answer for answer in answers if answer is not None]
        audit.accepted(connection, settled)
        return settled

    def _place(self, connection: Connection, new: Sequence[NewAlert]) -> list[Accepted | None]:
        """Store what is new; None for alerts whose key belongs to other content."""
        first = {alert.key: alert for alert in reversed(new)}
        inserted = self._claim_keys(connection, first)
        taken = statements.give_back_taken(connection, [first[key] for key in inserted])
        fresh = [a for a in new if first[a.key] is a and a.key in inserted and a.key not in taken]
        now = self._clock.now(connection)
        received = AlertStatus.RECEIVED.value
        statements.insert_alerts(
            connection,
            [
                (a.alert_id, self._stamp(a.received_at), a.source, received, a.payload)
                for a in fresh
            ],
        )
        statements.insert_work(
            connection, [(a.alert_id, self._first_step, now, now) for a in fresh]
        )
        self._count(connection, received=len(fresh))
        if len(fresh) == len(new):
            return [Accepted(alert.alert_id) for alert in new]
        stored = reading.stored_keys(connection, [a.key for a in new if a.key not in taken])
        mine = {id(alert) for alert in fresh}
        return [reading.answer(alert, stored.get(alert.key), id(alert) in mine) for alert in new]

    def _claim_keys(self, connection: Connection, first: dict[bytes, NewAlert]) -> set[bytes]:
        """Write the keys that are not stored yet; gives those."""
        known = reading.known_keys(connection, list(first)) if self._database.sqlite else set()
        new = [(a.key, a.alert_id, a.digest) for a in first.values() if a.key not in known]
        if self._database.sqlite:  # nobody else writes before this transaction ends
            statements.insert_keys(connection, new)
            return first.keys() - known
        return set(statements.insert_new_keys(connection, new))

    async def in_flight(self) -> int:
        """See `ports.Intake.in_flight`."""
        query = sa.select(sa.func.count()).select_from(alert_work)
        waiting = query.where(
            alert_work.c.parked_at.is_(None), alert_work.c.step.not_in(self._follow_ups)
        )
        return int(await self._database.read(lambda c: c.execute(waiting).scalar_one()))

    # --- working ----------------------------------------------------------------------------------

    async def claim(self, step: str, ids: Sequence[str], lease: float) -> set[str]:
        """Lease the work rows that wait for `step` and nobody holds.

        Args:
            step: the step's name.
            ids: at most a batch of alert ids, each once.
            lease: seconds until the sweeper may give the work to somebody else.

        Returns:
            The ids that this owner holds now.
        """

        def change(connection: Connection) -> set[str]:
            now = self._clock.now(connection)
            changed = statements.claim(
                connection, step, ids, self._owner, now=now, until=now + lease
            )
            if changed in (0, len(ids)):
                return set(ids) if changed else set()
            return reading.waiting_ids(connection, ids, step, self._owner, lock=False)

        return await self._database.write(change, durable=False)

    async def renew(self, step: str, ids: Sequence[str], lease: float) -> None:
        """Hold what this owner holds of these for another `lease` seconds."""

        def change(connection: Connection) -> None:
            until = self._clock.now(connection) + lease
            statements.renew(connection, step, ids, self._owner, until=until)

        await self._database.write(change, durable=False)

    async def load(self, ids: Sequence[str], filled: Sequence[str] = ()) -> list[Dossier]:
        """The dossiers of these alerts, with the fields that the steps before have `filled`.

        Fields: `alert`, `context`, `intel`, `verdict`. Ids that do not exist are left out; the
        order is that of `ids`.
        """
        return await self._database.read(lambda connection: reading.load(connection, ids, filled))

    async def save(
        self,
        step: str,
        done: Sequence[Dossier],
        filled: Sequence[str],
        next_step: str | None,
        onward: Container[str] | None = None,
    ) -> list[str]:
        """Store what the chain that began with `step` found, and advance the work.

        Args:
            step: the step that the work rows wait for.
            done: the dossiers.
            filled: the fields that were filled since `step` began.
            next_step: what the alerts of `onward` wait for now; None when all are done.
            onward: the alerts that the next step wants, None for all; the others are done.

        Returns:
            The ids that were advanced; the others belong to somebody else by now.
        """
        saved = await self._database.write(
            lambda connection: self._save(connection, step, done, filled, next_step, onward),
            durable=False,
        )
        if "verdict" in filled:
            closures.count(saved)
        return [d.alert_id for d in saved]

    def _save(
        self,
        connection: Connection,
        step: str,
        done: Sequence[Dossier],
        filled: Sequence[str],
        next_step: str | None,
        onward: Container[str] | None,
    ) -> list[Dossier]:
        ours = self._advance(connection, step, done, next_step, onward)
        mine = [dossier for dossier in done if dossier.alert_id in ours]
        triaged = "verdict" in filled
        if triaged:
            mine = closures.settle(connection, mine, self.queue.request(connection, mine))
        status = AlertStatus.TRIAGED if triaged else AlertStatus.RECEIVED
        now = self._stamp(datetime.now(UTC))
        with metrics.spent("rows"):
            made = rows.made(
                mine, filled, lambda d: closures.status_of(d, status), now, self._stamp
            )
        statements.update_alerts(connection, made.alerts)
        statements.finish_alerts(connection, made.ends)
        statements.insert_context(connection, made.contexts)
        statements.insert_triage(connection, made.verdicts)
        # Rows that other workers write too come last, in the order of their keys: locks are held
        # for as short as can be, and two workers take them in the same order.
        statements.insert_intel(connection, made.intel)
        history.record(connection, made.prevalence)
        if "links" in filled:
            incidents.follow(connection, mine, self._grouping)
            self._count(connection, followed=len(mine))
        if triaged:
            closures.record(connection, mine, now)
            self._count(connection, triaged=len(mine))
        audit.saved(connection, ours, step, filled, next_step)
        return mine

    def _advance(
        self,
        connection: Connection,
        step: str,
        done: Sequence[Dossier],
        next_step: str | None,
        onward: Container[str] | None,
    ) -> set[str]:
        ids = [dossier.alert_id for dossier in done]
        ours = reading.waiting_ids(connection, ids, step, self._owner, lock=True)
        going = {i for i in ours if next_step and (onward is None or i in onward)}
        statements.delete_work(connection, [i for i in ours if i not in going])
        now = self._clock.now(connection)
        statements.update_work(
            connection,
            [
                (d.alert_id, next_step, now, now, 0, 0.0, None, rows.text(d.gaps))
                for d in done
                if d.alert_id in going
            ],
        )
        return ours

    # --- failing ----------------------------------------------------------------------------------

    async def fail(
        self, step: str, failures: Sequence[Failure], *, max_attempts: int, pause: float
    ) -> list[str]:
        """Count a failed attempt of each; try again after a growing pause, or park.

        Args:
            step: the step that the work rows wait for.
            failures: what went wrong, one per alert.
            max_attempts: attempts after which an alert is parked.
            pause: seconds before the second attempt; doubles with each.

        Returns:
            The ids that were parked.
        """
        return await self._database.write(
            lambda c: self._fail(c, step, failures, max_attempts, pause)
        )

    def _fail(
        self,
        connection: Connection,
        step: str,
        failures: Sequence[Failure],
        most: int,
        pause: float,
    ) -> list[str]:
        now = self._clock.now(connection)
        parked = [
            failure.alert_id
            for failure in failures
            if statements.count_attempt(
                connection,
                (failure.alert_id, step, self._owner),
                f"{failure.step}: {failure.error}",
                max_attempts=0 if failure.final else most,
                pause=pause,
                now=now,
            )
        ]
        if step not in self._follow_ups:  # an alert that was triaged stays so
            statements.set_status(connection, parked, AlertStatus.PARKED)
            self._count(connection, parked=len(parked))
        audit.failed(connection, [failure.alert_id for failure in failures], step, parked)
        return parked

    async def unpark(self, alert_id: str, *, actor: str = "api") -> AlertStatus | None:
        """Give a parked alert or follow-up its attempts back.

        Returns:
            The alert's status; None when nothing of it is parked.
        """

        def change(connection: Connection) -> AlertStatus | None:
            step = statements.unpark(connection, alert_id, self._clock.now(connection))
            if step is None:
                return None
            status = AlertStatus.TRIAGED
            if step not in self._follow_ups:
                status = AlertStatus.RECEIVED
                statements.set_status(connection, [alert_id], status)
                self._count(connection, parked=-1)
            entry = audit.Entry(actor, "alert.unparked", alert_id, {"step": step})
            audit.record(connection, entry)
            return status

        return await self._database.write(change)

    async def reopen(self, alert_id: str, *, actor: str) -> bool:
        """Give an alert that a policy closed back to people; False when none did."""
        return await self._database.write(lambda c: reopen(c, alert_id, actor))

    async def now(self) -> float:
        """The time that counts for leases, pauses and bells."""
        return await self._database.read(self._clock.now)

    async def due(self, step: str, *, rung_before: float, limit: int) -> list[str]:
        """Ids that wait for `step` and that nobody works on: ring for them again.

        Args:
            step: the step's name.
            rung_before: as `now` tells it; a bell that rang later may still be heard. Alerts whose
                pause after a failed attempt is over are due whenever it rang.
            limit: the most ids; those that waited longest come first.
        """

        def change(connection: Connection) -> list[str]:
            found = statements.due(step, rung_before, limit, self._clock.now(connection))
            return list(connection.execute(found).scalars())

        return await self._database.write(change, durable=False)

    async def release(self, *, everyone: bool = False) -> None:
        """Give back the leases of this owner, so that others need not wait for them to run out.

        Args:
            everyone: of all owners; only for a process that knows itself to be alone.
        """
        owner = None if everyone else self._owner
        await self._database.write(lambda c: statements.release(c, owner), durable=False)

    async def forget(self, ids: Sequence[str]) -> int:
        """Delete alerts and all that was found about them; gives how many there were.

        Their keys stay: an id is never given twice, and the same alert sent again is still known.
        People's decisions stay too, since triage learns from them. Alerts in flight or parked are
        left alone; what would have followed the verdict of a forgotten one is forgotten as well.
        """

        def change(connection: Connection) -> int:
            free, gone = statements.forget(connection, ids, self._follow_ups)
            closures.forget(connection, free)
            opinions.forget(connection, free)
            incidents.forget(connection, free)
            audit.record(connection, audit.batch("retention", "alerts.forgotten", free))
            return gone

        return await self._database.write(change)

    def _count(self, connection: Connection, **counts: int) -> None:
        changed = [(self._writer, name, count) for name, count in counts.items() if count]
        statements.add_count(connection, changed)


def reopen(connection: Connection, alert_id: str, actor: str) -> bool:
    """See `DossierStore.reopen`; within a transaction."""
    if not closures.reopen(connection, alert_id, actor):
        return False
    statements.reopen(connection, alert_id)
    audit.record(connection, audit.Entry(actor, "alert.reopened", alert_id, {}))
    return True


def review(connection: Connection, status: AlertStatus, reviewed: Sequence[Row]) -> None:
    """Write what people decided, within the caller's transaction.

    Rows: alert id, reviewer, notes and (stamped) moment; None where no decision stands any more.
    """
    statements.set_status(connection, [row[0] for row in reviewed], status)
    statements.update_review(connection, reviewed)
