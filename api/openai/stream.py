"""An answer as it comes: agent events to server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from api.errors import envelope, error_response, tier_error
from api.openai.answering import Answering
from api.openai.completion import Form
from api.openai.metering import Meter
from api.openai.rendering import Content, Piece, Reasoning, Renderer
from api.streaming import STOPPED, EventStream, frame
from tiers.errors import TierError

log = structlog.get_logger()

DONE = b"data: [DONE]\n\n"
_LAST_WORDS_SECONDS = 0.5


def stopped() -> bytes:
    """The end of a chat's stream that the daemon's own end cuts off."""
    return frame(envelope(status=503, message=STOPPED, code="stopping")) + DONE


async def sse(
    answering: Answering, *, form: Form, renderer: Renderer, meter: Meter
) -> AsyncGenerator[bytes, None]:
    """The frames of an answer. Closing this ends the answer.

    An error in the middle is told as an `error` frame: the status line is long gone.
    """
    try:
        for payload in form.opening():
            yield frame(payload)
        try:
            while (event := await answering.next()) is not None:
                for piece in measured(renderer.pieces(event), renderer, meter):
                    for payload in form.chunks(piece):
                        yield frame(payload)
                if renderer.finished is not None:
                    break
            for piece in measured(renderer.rest(), renderer, meter):
                for payload in form.chunks(piece):
                    yield frame(payload)
            end = renderer.end()
            if renderer.finished is None:
                log.error("an answer ended without saying so")
            for payload in form.closing(end):
                yield frame(payload)
            meter.ended(outcome=end.reason, usage=end.usage, timings=end.timings)
        except TierError as error:
            log.warning("stream cut", error=str(error))
            said = orjson.loads(bytes(tier_error(error).body))
            meter.ended(outcome=said["error"]["code"])
            yield frame(said)
        except Exception as error:
            log.error("stream cut", exc_info=error)
            meter.ended(outcome="defect")
            response = error_response(
                status=500,
                message="triaged made a mistake; its log has the details.",
                code="defect",
            )
            yield frame(orjson.loads(bytes(response.body)))
        yield DONE
    finally:
        meter.ended(outcome="gone")
        await answering.close()


def measured(pieces: Iterator[Piece], renderer: Renderer, meter: Meter) -> Iterator[Piece]:
    """The pieces, each told to the meter before it is sent."""
    for piece in pieces:
        match piece:
            case Content(text=text, spoken=True) | Reasoning(text=text, spoken=True):
                meter.output(text if isinstance(piece, Content) else "")
            case _:
                meter.pause()
        meter.tool_calls = renderer.tool_calls
        meter.tool_seconds = renderer.tool_seconds
        meter.client_calls = renderer.client_calls
        meter.proposals = renderer.proposals
        yield piece


class AnswerStream(EventStream):
    """A stream of an answer. The answer is ended even if its frames were never begun: closing a
    generator that did not start runs none of it. `last_words` are sent where the answer is cut off
    because the daemon stops (`stopping` is set)."""

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        *,
        answering: Answering,
        meter: Meter,
        stopping: asyncio.Event,
        last_words: Callable[[], bytes],
    ) -> None:
        super().__init__(frames)
        self._answering = answering
        self._meter = meter
        self._stopping = stopping
        self._last_words = last_words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if self.open and self._stopping.is_set():
                body = self._last_words()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_SECONDS):
                        await send({"type": "http.response.body", "body": body})
            raise
        finally:
            self._meter.ended(outcome="gone")
            await self._answering.close()
