"""HTTP to one endpoint: a connection pool, deadlines, bounded bodies, and faults translated."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import orjson

from tiers.errors import TierUnavailableError, Trouble
from tiers.llm.away import Whereabouts
from tiers.llm.faults import fault_from_response, fault_from_transport
from tiers.llm.wire import mapping

MAX_BODY_BYTES = 16 * 1024 * 1024
_CONNECT_SECONDS = 5.0
# llama-server closes a connection after 5 s of silence: let go of it before that, or a call
# may be written into a connection that is being closed.
_KEEPALIVE_SECONDS = 4.0
_BEFORE_HEADERS = "http11.send_request_headers.started"


class Transport:
    """Sends requests to one endpoint. `name` is the tier's, for sentences; nothing is sent while
    `away` says why not."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        api_key: str | None = None,
        connections: int = 8,
        away: Whereabouts | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self._away = away
        self.url = url.rstrip("/").removesuffix("/v1")
        headers = {"Content-Type": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx2.AsyncClient(
            base_url=self.url,
            headers=headers,
            # Busy is not dead: a long answer is bounded by the call's deadline alone.
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(
                max_connections=connections + 4,
                max_keepalive_connections=connections + 4,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
            trust_env=False,  # a proxy in the environment is not for loopback
            transport=transport,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """Bounds the block. Raises `TierUnavailableError` when the time is over."""
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                yield
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise TierUnavailableError(
                f"{self.name}: no answer from {self.url} within {seconds:g} s; the model may be "
                "too slow for this machine: raise timeout_seconds or take a smaller one",
                retry_after=10.0,
                trouble=Trouble.SLOW,
            ) from error

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """A successful response whose body is not read yet. Raises `TierError`; leaving the
        block closes the connection, which makes llama-server stop generating."""
        self._admit()
        content = orjson.dumps(body) if body is not None else None
        extensions = {"trace": self._traced} if self._away is not None else None
        try:
            sending = self._client.stream(
                method, path, content=content, headers=headers, extensions=extensions
            )
            async with sending as response:
                if response.status_code >= 400:
                    raise fault_from_response(
                        name=self.name,
                        url=self.url,
                        status=response.status_code,
                        headers=response.headers,
                        body=await self.read(response),
                    )
                yield response
        except httpx2.HTTPError as error:
            raise fault_from_transport(error, name=self.name, url=self.url) from error

    def _admit(self) -> None:
        if self._away is not None and (away := self._away()) is not None:
            raise away.error(self.name)

    async def _traced(self, event: str, _: Mapping[str, Any]) -> None:
        """The connection stands and nothing was said yet. Whoever took it is our server if that
        has its port even now: the server may have ended, and the port been taken, before."""
        if event == _BEFORE_HEADERS:
            self._admit()

    async def read(self, response: httpx2.Response) -> bytes:
        """The whole body. Raises `TierUnavailableError` for one larger than any answer may be."""
        parts, size = [], 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise TierUnavailableError(
                    f"{self.name}: {self.url} sends more than {MAX_BODY_BYTES} bytes; "
                    "is it a model endpoint?",
                    retry_after=60.0,
                    trouble=Trouble.GARBAGE,
                )
        return b"".join(parts)

    async def json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Mapping[str, Any], float]:
        """The decoded object of an answer, and the seconds that it took. Raises `TierError`."""
        begun = time.monotonic()
        async with self.open(method, path, body, headers=headers) as response:
            document = await self.document(response)
        return document, time.monotonic() - begun

    async def document(self, response: httpx2.Response) -> Mapping[str, Any]:
        """The decoded object of a response. Raises `TierUnavailableError` for anything else."""
        raw = await self.read(response)
        try:
            document = mapping(orjson.loads(raw))
        except orjson.JSONDecodeError:
            document = {}
        if not document:
            shown = raw[:120].decode("utf-8", "replace")
            raise TierUnavailableError(
                f"{self.name}: {self.url}{response.url.path} answers something that is not a JSON "
                f"object ({shown!r}); is it a model endpoint?",
                retry_after=30.0,
                trouble=Trouble.GARBAGE,
            )
        return document
