"""Replies of language models, kept by the content of what was asked."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from tocsin.ports import ChatReply
from tocsin.store import audit
from tocsin.store.database import Database
from tocsin.store.tables import model_replies

_decode = msgspec.json.Decoder(ChatReply).decode
_encode = msgspec.json.Encoder().encode


class ModelReplyStore:
    """Answers `ports.ReplyCache` from the table `model_replies`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, keys: Sequence[bytes], now: datetime) -> ChatReply | None:
        """See `ports.ReplyCache.find`."""
        query = sa.select(model_replies.c.request_hash, model_replies.c.reply).where(
            model_replies.c.request_hash.in_(list(keys)), model_replies.c.expires_at > now
        )
        rows = await self._database.read(lambda c: c.execute(query).all())
        found = {bytes(row[0]): row[1] for row in rows}
        return next((_decode(found[key]) for key in keys if key in found), None)

    async def keep(self, key: bytes, reply: ChatReply, expires: datetime, most: int) -> None:
        """See `ports.ReplyCache.keep`."""
        now = datetime.now(UTC)
        row = {
            "request_hash": key,
            "reply": _encode(reply).decode(),  # JSON has no NUL, which no database would take
            "kept_at": now,
            "expires_at": expires,
        }

        def change(connection: Connection) -> None:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            insert = dialect.insert(model_replies).values(row)
            names = ("reply", "kept_at", "expires_at")
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["request_hash"],
                    set_={name: insert.excluded[name] for name in names},
                )
            )
            gone = _make_room(connection, now, most)
            detail = {"provider": reply.provider, "expires_at": expires, "removed": gone}
            audit.record(connection, audit.Entry("llm", "reply.kept", key.hex(), detail))

        await self._database.write(change, durable=False)  # it can be asked for again


def _make_room(connection: Connection, now: datetime, most: int) -> int:
    """Remove what has expired and what is too much, oldest first; gives how many went."""
    expired = sa.delete(model_replies).where(model_replies.c.expires_at <= now)
    gone = connection.execute(expired).rowcount
    kept: int = connection.execute(
        sa.select(sa.func.count()).select_from(model_replies)
    ).scalar_one()
    if kept > most:
        oldest = (
            sa.select(model_replies.c.request_hash)
            .order_by(model_replies.c.expires_at)
            .limit(kept - most)
        )
        surplus = sa.delete(model_replies).where(model_replies.c.request_hash.in_(oldest))
        gone += connection.execute(surplus).rowcount
    return gone
