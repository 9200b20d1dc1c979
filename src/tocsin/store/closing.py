"""The policies that close alerts, and which of them holds."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin import logs
from tocsin.errors import ConflictError, DataQualityError
from tocsin.model import ClassBound, ClosingMode, ClosingPolicy, ClosingRules, PolicyState
from tocsin.store import audit, closures
from tocsin.store.samples import ClosureStore
from tocsin.store.tables import closing_policies, closing_state

_rules = msgspec.json.Decoder(ClosingRules)
_bounds = msgspec.json.Decoder(tuple[ClassBound, ...])
_reference = msgspec.json.Decoder(dict[str, dict[int, int]])

log = logs.get("closing")


class ClosingStore(ClosureStore):
    """The tables `closing_policies` and `closing_state`; implements `ports.ClosingBook`."""

    async def version(self) -> int:
        """See `ports.ClosingPolicies.version`."""
        query = sa.select(closing_state.c.revision).where(closing_state.c.id == 1)
        return await self._database.read(lambda c: int(c.execute(query).scalar() or 0))

    async def policy(self) -> ClosingPolicy | None:
        """See `ports.ClosingPolicies.policy`."""
        try:
            state = await self.state()
        except DataQualityError:
            log.error("closing.policy_unreadable")  # noqa: TRY400  # it may hold the seed
            return None
        return None if state is None else state.policy

    async def state(self) -> PolicyState | None:
        """See `ports.ClosingBook.state`."""
        query = sa.select(closing_policies, closing_state.c.revision).join(
            closing_state,
            sa.and_(closing_state.c.id == 1, closing_state.c.version == closing_policies.c.version),
        )
        row = await self._database.read(lambda c: c.execute(query).mappings().first())
        return None if row is None else _state(row)

    async def begin(self, rules: ClosingRules, *, actor: str) -> None:
        """See `ports.ClosingBook.begin`."""

        def change(connection: Connection) -> None:
            before = _move(connection)
            newest = connection.execute(sa.select(sa.func.max(closing_policies.c.version)))
            version = (newest.scalar() or 0) + 1
            off = {"mode": ClosingMode.OFF.value, "reason": f"replaced by version {version}"}
            replaced = sa.update(closing_policies).where(
                closing_policies.c.version == before,
                closing_policies.c.mode != ClosingMode.OFF.value,
            )
            connection.execute(
                replaced.values(**off, changed_at=datetime.now(UTC), changed_by=actor)
            )
            row = {
                "version": version,
                "mode": ClosingMode.SHADOW.value,
                "rules": msgspec.json.encode(rules).decode(),
                "seed": secrets.token_hex(32),
                "bounds": "[]",
                "model_version": "",
                "reference": "{}",
                "reason": "",
                "tripped": False,
                "changed_at": datetime.now(UTC),
                "changed_by": actor,
            }
            connection.execute(sa.insert(closing_policies), row)
            connection.execute(sa.update(closing_state).values(version=version))
            closures.forget_scores(connection)
            _audit(connection, actor, "closing.begun", version, rules=msgspec.to_builtins(rules))

        await self._database.write(change)

    async def calibrate(
        self, revision: int, bounds: Sequence[ClassBound], model_version: str, *, actor: str
    ) -> None:
        """See `ports.ClosingBook.calibrate`."""

        def change(connection: Connection) -> None:
            version = _move(connection, revision)
            stored = msgspec.json.encode(bounds).decode()
            _change(connection, version, bounds=stored, model_version=model_version)
            proven = {b.class_name: b.threshold for b in bounds}
            _audit(connection, actor, "closing.calibrated", version, thresholds=proven)

        await self._database.write(change)

    async def enable(
        self, revision: int, reference: Mapping[str, Mapping[int, int]], *, actor: str
    ) -> None:
        """See `ports.ClosingBook.enable`."""
        now = datetime.now(UTC)

        def change(connection: Connection) -> None:
            version = _move(connection, revision)
            _change(
                connection,
                version,
                mode=ClosingMode.ON.value,
                reference=msgspec.json.encode(reference).decode(),
                reason="",
                changed_at=now,
                changed_by=actor,
                enabled_at=now,
            )
            _audit(connection, actor, "closing.enabled", version)

        await self._database.write(change)

    async def switch_off(
        self, reason: str, *, actor: str, revision: int | None = None, tripped: bool = False
    ) -> bool:
        """See `ports.ClosingBook.switch_off`."""
        text = reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")

        def change(connection: Connection) -> bool:
            try:
                version = _move(connection, revision)
            except ConflictError:
                return False
            mode = sa.select(closing_policies.c.mode).where(closing_policies.c.version == version)
            before = connection.execute(mode).scalar()
            if before in (None, ClosingMode.OFF.value):
                return False
            _change(
                connection,
                version,
                mode=ClosingMode.OFF.value,
                reason=text,
                tripped=tripped,
                changed_at=datetime.now(UTC),
                changed_by=actor,
            )
            why = {"reason": text, "tripped": tripped}
            _audit(connection, actor, "closing.disabled", version, before=before, **why)
            return True

        return await self._database.write(change)


def _move(connection: Connection, revision: int | None = None) -> int:
    """Begin a change of the policy: the next revision; gives the version that holds.

    Workers hold it while they save a batch that closes something, so this waits for them.

    Raises:
        ConflictError: the policy is not that of `revision` any more.
    """
    closures.hold(connection, shared=False)
    s = closing_state.c
    change = sa.update(closing_state).where(s.id == 1).values(revision=s.revision + 1)
    if revision is not None:
        change = change.where(s.revision == revision)
    version = connection.execute(change.returning(s.version)).scalar()
    if version is None:
        raise ConflictError("the policy was changed meanwhile; look at it again")
    return int(version)


def _change(connection: Connection, version: int, **values: Any) -> None:
    change = sa.update(closing_policies).where(closing_policies.c.version == version)
    connection.execute(change.values(**values))


def _audit(connection: Connection, actor: str, action: str, version: int, **detail: Any) -> None:
    audit.record(connection, audit.Entry(actor, action, f"closing policy {version}", detail))


def _state(row: sa.RowMapping) -> PolicyState:
    """A stored policy.

    Raises:
        DataQualityError: something in it is not what was written.
    """
    try:
        bounds = _bounds.decode(row["bounds"])
        policy = msgspec.convert(
            {
                "version": row["version"],
                "revision": row["revision"],
                "mode": row["mode"],
                "rules": msgspec.to_builtins(_rules.decode(row["rules"])),
                "seed": row["seed"],
                "thresholds": {
                    b.class_name: b.threshold for b in bounds if b.threshold is not None
                },
                "model_version": row["model_version"],
            },
            ClosingPolicy,
        )
        return PolicyState(
            policy=policy,
            bounds=bounds,
            reference=_reference.decode(row["reference"]),
            reason=row["reason"],
            tripped=bool(row["tripped"]),
            changed_at=row["changed_at"],
            changed_by=row["changed_by"],
            enabled_at=row["enabled_at"],
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise DataQualityError(
            "unreadable",
            "the stored closing policy cannot be read, so nothing is closed; begin a new one",
        ) from error
