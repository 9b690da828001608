"""`/v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from api.body import JsonRoute
from api.openai.answering import Answering
from api.openai.completion import activity_line, completion_object, openai_finish_reason
from api.openai.models import MODEL_ID, no_model
from api.openai.requests import ChatRequest
from api.openai.stream import sse
from api.ports import Ports
from api.streaming import ClientGoneError, EventStream, while_connected
from api.text import fit
from tiers.chat_contracts import (
    AnswerFinished,
    Conversation,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from tiers.contracts import Usage


def openai_router(ports: Ports) -> APIRouter:
    """The routes, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)

    async def chat(body: ChatRequest, request: Request) -> Response:
        """An answer of the meta tier, with the host's tools, whole or streamed."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        answering = Answering(
            ports.chat.answer(Conversation(messages=body.plain_messages(), options=body.options()))
        )
        completion_id, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        streaming = False
        try:
            if not body.stream:
                whole = _whole(answering, completion_id=completion_id, created=created)
                return await while_connected(request, whole)
            first = await while_connected(request, answering.next())
            frames = sse(
                answering,
                first=first,
                completion_id=completion_id,
                created=created,
                model=MODEL_ID,
                include_usage=body.stream_options is not None and body.stream_options.include_usage,
            )
            streaming = True
            return AnswerStream(frames, answering=answering)
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        finally:
            if not streaming:
                await answering.close()

    for prefix in ("/v1", ""):
        router.add_api_route(
            f"{prefix}/chat/completions", chat, methods=["POST"], response_model=None
        )
    return router


class AnswerStream(EventStream):
    """A stream of an answer. The answer is ended even if its frames were never begun: closing a
    generator that did not start runs none of it."""

    def __init__(self, frames: AsyncGenerator[bytes, None], *, answering: Answering) -> None:
        super().__init__(frames)
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._answering.close()


async def _whole(answering: Answering, *, completion_id: str, created: int) -> Response:
    text: list[str] = []
    thinking: list[str] = []
    reason, usage = (
        "stop",
        Usage(
            model=MODEL_ID, endpoint="", prompt_tokens=0, completion_tokens=0, seconds=0.0, calls=0
        ),
    )
    while (event := await answering.next()) is not None:
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
        content=fit("".join(text)),
        reasoning=fit("".join(thinking)),
        finish_reason=openai_finish_reason(reason),
        usage=usage,
    )
    return JSONResponse(body)
