"""The inventory and the directory: who answers to a name, and bulk imports of both."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AssetRecord, Criticality, UserRecord
from tocsin.ports import EntityKey
from tocsin.store import audit
from tocsin.store.bulk import among
from tocsin.store.database import Database, upsert
from tocsin.store.tables import assets, users

R = TypeVar("R", AssetRecord, UserRecord)

SIZES = (1, 10, 50, 100, 200, 500)  # few, so that the driver's statement cache holds them
IN_LIMIT = SIZES[-1]
KEY_LIMIT = 512

_tags = msgspec.json.Decoder(tuple[str, ...])

_ASSET_FIELDS = AssetRecord.__struct_fields__
_USER_FIELDS = UserRecord.__struct_fields__
_KEY_COLUMNS = {
    "assets": ("asset_id", "hostname_key", "hostname_short", "ip"),
    "users": ("user_id", "user_name_key", "email_key"),
}
_SELECTED = {
    name: ", ".join(_KEY_COLUMNS[name] + fields[:-1]) + ", CAST(tags AS TEXT)"
    for name, fields in (("assets", _ASSET_FIELDS), ("users", _USER_FIELDS))
}

# Which columns a kind of key is compared with, best first.
_ASSET_KEYS = {
    "asset_id": ("asset_id",),
    "hostname": ("hostname_key", "hostname_short"),
    "ip": ("ip",),
}
_USER_KEYS = {
    "user_id": ("user_id",),
    "user_name": ("user_name_key",),
    "email": ("email_key",),
}


class Upserted(NamedTuple):
    """How many records an import brought in: new ones, and ones that were there before."""

    inserted: int
    updated: int


class InventoryCounts(NamedTuple):
    """How many assets and users are recorded."""

    assets: int
    users: int


class InventoryStore:
    """Answers `ports.Inventory` from the tables `assets` and `users`, and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assets(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, AssetRecord]:
        """See `ports.Inventory.assets`; a name that two assets share is left unanswered."""
        return await self._database.read(lambda c: _find(c, keys, assets, _ASSET_KEYS, _asset))

    async def users(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, UserRecord]:
        """See `ports.Inventory.users`; a name that two users share is left unanswered."""
        return await self._database.read(lambda c: _find(c, keys, users, _USER_KEYS, _user))

    async def upsert_assets(
        self, records: Sequence[AssetRecord], *, actor: str = "cli"
    ) -> Upserted:
        """Insert assets or replace those with the same `asset_id`, in one transaction.

        Of records with the same id in one call the last one counts.
        """
        rows = {record.asset_id: _asset_row(record) for record in records}
        return await self._database.write(lambda c: _upsert(c, assets, "asset_id", rows, actor))

    async def upsert_users(self, records: Sequence[UserRecord], *, actor: str = "cli") -> Upserted:
        """Insert users or replace those with the same `user_id`, in one transaction.

        Of records with the same id in one call the last one counts.
        """
        rows = {record.user_id: _user_row(record) for record in records}
        return await self._database.write(lambda c: _upsert(c, users, "user_id", rows, actor))

    async def counts(self) -> InventoryCounts:
        """How many assets and users there are."""
        query = sa.select(
            sa.select(sa.func.count()).select_from(assets).scalar_subquery(),
            sa.select(sa.func.count()).select_from(users).scalar_subquery(),
        )
        row = await self._database.read(lambda c: c.execute(query).one())
        return InventoryCounts(row[0], row[1])

    async def list_assets(self, limit: int) -> list[AssetRecord]:
        """The first assets by id."""
        return await self._database.read(lambda c: _first(c, assets, "asset_id", limit, _asset))

    async def list_users(self, limit: int) -> list[UserRecord]:
        """The first users by id."""
        return await self._database.read(lambda c: _first(c, users, "user_id", limit, _user))


def _find(
    connection: Connection,
    keys: Sequence[EntityKey],
    table: sa.Table,
    compared: Mapping[str, tuple[str, ...]],
    record: Callable[..., R],
) -> dict[EntityKey, R]:
    """The records that answer to the keys: one query per 500 keys.

    A key is answered by the best column that holds it, and only when one record alone does.
    """
    wanted = [key for key in dict.fromkeys(keys) if key.kind in compared]
    answers: dict[EntityKey, R] = {}
    for start in range(0, len(wanted), IN_LIMIT):
        part = wanted[start : start + IN_LIMIT]
        values: dict[str, list[str]] = {}
        for key in part:
            values.setdefault(key.kind, []).append(key.value)
        rows = _answering(connection, table, compared, values)
        held = {
            column: _holders(rows, position)
            for position, column in enumerate(_KEY_COLUMNS[table.name])
        }
        for key in part:
            column = next((c for c in compared[key.kind] if key.value in held[c]), None)
            row = held[column][key.value] if column else None
            if row is not None:
                answers[key] = record(*row[len(held) :])
    return answers


def _answering(
    connection: Connection,
    table: sa.Table,
    compared: Mapping[str, tuple[str, ...]],
    values: Mapping[str, list[str]],
) -> Sequence[sa.Row[Any]]:
    """The rows that answer to any of the values, each column searched by its index."""
    conditions: list[str] = []
    parameters: list[Any] = []
    for kind, wanted in values.items():
        size = next(size for size in SIZES if size >= len(wanted))
        padded = wanted + wanted[:1] * (size - len(wanted))
        for column in compared[kind]:
            condition, listed = among(connection, column, padded)
            conditions.append(condition)
            parameters.extend(listed)
    query = f"SELECT {_SELECTED[table.name]} FROM {table.name} WHERE {' OR '.join(conditions)}"
    return connection.exec_driver_sql(query, tuple(parameters)).all()


def _holders(rows: Sequence[sa.Row[Any]], position: int) -> dict[str, sa.Row[Any] | None]:
    """The row that holds each value in one column; None for a value that several rows share."""
    held: dict[str, sa.Row[Any] | None] = {}
    for row in rows:
        value = row[position]
        if value is not None:
            held[value] = None if value in held else row
    return held


def _first(
    connection: Connection, table: sa.Table, key: str, limit: int, record: Callable[..., R]
) -> list[R]:
    query = f"SELECT {_SELECTED[table.name]} FROM {table.name} ORDER BY {key} LIMIT {limit:d}"
    skip = len(_KEY_COLUMNS[table.name])
    return [record(*row[skip:]) for row in connection.exec_driver_sql(query)]


def _upsert(
    connection: Connection,
    table: sa.Table,
    key: str,
    rows: Mapping[str, dict[str, Any]],
    actor: str,
) -> Upserted:
    """Write all rows with one statement; count those whose key was there before."""
    ids = list(rows)
    present = 0
    for start in range(0, len(ids), IN_LIMIT):
        part = ids[start : start + IN_LIMIT]
        present_too = table.c[key].in_(part)
        query = sa.select(sa.func.count()).select_from(table).where(present_too)
        present += connection.execute(query).scalar_one()
    update = [column.name for column in table.columns if column.name != key]
    upsert(connection, table, list(rows.values()), key=[key], update=update)
    done = Upserted(inserted=len(rows) - present, updated=present)
    audit.imported(connection, actor, table.name, ids, **done._asdict())
    return done


def _key(name: str | None) -> str | None:
    return name.strip().lower()[:KEY_LIMIT] or None if name else None


def _asset_row(record: AssetRecord) -> dict[str, Any]:
    hostname = _key(record.hostname)
    hostname = hostname.rstrip(".") if hostname else None
    return {
        "asset_id": record.asset_id,
        "hostname": record.hostname,
        "hostname_key": hostname,
        "hostname_short": hostname.partition(".")[0] if hostname else None,
        "ip": record.ip,
        "type": record.type,
        "os": record.os,
        "owner": record.owner,
        "department": record.department,
        "location": record.location,
        "environment": record.environment,
        "criticality": record.criticality.value if record.criticality else None,
        "exposed": record.exposed,
        "tags": msgspec.json.encode(record.tags).decode(),
        "updated_at": datetime.now(UTC),
    }


@lru_cache(maxsize=16_384)
def _asset(*row: Any) -> AssetRecord:
    """A record from the columns of `_ASSET_FIELDS`; the same row gives the same record."""
    fields: dict[str, Any] = dict(zip(_ASSET_FIELDS, row, strict=True))
    fields["criticality"] = Criticality(fields["criticality"]) if fields["criticality"] else None
    fields["exposed"] = bool(fields["exposed"])
    fields["tags"] = _tags.decode(fields["tags"])
    return AssetRecord(**fields)


def _user_row(record: UserRecord) -> dict[str, Any]:
    return {
        "user_id": record.user_id,
        "user_name": record.user_name,
        "user_name_key": _key(record.user_name),
        "email": record.email,
        "email_key": _key(record.email),
        "full_name": record.full_name,
        "department": record.department,
        "title": record.title,
        "manager": record.manager,
        "privileged": record.privileged,
        "enabled": record.enabled,
        "tags": msgspec.json.encode(record.tags).decode(),
        "updated_at": datetime.now(UTC),
    }


@lru_cache(maxsize=16_384)
def _user(*row: Any) -> UserRecord:
    """A record from the columns of `_USER_FIELDS`; the same row gives the same record."""
    fields: dict[str, Any] = dict(zip(_USER_FIELDS, row, strict=True))
    fields["privileged"] = bool(fields["privileged"])
    fields["enabled"] = bool(fields["enabled"])
    fields["tags"] = _tags.decode(fields["tags"])
    return UserRecord(**fields)
