"""API keys: scoped, revocable, stored only as hashes."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import NotFoundError
from tocsin.model import KeyScope
from tocsin.store import audit
from tocsin.store.database import Database
from tocsin.store.tables import api_keys

PREFIX = "tocsin_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: everything but the key."""

    key_id: str
    name: str
    scopes: tuple[KeyScope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def valid(self, now: datetime) -> bool:
        """Whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AccountStore:
    """Who may do what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_key(
        self,
        name: str,
        scopes: Sequence[KeyScope],
        lifetime: timedelta | None = None,
        *,
        actor: str = "cli",
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is not stored and cannot be shown again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        key = ApiKey(
            key_id=secrets.token_hex(6),
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            revoked_at=None,
        )
        row = {
            "key_id": key.key_id,
            "name": name,
            "key_hash": _hash(secret),
            "scopes": " ".join(key.scopes),
            "created_at": now,
            "expires_at": key.expires_at,
        }

        def change(connection: Connection) -> None:
            connection.execute(sa.insert(api_keys), row)
            shown = {"name": name, "scopes": list(key.scopes), "expires_at": key.expires_at}
            audit.record(connection, audit.Entry(actor, "key.created", key.key_id, shown))

        await self._database.write(change)
        return key, secret

    async def find_key(self, secret: str) -> ApiKey | None:
        """The key that this secret opens, whether or not it is still valid."""
        query = sa.select(api_keys).where(api_keys.c.key_hash == _hash(secret))
        return await self._database.read(
            lambda c: _key(row) if (row := c.execute(query).mappings().first()) else None
        )

    async def list_keys(self) -> list[ApiKey]:
        """All keys, oldest first."""
        query = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        return await self._database.read(
            lambda c: [_key(row) for row in c.execute(query).mappings()]
        )

    async def revoke_key(self, key_id: str, *, actor: str = "cli") -> None:
        """Make a key useless, at once and for good.

        Raises:
            NotFoundError: there is no such key that is not revoked yet.
        """
        now = datetime.now(UTC)
        revoke = (
            sa.update(api_keys)
            .where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )

        def change(connection: Connection) -> bool:
            if connection.execute(revoke).rowcount != 1:
                return False
            changed = {"revoked_at": {"before": None, "after": now}}
            audit.record(connection, audit.Entry(actor, "key.revoked", key_id, changed))
            return True

        if not await self._database.write(change):
            raise NotFoundError(f"there is no active key {key_id}")


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()


def _key(row: sa.RowMapping) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        scopes=tuple(KeyScope(word) for word in row["scopes"].split()),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
