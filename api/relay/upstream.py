"""Connections to the tiers' endpoints.

aiohttp, because its client takes a fifth of httpx's time per request. It is asked for the bytes as
they are: no redirects, no cookies, no decompression, no proxies of the environment.
"""

from __future__ import annotations

import asyncio
import io
import os
from types import SimpleNamespace

import aiohttp

from api.ports_chat import TierTarget

_CONNECT_SECONDS = 5.0
# llama-server closes a connection after 5 s of silence: let go of it before that, or a request
# may be written into a connection that is being closed.
_KEEPALIVE_SECONDS = 4.0
_STALE_SECONDS = 0.5
"""A connection that had been closed before says so at once; later it is the server that broke."""
_LARGE_BODY = 512 * 1024
_READ_BYTES = 64 * 1024
"""Held per answer when the client does not read: aiohttp stops reading at twice as much."""


class UnreachableError(Exception):
    """There is no connection, so nothing was asked. The sentence says why."""


class BrokenError(Exception):
    """The endpoint broke off before it answered. The sentence says how."""


class Upstreams:
    """One pool for all tiers. Opened with the first request; `aclose` ends it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(
        self,
        target: TierTarget,
        *,
        method: str,
        path: str,
        query: str = "",
        headers: dict[str, str],
        body: bytes = b"",
    ) -> aiohttp.ClientResponse:
        """The response, of which only the head was read. Who gets it closes it, which cancels
        what the endpoint does for it. Raises `UnreachableError` and `BrokenError`.

        A request that fails on a kept connection at once, before any byte was answered, is sent
        again on a new one: the endpoint had closed that connection and never saw the request.
        """
        url = target.url.rstrip("/").removesuffix("/v1") + path + (f"?{query}" if query else "")
        clock = asyncio.get_running_loop().time
        for last in (False, True):
            about = SimpleNamespace(kept=False)
            begun = clock()
            try:
                return await self._opened().request(
                    method,
                    url,
                    data=io.BytesIO(body) if len(body) > _LARGE_BODY else body or None,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=about,
                )
            except aiohttp.ClientConnectorError as error:
                raise UnreachableError(why(error)) from error
            except aiohttp.ConnectionTimeoutError as error:
                raise UnreachableError(f"no connection within {_CONNECT_SECONDS:g} s") from error
            except aiohttp.InvalidURL as error:
                raise UnreachableError("its URL is not one") from error
            except aiohttp.ClientError as error:
                at_once = clock() - begun < _STALE_SECONDS
                if last or not (about.kept and at_once and _unanswered(error)):
                    raise BrokenError(why(error)) from error
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Closes every connection; answers that run are cut."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_kept)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
                auto_decompress=False,
                read_bufsize=_READ_BYTES,
                trace_configs=[trace],
            )
        return self._session


async def _note_kept(
    _session: aiohttp.ClientSession,
    about: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    about.trace_request_ctx.kept = True


def _unanswered(error: aiohttp.ClientError) -> bool:
    """Whether the connection ended with nothing of an answer on it."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return not isinstance(error.message, aiohttp.http.RawResponseMessage)
    return isinstance(error, aiohttp.ClientOSError)


def keep_no_longer(answer: aiohttp.ClientResponse) -> None:
    """The answer's connection is closed after it. Must be called before its end is read, with
    which it would go back to the pool."""
    connection = answer.connection
    if connection is not None and connection.protocol is not None:
        connection.protocol.force_close()


def why(error: aiohttp.ClientError) -> str:
    """What happened, without the library's words."""
    if isinstance(error, aiohttp.ClientOSError) and error.errno:
        said = os.strerror(error.errno)
        return said[:1].lower() + said[1:]
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended before the answer did"
    return str(error) or type(error).__name__
