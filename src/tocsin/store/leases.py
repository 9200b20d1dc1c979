"""Leases: who may do, for a while, what only one process may do at once."""

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.bulk import BulkInsert
from tocsin.store.database import Database
from tocsin.store.tables import leases

_enter = BulkInsert(leases, ("name", "until", "done_at"), key=("name",))


class LeaseStore:
    """Takes turns between processes on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease; False while somebody else does, and not longer than their seconds."""

        def change(connection: Connection) -> bool:
            now = time.time()
            _enter(connection, [(name, 0.0, now)])
            free = sa.and_(leases.c.name == name, leases.c.until <= now)
            held = sa.update(leases).where(free).values(owner=owner, until=now + seconds)
            return connection.execute(held).rowcount == 1

        return await self._database.write(change)

    async def give_back(self, name: str, owner: str) -> None:
        """What was to be done is done; nobody need wait for the lease to run out."""
        now = time.time()
        mine = sa.and_(leases.c.name == name, leases.c.owner == owner)
        change = sa.update(leases).where(mine).values(owner=None, until=0.0, done_at=now)
        await self._database.write(lambda connection: connection.execute(change).rowcount)

    async def since_done(self, name: str) -> float:
        """Seconds since it was done last; at first, since somebody asked for the first time."""
        query = sa.select(leases.c.done_at).where(leases.c.name == name)
        found = await self._database.read(lambda connection: connection.execute(query).scalar())
        if found is not None:
            return time.time() - float(found)
        row = [(name, 0.0, time.time())]
        await self._database.write(lambda connection: _enter(connection, row))
        return 0.0
