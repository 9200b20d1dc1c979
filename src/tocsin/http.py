"""The only way out of the process: timeouts, retries, breaker, proxy, allow-list in one place.

Nothing else in Tocsin opens an outbound connection. Client libraries that bring their own requests
are given `library_client`, whose transport keeps the same rules.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2
import stamina

from tocsin import __version__
from tocsin.errors import InputError, Unavailable
from tocsin.settings import Settings

TIMEOUT_SECONDS = 60.0
CONNECT_SECONDS = 5.0
BUSY = (429, 502, 503, 504)
USER_AGENT = f"tocsin/{__version__}"
PLAIN = ("", "identity")
SPARE = 4


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
        settings: `proxy` and `outbound_hosts`.
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
        check_host(self._base, settings)
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
            InputError: the URL is not one of HTTP, or the answer is packed in a way that it does
                not say.
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
        except httpx2.DecodingError as error:
            raise InputError(f"the answer of {self._base} cannot be read: {error}") from error
        if response.status_code in BUSY:
            raise Unavailable(f"{self._base} is busy: {response.status_code} {response.text[:200]}")
        return Reply(response.status_code, response.content, dict(response.headers))


class Breaker:
    """Stops asking a server that keeps failing, and after a pause lets one request probe it.

    Args:
        failures: how many in a row open it.
        pause: seconds that it stays open before each probe.
        clock: seconds that only grow.
    """

    def __init__(
        self, failures: int = 5, pause: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._probe_at = 0.0  # when a probe may go
        self._probing = False

    @property
    def state(self) -> str:
        """`closed` (asked as usual), `open` (not asked) or `half_open` (one may probe)."""
        if self._failed < self._limit:
            return "closed"
        return "half_open" if self._clock() >= self._probe_at else "open"

    @property
    def wait(self) -> float:
        """Seconds until the next request may go; 0 if it may go now."""
        if self._failed < self._limit:
            return 0.0
        if self._probing:
            return max(0.05, self._probe_at - self._clock())
        return max(0.0, self._probe_at - self._clock())

    def admit(self) -> bool:
        """Whether a request may go now; where it is the probe, no other goes until it is over."""
        if self.wait > 0:
            return False
        self._probing = self._failed >= self._limit
        return True

    def succeeded(self) -> None:
        """The server answered."""
        self._failed, self._probing = 0, False

    def failed(self) -> None:
        """The server did not answer, or not with sense."""
        self._failed += 1
        self._probing = False
        if self._failed >= self._limit:
            self._probe_at = self._clock() + self._pause

    def abandoned(self) -> None:
        """The request ended without telling anything about the server."""
        self._probing = False


def check_host(url: str, settings: Settings) -> None:
    """Hold a URL against the allow-list; an empty list allows every host.

    Raises:
        InputError: it is no http(s) URL, or its host is not on the list.
    """
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise InputError(f"{url} is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(f"{url} is not an http(s) URL")
    if not _allowed(parsed.host.lower(), settings.outbound_hosts):
        raise InputError(f"{parsed.host} is not in TOCSIN_OUTBOUND_HOSTS")


def _allowed(host: str, hosts: tuple[str, ...]) -> bool:
    return not hosts or any(
        host.endswith(entry[1:].lower()) if entry.startswith("*.") else host == entry.lower()
        for entry in hosts
    )


def library_client(
    settings: Settings,
    *,
    seconds: float,
    most_bytes: int,
    connections: int,
    headers: frozenset[str],
) -> httpx2.AsyncClient:
    """The client to hand to a vendor's library, so that its requests go out by our rules.

    Args:
        settings: `proxy` and `outbound_hosts`.
        seconds: the longest silence of the server.
        most_bytes: the largest answer that is read.
        connections: how many requests it may have in hand; a few more are for questions of health.
        headers: names, in lower case, that the library may send beside `content-type`, `accept`
            and what HTTP needs; the rest (telemetry about this machine, whatever it found in the
            environment) stays here.

    Raises:
        InputError: the proxy cannot be used.
    """
    return httpx2.AsyncClient(
        transport=_Guarded(settings, most_bytes, connections + SPARE, headers),
        timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


class _Guarded(httpx2.AsyncBaseTransport):
    """Sends what a library made: to allowed hosts, with known headers, and reads only so much."""

    def __init__(
        self, settings: Settings, most_bytes: int, connections: int, headers: frozenset[str]
    ) -> None:
        self._settings = settings
        self._most = most_bytes
        self._headers = headers | {"content-type", "content-length", "accept", "host"}
        try:
            self._inner = httpx2.AsyncHTTPTransport(
                proxy=settings.proxy or None,
                trust_env=False,
                limits=httpx2.Limits(max_connections=connections),
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise InputError(f"TOCSIN_PROXY cannot be used: {error}") from error

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See the class.

        Raises:
            InputError: the host is not allowed, or the answer too large or packed.
        """
        check_host(str(request.url), self._settings)
        kept = [(k, v) for k, v in request.headers.multi_items() if k.lower() in self._headers]
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=[*kept, ("user-agent", USER_AGENT), ("accept-encoding", "identity")],
            stream=request.stream,
            extensions=request.extensions,
        )
        response = await self._inner.handle_async_request(sent)
        if response.headers.get("content-encoding", "").strip().lower() not in PLAIN:
            await response.aclose()
            raise InputError("the server packed its answer, though it was asked not to")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """An answer's bytes, up to a limit."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for part in self._stream:
            read += len(part)
            if read > self._most:
                raise InputError(f"the answer has more than {self._most} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
