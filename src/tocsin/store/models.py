"""The registry of learned models: what was learned, how it was judged, and which one is live."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import ConflictError, NotFoundError
from tocsin.model import Learned, ModelStatus, Record
from tocsin.store import audit, rows
from tocsin.store.bulk import BulkInsert
from tocsin.store.database import Database
from tocsin.store.tables import model_state, models

SHIPPED = "shipped"  # names the expert model that comes with Tocsin
_STATE_ID = 1
_learned = msgspec.json.Decoder(Learned)
_count_up = BulkInsert(
    model_state,
    ("id", "version"),
    key=("id",),
    update={"version": "model_state.version + 1"},
)


class ModelEntry(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One model of the registry; `why` says how it came to its status."""

    version: str
    created_at: datetime
    status: ModelStatus
    why: str


class ModelStore:
    """The tables `models` and `model_state`; implements `ports.Models`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """See `ports.Models.version`; 0 before the first learned model was live."""
        query = sa.select(model_state.c.version).where(model_state.c.id == _STATE_ID)
        found = await self._database.read(lambda c: c.execute(query).scalar())
        return int(found or 0)

    async def champion(self) -> Learned | None:
        """See `ports.Models.champion`."""
        query = sa.select(models.c.artifact).where(models.c.status == ModelStatus.CHAMPION.value)
        found = await self._database.read(lambda c: c.execute(query).scalar())
        return None if found is None else _learned.decode(found)

    async def champion_card(self) -> msgspec.Raw | None:
        """The card (JSON) of the model that is live; None for the one that ships."""
        query = sa.select(models.c.card).where(models.c.status == ModelStatus.CHAMPION.value)
        found = await self._database.read(lambda c: c.execute(query).scalar())
        return None if found is None else msgspec.Raw(found.encode())

    async def list_models(self) -> list[ModelEntry]:
        """All models, newest first."""
        m = models.c
        query = sa.select(m.version, m.created_at, m.status, m.why)
        query = query.order_by(m.created_at.desc(), m.version)
        found = await self._database.read(lambda c: c.execute(query).all())
        return [_entry(row) for row in found]

    async def find(self, version: str) -> tuple[ModelEntry, msgspec.Raw, msgspec.Raw]:
        """A model, its artifact and its card (both JSON).

        Raises:
            NotFoundError: there is no such model.
        """
        query = sa.select(models).where(models.c.version == version)
        row = await self._database.read(lambda c: c.execute(query).first())
        if row is None:
            raise NotFoundError(f"there is no model {version}; see: tocsin model list")
        return _entry(row), msgspec.Raw(row.artifact.encode()), msgspec.Raw(row.card.encode())

    async def add(
        self, learned: Learned, card: Record, status: ModelStatus, why: str, *, actor: str
    ) -> None:
        """Store a model; as a champion it goes live, and the one before is retired.

        The same model stored again (a version is the hash of its content) only gets the new status,
        card and reason.
        """

        def change(connection: Connection) -> None:
            _lock(connection)
            row = {
                "version": learned.version,
                "created_at": datetime.now(UTC),
                "status": ModelStatus.CHALLENGER.value,
                "artifact": rows.text(learned),
                "card": rows.text(card),
                "why": why,
            }
            there = models.c.version == learned.version
            stands = connection.execute(sa.select(models.c.status).where(there)).scalar()
            if stands is None:
                connection.execute(sa.insert(models), row)
            elif stands == ModelStatus.CHAMPION.value and status is not ModelStatus.CHAMPION:
                return  # it is live already; that the same was learned again changes nothing
            else:
                again = sa.update(models).where(there)
                connection.execute(again.values(card=row["card"], why=why))
            if status is ModelStatus.CHAMPION:
                _crown(connection, learned.version)
            else:
                connection.execute(sa.update(models).where(there).values(status=status.value))
            detail = {"status": status, "why": why}
            audit.record(connection, audit.Entry(actor, "model.stored", learned.version, detail))

        await self._database.write(change)

    async def use(self, version: str, *, actor: str) -> str:
        """Put a model live, or the expert model that ships (`shipped`); gives what was live before.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: it is live already.
        """

        def change(connection: Connection) -> str:
            _lock(connection)
            live = sa.select(models.c.version).where(models.c.status == ModelStatus.CHAMPION.value)
            before = str(connection.execute(live).scalar() or SHIPPED)
            if before == version:
                raise ConflictError(f"model {version} is live already")
            if version != SHIPPED:
                there = sa.select(models.c.version).where(models.c.version == version)
                if connection.execute(there).first() is None:
                    raise NotFoundError(f"there is no model {version}; see: tocsin model list")
            _crown(connection, None if version == SHIPPED else version)
            entry = audit.Entry(actor, "model.used", version, {"before": before})
            audit.record(connection, entry)
            return before

        return await self._database.write(change)


def _lock(connection: Connection) -> None:
    """Changes of the champion take turns; SQLite's writers do so anyway."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE")


def _crown(connection: Connection, version: str | None) -> None:
    champion = sa.update(models).where(models.c.status == ModelStatus.CHAMPION.value)
    connection.execute(champion.values(status=ModelStatus.RETIRED.value))
    if version is not None:
        named = sa.update(models).where(models.c.version == version)
        connection.execute(named.values(status=ModelStatus.CHAMPION.value))
    _count_up(connection, [(_STATE_ID, 1)])


def _entry(row: Any) -> ModelEntry:
    return ModelEntry(
        version=row.version,
        created_at=row.created_at,
        status=ModelStatus(row.status),
        why=row.why,
    )
