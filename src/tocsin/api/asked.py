"""What routes share: texts that a database can be asked for, times with a zone, changes by POST."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.status_codes import HTTP_200_OK

from tocsin.api.access import needs
from tocsin.errors import InputError, NotFoundError
from tocsin.model import KeyScope

Name = Annotated[str, msgspec.Meta(pattern="^[^\\x00]*$")]
"""A text in a body; no stored one holds the character NUL."""

PageSize = Annotated[int, QueryParameter(ge=1, le=500)]
"""How many rows a page has."""


def changes(path: str, *, summary: str, description: str | None = None) -> post:
    """A route for keys with the scope write, which changes something and answers 200."""
    return post(
        path,
        guards=[needs(KeyScope.WRITE)],
        status_code=HTTP_200_OK,
        summary=summary,
        description=description,
    )


def without_nul(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard of all routes: nothing is named with the character NUL, which no database takes.

    Raises:
        NotFoundError: it is in the path.
        InputError: it is in the query.
    """
    if "\0" in connection.scope["path"]:
        raise NotFoundError("there is nothing of that name")
    if b"%00" in connection.scope["query_string"]:
        raise InputError("no value holds the character NUL")


def zoned(name: str, moment: datetime | None) -> None:
    """Refuse a time without a zone.

    Raises:
        InputError: it has none.
    """
    if moment is not None and moment.tzinfo is None:
        raise InputError(f"{name}: give the time with its zone, e.g. 2026-03-04T12:00:00Z")
