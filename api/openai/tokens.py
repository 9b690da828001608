"""How many tokens a chat with `triaged` would begin with, as llama-server and OpenAI say it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.asked import caller_of, request_id_of
from api.body import JsonRoute
from api.openai.conversing import conversation_of
from api.openai.models import MODEL_ID, no_model
from api.openai.requests import ChatRequest
from api.ports import Ports
from api.streaming import ClientGoneError, while_connected


def tokens_router(ports: Ports) -> APIRouter:
    """`/v1/chat/completions/input_tokens`, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)

    async def count(body: ChatRequest, request: Request) -> Response:
        """Tokens of the prompt of the first model call, tools included. No model is asked."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        conversation = conversation_of(
            body,
            headers=request.headers,
            caller=caller_of(request.scope),
            request_id=request_id_of(request.scope),
        )
        try:
            tokens = await while_connected(request, ports.chat.prompt_tokens(conversation))
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        return JSONResponse({"object": "response.input_tokens", "input_tokens": tokens})

    for prefix in ("/v1", ""):
        router.add_api_route(
            f"{prefix}/chat/completions/input_tokens",
            count,
            methods=["POST"],
            response_model=None,
        )
    return router
