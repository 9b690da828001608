"""`/v1/chat/completions` and `/v1/models`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.errors import error_response
from api.openai.completion import activity_line, completion_object, openai_finish_reason
from api.openai.requests import ChatRequest
from api.openai.stream import sse
from api.ports import Ports
from tiers.contracts import (
    AgentEvent,
    AnswerFinished,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    Usage,
)

MODEL_ID = "triaged"


def openai_router(ports: Ports) -> APIRouter:
    """The routes, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"])
    started = int(time.time())

    async def models() -> dict[str, object]:
        """The models that answer here."""
        entry = {"id": MODEL_ID, "object": "model", "created": started, "owned_by": "triaged"}
        return {"object": "list", "data": [{**entry, "meta": {"model": ports.chat_model}}]}

    async def chat(request: ChatRequest) -> Response:
        """An answer of the meta tier, with the host's tools, whole or streamed."""
        if request.model != MODEL_ID:
            return error_response(
                status=404,
                message=f"There is no model {request.model[:80]!r}; there is {MODEL_ID!r}.",
                param="model",
                code="model_not_found",
            )
        events = ports.chat.answer(messages=request.plain_messages(), options=request.options())
        completion_id, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        if not request.stream:
            return await _whole(events, completion_id=completion_id, created=created)
        first = await anext(events)
        include_usage = request.stream_options is not None and request.stream_options.include_usage
        body = sse(
            events,
            first=first,
            completion_id=completion_id,
            created=created,
            model=MODEL_ID,
            include_usage=include_usage,
        )
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    for prefix in ("/v1", ""):
        router.add_api_route(f"{prefix}/models", models, methods=["GET"])
        router.add_api_route(
            f"{prefix}/chat/completions", chat, methods=["POST"], response_model=None
        )
    return router


async def _whole(
    events: AsyncIterator[AgentEvent], *, completion_id: str, created: int
) -> Response:
    text: list[str] = []
    thinking: list[str] = []
    reason, usage = (
        "stop",
        Usage(
            model=MODEL_ID, endpoint="", prompt_tokens=0, completion_tokens=0, seconds=0.0, calls=0
        ),
    )
    async for event in events:
        match event:
            case TextDelta(text=part):
                text.append(part)
            case ThinkingDelta(text=part):
                thinking.append(part)
            case ToolStarted() | ToolFinished():
                thinking.append(activity_line(event))
            case AnswerFinished():
                reason, usage = event.reason, event.usage
    body = completion_object(
        completion_id=completion_id,
        created=created,
        model=MODEL_ID,
        content="".join(text),
        reasoning="".join(thinking),
        finish_reason=openai_finish_reason(reason),
        usage=usage,
    )
    return JSONResponse(body)
