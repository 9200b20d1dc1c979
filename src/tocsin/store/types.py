"""Column types and checks that mean the same on SQLite and PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

from tocsin.errors import InputError


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment with its zone; sorts the same on both databases."""

    impl = sa.String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The column of this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """What the driver gets."""
        if value is None or dialect.name == "postgresql":
            return value
        return instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What the driver gave, with its zone."""
        if value is None or isinstance(value, datetime):
            return value
        return datetime.fromisoformat(value)


@lru_cache(maxsize=4096)
def instant_text(value: datetime) -> str:
    """Fixed-width UTC text, e.g. `2026-03-04T13:55:05.224939Z`.

    Raises:
        InputError: in UTC, the moment is before the year 1 or after 9999.
    """
    try:
        utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError as error:
        raise InputError("a time is outside of the years 1 to 9999") from error
    return utc.isoformat(timespec="microseconds")[:-6] + "Z"


def stamp_of(dialect: str) -> Callable[[datetime], Any]:
    """What a driver's own statement takes for an instant, by the name of the dialect."""
    return instant_text if dialect == "sqlite" else instant


def instant(value: datetime) -> datetime:
    """The same moment: PostgreSQL's driver takes it as it is."""
    return value


def json_text() -> sa.types.TypeEngine[Any]:
    """A column of JSON text; values go in and come out as text."""
    return sa.Text().with_variant(_JsonAsText(), "postgresql")


class _JsonAsText(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """A CHECK that `column` holds one of the enumeration's words (or NULL)."""
    words = ", ".join(f"'{word.value}'" for word in values)
    return sa.CheckConstraint(f"{column} IN ({words})", name=column)


def between(column: str, low: int, high: int) -> sa.CheckConstraint:
    """A CHECK that `column` lies in a closed interval (or is NULL)."""
    return sa.CheckConstraint(f"{column} >= {low} AND {column} <= {high}", name=column)
