"""One response from its first event to its last: answered, kept, and told, whole or streamed.

A response is kept when the model has come to its end, before the client is told so: whoever has
read the end can go on from it. One that broke off, or whose client went away, is not kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import structlog
from fastapi import Request, Response

from api.openai.answering import Answering
from api.openai.delivery import delivered, outcome_of
from api.openai.metering import Meter
from api.openai.responses.draft import Draft
from api.openai.responses.output import Event
from api.openai.responses.prepare import size_of
from api.ports import BusyError
from api.ports_chat import Responses
from api.streaming import STOPPED, encoded, frame
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
)
from tiers.errors import TierError

log = structlog.get_logger()


async def respond(
    request: Request,
    answering: Answering,
    *,
    draft: Draft,
    responses: Responses | None,
    meter: Meter,
    stream: bool,
) -> Response:
    """The response. `responses` None keeps nothing. Raises what the agent raised before anything
    was sent, and `BusyError` where the answer cannot be kept."""
    return await delivered(
        request,
        answering,
        meter=meter,
        stream=stream,
        whole=lambda: _whole(answering, draft=draft, responses=responses, meter=meter),
        frames=lambda: _frames(answering, draft=draft, responses=responses, meter=meter),
        last_words=lambda: _stopped(draft),
    )


async def _whole(
    answering: Answering, *, draft: Draft, responses: Responses | None, meter: Meter
) -> Response:
    while (event := await answering.next()) is not None:
        _told(draft, event, meter)
    list(draft.finish())
    await _keep(draft, responses)
    _ended(draft, meter)
    return Response(encoded(draft.body()), media_type="application/json")


async def _frames(
    answering: Answering, *, draft: Draft, responses: Responses | None, meter: Meter
) -> AsyncGenerator[bytes, None]:
    """Server-sent events with the name of each. Closing this ends the answer."""
    try:
        for told in draft.begin():
            yield _frame(told)
        try:
            while (event := await answering.next()) is not None:
                for told in _told(draft, event, meter):
                    yield _frame(told)
            for told in draft.finish():
                yield _frame(told)
            await _keep(draft, responses)
            _ended(draft, meter)
        except Exception as error:
            if isinstance(error, TierError | BusyError):
                log.warning("response cut", error=str(error))
            else:
                log.error("response cut", exc_info=error)
            meter.ended(outcome=outcome_of(error)[0])
            for told in draft.fail(error):
                yield _frame(told)
        yield _frame(draft.last())
    finally:
        meter.ended(outcome="gone")
        await answering.close()


def _stopped(draft: Draft) -> bytes:
    """The end of a response that the daemon's own end cuts off."""
    told = list(draft.fail(BusyError(STOPPED, retry_after=5.0)))
    return b"".join(_frame(event) for event in (*told, draft.last()))


def _told(draft: Draft, event: AgentEvent, meter: Meter) -> Iterator[Event]:
    """What the event makes; the meter is told first."""
    match event:
        case TextDelta(text=text):
            meter.output(text)
        case ThinkingDelta():
            meter.output()
        case AnswerFinished():
            pass
        case ToolFinished(trace=trace):
            meter.tool_seconds += trace.seconds
            meter.pause()
        case _:
            meter.pause()
    told = list(draft.take(event))
    meter.tool_calls = draft.output.host_calls
    meter.client_calls = draft.output.client_calls
    meter.proposals = draft.output.proposals
    return iter(told)


def _ended(draft: Draft, meter: Meter) -> None:
    end = draft.output.end()
    if end.usage is None:
        log.error("an answer ended without saying so")
    meter.ended(outcome=end.reason, usage=end.usage, timings=end.timings)


async def _keep(draft: Draft, responses: Responses | None) -> None:
    if responses is None:
        return
    stored = draft.stored()
    if (size := size_of(stored)) > responses.most_bytes:
        log.warning("a response is too large to be kept", bytes=size, most=responses.most_bytes)
        draft.not_kept()
        return
    await responses.keep(stored)


def _frame(event: Event) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\n" + frame(event)
