"""What language models cost, and what they still may: shared by every process of an installation.

Before a call, the most that it can cost is added to its budgets, if they hold it; after it, the
difference to what it did cost is taken off again. So processes that call at once never spend more
than there is. What a process reserved when it died stays charged: too much rather than too little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from tocsin.errors import BudgetSpent
from tocsin.metrics import MODEL_ANSWERED, MODEL_CACHED
from tocsin.ports import Budget, ModelCall
from tocsin.store import audit
from tocsin.store.database import Database
from tocsin.store.tables import model_budgets, model_usage

KEEP_RUNS = timedelta(days=30)
ACTOR = "llm"
_COUNTED = (
    "calls",
    "failed",
    "cached",
    "estimated",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """The sum of a day's calls of one provider for one purpose; `estimated` of them had no usage.

    `calls` are requests that went to the provider, `failed` of them gave no reply. `cached` are
    replies that cost nothing because they were there already.
    """

    day: str
    provider: str
    purpose: str
    calls: int
    failed: int
    cached: int
    estimated: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class ModelUsageStore:
    """Answers `ports.ModelAccounts` from the tables `model_usage` and `model_budgets`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, budgets: Sequence[Budget], tokens: int, cost_usd: float) -> None:
        """See `ports.ModelAccounts.reserve`."""
        if budgets:
            await self._database.write(lambda c: _reserve(c, budgets, tokens, cost_usd))

    async def settle(self, call: ModelCall, budgets: Sequence[Budget]) -> None:
        """See `ports.ModelAccounts.settle`."""

        def change(connection: Connection) -> None:
            _book(connection, call)
            tokens = call.prompt_tokens + call.completion_tokens - call.reserved_tokens
            for budget in _sorted(budgets):
                _add(connection, budget.scope, tokens, call.cost_usd - call.reserved_usd)
            detail = {
                "purpose": call.purpose,
                "run": call.run,
                "outcome": call.outcome,
                "tokens": call.prompt_tokens + call.completion_tokens,
                "cost_usd": call.cost_usd,
                "estimated": call.estimated,
            }
            audit.record(connection, audit.Entry(ACTOR, "model.called", call.provider, detail))

        await self._database.write(change)

    async def spent(self, scope: str) -> tuple[int, float]:
        """See `ports.ModelAccounts.spent`."""
        query = sa.select(model_budgets.c.tokens, model_budgets.c.cost_usd).where(
            model_budgets.c.scope == scope
        )
        row = await self._database.read(lambda c: c.execute(query).first())
        return (0, 0.0) if row is None else (int(row[0]), float(row[1]))

    async def usage(self, since: str) -> list[Usage]:
        """Usage from a UTC day (ISO date) on, newest day first, dearest first within a day."""
        query = (
            sa.select(model_usage)
            .where(model_usage.c.day >= since)
            .order_by(
                model_usage.c.day.desc(),
                model_usage.c.cost_usd.desc(),
                model_usage.c.provider,
                model_usage.c.purpose,
            )
        )
        return await self._database.read(
            lambda c: [Usage(**row) for row in c.execute(query).mappings()]
        )


def _reserve(
    connection: Connection, budgets: Sequence[Budget], tokens: int, cost_usd: float
) -> None:
    """All or none: what is raised rolls back what was added before."""
    now = datetime.now(UTC)
    for budget in _sorted(budgets):
        if _open(connection, budget.scope, now):
            _forget_old_runs(connection, now)
        if not _add(connection, budget.scope, tokens, cost_usd, budget):
            kind, _, name = budget.scope.partition(":")
            raise BudgetSpent(kind, _said(connection, budget, name, tokens, cost_usd))
    scopes = [budget.scope for budget in budgets]
    detail = {"scopes": scopes, "tokens": tokens, "cost_usd": cost_usd}
    audit.record(connection, audit.Entry(ACTOR, "model.reserved", scopes[0], detail))


def _open(connection: Connection, scope: str, now: datetime) -> bool:
    """Begin a scope's count, if it is new; says whether it was."""
    row = {"scope": scope, "tokens": 0, "cost_usd": 0.0, "updated_at": now}
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(model_budgets)
    statement = insert.values(row).on_conflict_do_nothing(index_elements=["scope"])
    return connection.execute(statement.returning(model_budgets.c.scope)).first() is not None


def _add(
    connection: Connection, scope: str, tokens: int, cost_usd: float, limit: Budget | None = None
) -> bool:
    """Add to a scope's count, if its limits hold it; the row's lock makes that one step."""
    change = sa.update(model_budgets).where(model_budgets.c.scope == scope)
    if limit is not None and limit.tokens is not None:
        change = change.where(model_budgets.c.tokens + tokens <= limit.tokens)
    if limit is not None and limit.cost_usd is not None:
        change = change.where(model_budgets.c.cost_usd + cost_usd <= limit.cost_usd)
    values = {
        "tokens": model_budgets.c.tokens + tokens,
        "cost_usd": model_budgets.c.cost_usd + cost_usd,
        "updated_at": datetime.now(UTC),
    }
    return connection.execute(change.values(values)).rowcount == 1


def _said(connection: Connection, budget: Budget, name: str, tokens: int, cost_usd: float) -> str:
    query = sa.select(model_budgets.c.tokens, model_budgets.c.cost_usd).where(
        model_budgets.c.scope == budget.scope
    )
    row = connection.execute(query).one()
    limits = [
        f"{used} of {limit} used, {asked} asked for"
        for used, limit, asked in (
            (f"{row[0]} tokens", budget.tokens, tokens),
            (f"{row[1]:.4f} US dollars", budget.cost_usd, f"up to {cost_usd:.4f}"),
        )
        if limit is not None
    ]
    return f"the budget of {budget.scope.partition(':')[0]} {name} is spent: {'; '.join(limits)}"


def _forget_old_runs(connection: Connection, now: datetime) -> None:
    old = model_budgets.c.updated_at < now - KEEP_RUNS
    connection.execute(sa.delete(model_budgets).where(old, model_budgets.c.scope.like("run:%")))


def _book(connection: Connection, call: ModelCall) -> None:
    sent = call.outcome != MODEL_CACHED
    row = {
        "day": call.day,
        "provider": call.provider,
        "purpose": call.purpose,
        "calls": int(sent),
        "failed": int(sent and call.outcome != MODEL_ANSWERED),
        "cached": int(not sent),
        "estimated": int(call.estimated),
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "cost_usd": call.cost_usd,
    }
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(model_usage)
    statement = insert.values(row).on_conflict_do_update(
        index_elements=["day", "provider", "purpose"],
        set_={name: model_usage.c[name] + insert.excluded[name] for name in _COUNTED},
    )
    connection.execute(statement)


def _sorted(budgets: Sequence[Budget]) -> list[Budget]:
    """In one order everywhere, so that the locks of two calls never cross."""
    return sorted(budgets, key=lambda budget: budget.scope)
