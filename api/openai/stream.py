"""An answer as it comes: agent events to server-sent events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import orjson
import structlog

from api.errors import tier_error
from api.openai.completion import activity_line, chunk_object, openai_finish_reason
from tiers.contracts import (
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


def frame(payload: object) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


async def sse(
    events: AsyncIterator[AgentEvent],
    *,
    first: AgentEvent,
    completion_id: str,
    created: int,
    model: str,
    include_usage: bool,
) -> AsyncIterator[bytes]:
    """Frames for a stream whose first event was already awaited (so that an error before it could
    still be a status code). Closing this closes the agent, which cancels the model.

    An error in the middle is told as an `error` frame: the status line is long gone.
    """

    def chunk(delta: dict[str, object] | None, **more: object) -> bytes:
        return frame(
            chunk_object(
                completion_id=completion_id,
                created=created,
                model=model,
                delta=delta,
                **more,  # type: ignore[arg-type]
            )
        )

    async with contextlib.AsyncExitStack() as stack:
        closing = getattr(events, "aclose", None)
        if closing is not None:
            stack.push_async_callback(closing)
        yield chunk({"role": "assistant", "content": None})
        try:
            event: AgentEvent | None = first
            while event is not None:
                match event:
                    case TextDelta(text=text) if text:
                        yield chunk({"content": text})
                    case ThinkingDelta(text=text) if text:
                        yield chunk({"reasoning_content": text})
                    case ToolStarted() | ToolFinished():
                        yield chunk({"reasoning_content": activity_line(event)})
                    case AnswerFinished(reason=reason, usage=usage):
                        yield chunk({}, finish_reason=openai_finish_reason(reason))
                        if include_usage:
                            yield chunk(None, usage=usage)
                    case _:
                        pass
                event = await anext(events, None)
        except TierError as error:
            log.warning("stream cut", error=str(error))
            yield frame(orjson.loads(bytes(tier_error(error).body)))
    yield DONE
