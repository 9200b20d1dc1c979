"""The only way out of the process: timeouts, retries, proxy, one place to look.

Nothing else in Tocsin opens an outbound connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2
import stamina

from tocsin.errors import InputError, Unavailable
from tocsin.settings import Settings

TIMEOUT_SECONDS = 60.0
CONNECT_SECONDS = 5.0
BUSY = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class HttpClient:
    """Talks to one server; tries again while that server is busy or away.

    Args:
        base_url: the server.
        settings: `proxy`.
        headers: sent with every request.
        patience: seconds after which a server that stays busy or away is given up.
    """

    def __init__(
        self,
        base_url: str,
        settings: Settings,
        *,
        headers: Mapping[str, str] | None = None,
        patience: float = 30.0,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._patience = patience
        try:
            self._client = httpx2.AsyncClient(
                base_url=self._base,
                headers=dict(headers or {}),
                timeout=httpx2.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
                proxy=settings.proxy or None,
                follow_redirects=False,
                trust_env=False,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise InputError(f"{base_url} is not a URL: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body; only for requests that may arrive twice without harm.

        Raises:
            Unavailable: the server stayed busy or away for longer than the patience.
        """
        async for attempt in stamina.retry_context(
            on=Unavailable,
            attempts=None,
            timeout=self._patience,
            wait_initial=0.2,
            wait_max=5.0,
        ):
            with attempt:
                return await self._once(path, body, headers)
        raise AssertionError("unreachable: the last attempt raises")

    async def _once(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            response = await self._client.post(path, content=body, headers=dict(headers))
        except httpx2.UnsupportedProtocol as error:
            raise InputError(f"{self._base} is not an http(s) URL") from error
        except httpx2.TransportError as error:
            raise Unavailable(f"{self._base} does not answer: {error!r}") from error
        if response.status_code in BUSY:
            raise Unavailable(f"{self._base} is busy: {response.status_code} {response.text[:200]}")
        return Reply(response.status_code, response.content, dict(response.headers))
