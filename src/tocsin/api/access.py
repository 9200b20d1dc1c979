"""Who may call what: API keys in `Authorization: Bearer`, with scopes."""

import time
from datetime import UTC, datetime
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler

from tocsin.model import KeyScope
from tocsin.store.accounts import AccountStore, ApiKey

REMEMBER_SECONDS = 1.0
REMEMBER_KEYS = 1000


class Doorkeeper:
    """Looks keys up, remembering each for a second (so a revoked key ends within one)."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts
        self._known: dict[str, tuple[float, ApiKey | None]] = {}

    async def admit(self, header: str | None, scope: KeyScope) -> ApiKey:
        """The key of a request.

        Raises:
            NotAuthorizedException: there is no key, or not a valid one.
            PermissionDeniedException: the key lacks the scope.
        """
        kind, _, secret = (header or "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise NotAuthorizedException(
                "send an API key: Authorization: Bearer KEY (make one with: tocsin key create)",
                headers={"WWW-Authenticate": "Bearer"},
            )
        key = await self._find(secret.strip())
        if key is None or not key.valid(datetime.now(UTC)):
            raise NotAuthorizedException(
                "the API key is unknown, expired or revoked",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        if scope not in key.scopes and KeyScope.ADMIN not in key.scopes:
            raise PermissionDeniedException(f"the API key lacks the scope {scope.value}")
        return key

    async def _find(self, secret: str) -> ApiKey | None:
        now = time.monotonic()
        known = self._known.get(secret)
        if known is not None and now - known[0] < REMEMBER_SECONDS:
            return known[1]
        key = await self._accounts.find_key(secret)
        if len(self._known) >= REMEMBER_KEYS:
            self._known.clear()
        self._known[secret] = (now, key)
        return key


def actor_of(request: Request[Any, Any, Any]) -> str:
    """Who asks, as the audit trail names them."""
    key: ApiKey = request.auth
    return f"key:{key.key_id}"


def needs(scope: KeyScope) -> Any:
    """A Litestar guard that lets only keys with this scope in."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        doorkeeper: Doorkeeper = connection.app.state.doorkeeper
        connection.scope["auth"] = await doorkeeper.admit(
            connection.headers.get("authorization"), scope
        )

    return guard
