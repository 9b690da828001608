"""An answer as it comes: agent events to server-sent events."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator

import orjson
import structlog

from api.errors import error_response, tier_error
from api.openai.answering import Answering
from api.openai.completion import activity_line, chunk_object, openai_finish_reason
from api.streaming import frame
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from tiers.errors import TierError

log = structlog.get_logger()

DONE = b"data: [DONE]\n\n"


async def sse(
    answering: Answering,
    *,
    first: AgentEvent | None,
    completion_id: str,
    created: int,
    model: str,
    include_usage: bool,
) -> AsyncGenerator[bytes, None]:
    """Frames for a stream whose first event was already awaited (so that an error before it could
    still be a status code; None: there was none). Closing this ends the answer.

    An error in the middle is told as an `error` frame: the status line is long gone.
    """
    chunk = functools.partial(
        chunk_object,
        completion_id=completion_id,
        created=created,
        model=model,
        null_usage=include_usage,
    )
    try:
        yield frame(chunk(delta={"role": "assistant", "content": None}))
        finished = False
        try:
            event = first
            while event is not None:
                match event:
                    case TextDelta(text=text) if text:
                        yield frame(chunk(delta={"content": text}))
                    case ThinkingDelta(text=text) if text:
                        yield frame(chunk(delta={"reasoning_content": text}))
                    case ToolStarted() | ToolFinished():
                        yield frame(chunk(delta={"reasoning_content": activity_line(event)}))
                    case AnswerFinished(reason=reason, usage=usage):
                        finished = True
                        yield frame(chunk(delta={}, finish_reason=openai_finish_reason(reason)))
                        if include_usage:
                            yield frame(chunk(delta=None, usage=usage))
                        break
                    case _:
                        pass
                event = await answering.next()
            if not finished:
                log.error("an answer ended without saying so", id=completion_id)
                yield frame(chunk(delta={}, finish_reason="length"))
        except TierError as error:
            log.warning("stream cut", error=str(error))
            yield frame(orjson.loads(bytes(tier_error(error).body)))
        except Exception as error:
            log.error("stream cut", id=completion_id, exc_info=error)
            said = error_response(
                status=500,
                message="triaged made a mistake; its log has the details.",
                code="defect",
            )
            yield frame(orjson.loads(bytes(said.body)))
        yield DONE
    finally:
        await answering.close()
