"""An answer of an endpoint on its way to the client: bytes, as they came.

Nothing is read of the endpoint while the client does not take what was read before: `send` waits
then, and the connection to the endpoint stops reading by itself. A client that takes nothing for
too long is cut off by the server's protocol, which ends the transfer like any disconnect.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import structlog
from starlette.types import Send

from api.observing_relay import Observation, Outcome
from api.ports_chat import TierTarget
from api.relay.framing import Frames, Tail
from api.relay.headers import downward, value_of
from api.relay.refusals import (
    broken_sentence,
    error_frame,
    retry_after,
    silence_sentence,
)
from api.relay.upstream import why
from api.streaming import STOPPED

log = structlog.get_logger()

PING = b": waiting\n\n"
_PING_SECONDS = 15.0
_LAST_WORDS_SECONDS = 0.5
_WHOLE_BYTES = 1024 * 1024
"""An answer in one piece up to this size is sent when it is complete, so that one that breaks off
can still be an error; a larger one is sent as it comes."""


class BrokeOffError(Exception):
    """The endpoint ended in the middle, and nothing was sent to the client yet. The sentence says
    how."""


class SilentError(Exception):
    """The endpoint sent nothing for the tier's patience, and nothing was sent to the client."""


class Transfer:
    """One answer. `run` sends it all; the fields then tell what was sent."""

    def __init__(
        self,
        *,
        target: TierTarget,
        endpoint: str,
        answer: aiohttp.ClientResponse,
        observation: Observation,
        ping_seconds: float = _PING_SECONDS,
    ) -> None:
        self._target = target
        self._endpoint = endpoint
        self._answer = answer
        self._observation = observation
        self._ping_seconds = ping_seconds
        self._frames = Frames()
        kind = value_of(answer.raw_headers, b"content-type")
        self.streamed = kind.lower().startswith(b"text/event-stream")
        self.outcome = Outcome.ANSWERED
        self.status = answer.status
        self.tail = Tail()
        self._open = False
        self.frames = 0
        self.sent_bytes = 0

    async def run(self, send: Send) -> None:
        """Raises `BrokeOffError` and `SilentError` while nothing was sent."""
        if self.streamed:
            await self._stream(send)
        else:
            await self._whole(send)

    # --- in one piece

    async def _whole(self, send: Send) -> None:
        parts: list[bytes] = []
        held = 0
        try:
            async with asyncio.timeout(self._target.patience):
                while held <= _WHOLE_BYTES and (part := await self._answer.content.readany()):
                    parts.append(part)
                    held += len(part)
        except TimeoutError as error:
            raise SilentError from error
        except aiohttp.ClientError as error:
            raise BrokeOffError(why(error)) from error
        body = b"".join(parts)
        if held <= _WHOLE_BYTES:
            await self._start(send, length=held)
            await self._put(send, body, more=False)
            return
        length = value_of(self._answer.raw_headers, b"content-length")
        await self._start(send, length=int(length) if length.isdigit() else None)
        parts.clear()
        try:
            while body:
                await self._put(send, body)
                async with asyncio.timeout(self._target.patience):
                    body = await self._answer.content.readany()
        except (TimeoutError, aiohttp.ClientError) as error:
            # The client sees that the length is not reached, or that the last chunk is missing.
            self.outcome = Outcome.BROKEN
            log.warning("answer cut", tier=self._target.tier.value, error=str(error))
            return
        await self._put(send, b"", more=False)

    # --- a stream

    async def _stream(self, send: Send) -> None:
        content, clock = self._answer.content, asyncio.get_running_loop().time
        await self._start(send, length=None)
        heard = clock()
        while True:
            try:
                async with asyncio.timeout(self._ping_seconds):
                    data = await content.readany()
            except TimeoutError:
                if clock() - heard > self._target.patience:
                    await self._cut(send, silence_sentence(self._target))
                    return
                if self._frames.between:
                    await self._put(send, PING)
                continue
            except aiohttp.ClientError as error:
                await self._cut(send, broken_sentence(self._target, why(error)))
                return
            if not data:
                break
            if ready := self._frames.feed(data):
                await self._put(send, ready)
            heard = clock()
        await self._put(send, self._frames.rest(), more=False)

    async def last_words(self, send: Send) -> None:
        """Ends a stream because the facade stops. Two more events fit into any buffer that was
        not full before."""
        if self.streamed and self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await self._cut(send, STOPPED)

    async def _cut(self, send: Send, message: str) -> None:
        """Ends the stream with an error that its readers know. What is held of a half event is
        left out."""
        self.outcome = Outcome.BROKEN
        log.warning("stream cut", tier=self._target.tier.value, error=message)
        begin = b"" if self._frames.between else b"\n\n"
        await self._put(send, begin + error_frame(self._endpoint, message), more=False)

    # --- both

    async def _start(self, send: Send, *, length: int | None) -> None:
        headers = downward(self._answer.raw_headers)
        if length is not None and self.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        if self.status in (429, 503) and not value_of(headers, b"retry-after"):
            seconds = retry_after(self._target)["Retry-After"]
            headers.append((b"retry-after", seconds.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        self._open = True

    async def _put(self, send: Send, body: bytes, *, more: bool = True) -> None:
        self._open = more
        await send({"type": "http.response.body", "body": body, "more_body": more})
        before, self.frames = self.frames, self._frames.count
        self.sent_bytes += len(body)
        self.tail.add(body)
        self._observation.sent(frames=self.frames - before, size=len(body))
