"""From an agent's events to the response, whole or streamed, for every endpoint that answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response

from api.errors import tier_error
from api.openai.answering import Answering
from api.openai.completion import Form
from api.openai.metering import Meter
from api.openai.rendering import Piece, Renderer
from api.openai.stream import AnswerStream, measured, sse, stopped
from api.ports import BusyError
from api.streaming import ClientGoneError, encoded, while_connected
from tiers.chat_contracts import AgentEvent
from tiers.errors import TierError

_PATIENCE = 8.0
"""Seconds for which a stream waits for its first event, so that an error can still be a status
code; then it begins, so that no proxy takes it for dead."""
_GONE = 499


async def deliver(
    request: Request,
    events: AsyncIterator[AgentEvent],
    *,
    form: Form,
    renderer: Renderer,
    meter: Meter,
    stream: bool,
    patience: float = _PATIENCE,
) -> Response:
    """The response. The client's going away ends the answer at any moment. Raises what the agent
    raised before anything was sent."""
    answering = Answering(events)
    return await delivered(
        request,
        answering,
        meter=meter,
        stream=stream,
        whole=lambda: _whole(answering, form=form, renderer=renderer, meter=meter),
        frames=lambda: sse(answering, form=form, renderer=renderer, meter=meter),
        last_words=stopped,
        patience=patience,
    )


async def delivered(
    request: Request,
    answering: Answering,
    *,
    meter: Meter,
    stream: bool,
    whole: Callable[[], Coroutine[Any, Any, Response]],
    frames: Callable[[], AsyncGenerator[bytes, None]],
    last_words: Callable[[], bytes],
    patience: float = _PATIENCE,
) -> Response:
    """An answer in the form of its endpoint: `whole`, or its `frames`; `last_words` where the
    daemon's own end cuts a stream off. Ends `answering` however it goes."""
    streaming = False
    try:
        if not stream:
            return await while_connected(request, whole())
        await while_connected(request, answering.begun(seconds=patience))
        told = frames()
        streaming = True
        return AnswerStream(
            told,
            answering=answering,
            meter=meter,
            stopping=request.app.state.stopping,
            last_words=last_words,
        )
    except ClientGoneError:
        meter.ended(outcome="gone", status=_GONE)
        return Response(status_code=_GONE)  # nobody reads it
    except Exception as error:
        outcome, status = outcome_of(error)
        meter.ended(outcome=outcome, status=status)
        raise
    finally:
        if not streaming:
            meter.ended(outcome="gone", status=_GONE)
            await answering.close()


def outcome_of(error: Exception) -> tuple[str, int]:
    """How it is counted: the code and the status that a client is told."""
    if isinstance(error, BusyError):
        return "busy", 503
    if not isinstance(error, TierError):
        return "defect", 500
    said = tier_error(error)
    return str(orjson.loads(bytes(said.body))["error"]["code"]), said.status_code


async def _whole(answering: Answering, *, form: Form, renderer: Renderer, meter: Meter) -> Response:
    pieces: list[Piece] = []
    while renderer.finished is None and (event := await answering.next()) is not None:
        pieces.extend(measured(renderer.pieces(event), renderer, meter))
    pieces.extend(measured(renderer.rest(), renderer, meter))
    end = renderer.end()
    meter.ended(outcome=end.reason, usage=end.usage, timings=end.timings)
    return Response(encoded(form.whole(pieces, end)), media_type="application/json")
