"""Leases: who may do, for a while, what only one process may do at once."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.bulk import BulkInsert
from tocsin.store.clock import WorkClock
from tocsin.store.database import Database
from tocsin.store.tables import leases

_enter = BulkInsert(leases, ("name", "until", "done_at"), key=("name",))


class LeaseStore:
    """Takes turns between processes on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = WorkClock()

    async def take(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease; False while somebody else does, and not longer than their seconds."""

        def change(connection: Connection) -> bool:
            now = self._clock.now(connection)
            _enter(connection, [(name, 0.0, now)])
            free = sa.and_(leases.c.name == name, leases.c.until <= now)
            held = sa.update(leases).where(free).values(owner=owner, until=now + seconds)
            return connection.execute(held).rowcount == 1

        return await self._database.write(change)

    async def give_back(self, name: str, owner: str) -> None:
        """What was to be done is done; nobody need wait for the lease to run out."""
        mine = sa.and_(leases.c.name == name, leases.c.owner == owner)

        def change(connection: Connection) -> None:
            done = {"owner": None, "until": 0.0, "done_at": self._clock.now(connection)}
            connection.execute(sa.update(leases).where(mine).values(**done))

        await self._database.write(change)

    async def since_done(self, name: str) -> float:
        """Seconds since it was done last; at first, since somebody asked for the first time."""
        query = sa.select(leases.c.done_at).where(leases.c.name == name)

        def ask(connection: Connection) -> float | None:
            found = connection.execute(query).scalar()
            return None if found is None else max(0.0, self._clock.now(connection) - float(found))

        def enter(connection: Connection) -> None:
            _enter(connection, [(name, 0.0, self._clock.now(connection))])

        seconds = await self._database.read(ask)
        if seconds is None:
            await self._database.write(enter)
        return seconds or 0.0
