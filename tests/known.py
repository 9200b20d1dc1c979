"""A small inventory, directory and history in memory, and the context step run against it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tocsin.context import build
from tocsin.model import (
    Alert,
    AssetContext,
    AssetRecord,
    Dossier,
    Endpoint,
    Fact,
    GapReason,
    Host,
    Indicator,
    NetworkContext,
    Prevalence,
    User,
    UserContext,
    UserRecord,
)
from tocsin.ports import EntityKey, Resources
from tocsin.settings import load

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
NO_HOST = Host()
NO_USER = User()


class Known:
    """An inventory, a history and a (silent) indicator source in memory; counts the questions."""

    def __init__(
        self,
        assets: Mapping[tuple[str, str], AssetRecord] | None = None,
        users: Mapping[tuple[str, str], UserRecord] | None = None,
        seen: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._assets, self._users, self._seen = assets or {}, users or {}, seen or {}
        self.questions: list[tuple[str, int]] = []
        self.recorded = (1, 1)  # somebody keeps an inventory and a directory

    async def assets(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, AssetRecord]:
        self.questions.append(("assets", len(keys)))
        return {k: self._assets[k.kind, k.value] for k in keys if (k.kind, k.value) in self._assets}

    async def users(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, UserRecord]:
        self.questions.append(("users", len(keys)))
        return {k: self._users[k.kind, k.value] for k in keys if (k.kind, k.value) in self._users}

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        assert now.tzinfo is not None
        self.questions.append(("history", len(keys)))
        return {
            key: Prevalence(
                subject=key.kind, value=key.value, month=self._seen.get((key.kind, key.value), 0)
            )
            for key in keys
        }

    async def counts(self) -> tuple[int, int]:
        return self.recorded

    async def version(self) -> int:
        return 0

    async def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        nothing: tuple[Sequence[Indicator], ...] = ()
        for chunk in nothing:
            yield chunk


def dossier(alert: Alert | None, source: str | None = "suricata") -> Dossier:
    return Dossier(alert_id="a-1", received_at=NOW, payload="{}", source=source, alert=alert)


def alert(
    source: str | None = None,
    destination: str | None = None,
    host: Host = NO_HOST,
    user: User = NO_USER,
) -> Alert:
    return Alert(
        title="t", source=Endpoint(ip=source), destination=Endpoint(ip=destination),
        host=host, user=user,
    )  # fmt: skip


async def context(
    *alerts: Alert | None, known: Known | None = None, **settings: Any
) -> list[Dossier]:
    known = known or Known()
    work = build(Resources(load(**settings), known, known, known, known))  # type: ignore[arg-type]  # incidents are not asked
    return await work([dossier(each) for each in alerts])


def network_of(result: Dossier) -> NetworkContext:
    data = result.context[0].data
    assert isinstance(data, NetworkContext)
    return data


def asset_of(result: Dossier) -> tuple[Fact, AssetContext]:
    data = result.context[1].data
    assert isinstance(data, AssetContext)
    return result.context[1], data


def user_of(result: Dossier) -> tuple[Fact, UserContext]:
    data = result.context[2].data
    assert isinstance(data, UserContext)
    return result.context[2], data


def gaps(result: Dossier) -> dict[str, GapReason]:
    return {gap.subject: gap.reason for gap in result.gaps}
