"""`/v1/chat/completions` of the model `triaged`."""

from __future__ import annotations

import dataclasses
import functools
import secrets
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response

from api.approvals import Approvals, connection_of
from api.asked import caller_of, request_id_of
from api.body import JsonRoute
from api.errors import WrongParameterError
from api.openai.approvals import answer_in, replied
from api.openai.completion import ChatForm
from api.openai.completions import completions_router
from api.openai.conversing import conversation_of, question_in, with_asker
from api.openai.delivery import deliver
from api.openai.frontends import shown_to
from api.openai.housekeeping import errand_of, written
from api.openai.loading import with_progress
from api.openai.metering import meter_for
from api.openai.models import MODEL_ID, no_model
from api.openai.rendering import Renderer
from api.openai.requests import ChatRequest
from api.openai.tokens import tokens_router
from api.ports import Ports
from tiers.chat_contracts import AgentEvent


def openai_router(ports: Ports, approvals: Approvals) -> APIRouter:
    """What the model `triaged` answers, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)

    async def chat(body: ChatRequest, request: Request) -> Response:
        """An answer of the meta tier, with the host's tools, whole or streamed."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        return await _answer(ports, approvals, body, request)

    for prefix in ("/v1", ""):
        router.add_api_route(
            f"{prefix}/chat/completions", chat, methods=["POST"], response_model=None
        )
    router.include_router(completions_router(ports))
    router.include_router(tokens_router(ports))
    return router


async def _answer(
    ports: Ports, approvals: Approvals, body: ChatRequest, request: Request
) -> Response:
    meter_of = functools.partial(
        meter_for,
        request.scope,
        stream=body.stream,
        question=question_in(body) if ports.chat_options.log_prompts else None,
        observer=ports.observer,
    )
    try:
        endpoint, events = await _events(ports, approvals, body, request)
    except WrongParameterError as error:
        meter_of(endpoint="chat").ended(outcome=error.code, status=400)
        raise
    return await deliver(
        request,
        events,
        form=ChatForm(
            completion_id=f"chatcmpl-{secrets.token_hex(12)}",
            created=int(time.time()),
            model=MODEL_ID,
            include_usage=body.include_usage,
            timings=body.timings_per_token,
        ),
        renderer=Renderer(
            show=shown_to(body=body, headers=request.headers, options=ports.chat_options),
            client_tools=frozenset(tool.function.name for tool in body.tools or ()),
            parallel=body.parallel_tool_calls is not False,
        ),
        meter=meter_of(endpoint=endpoint),
        stream=body.stream,
    )


async def _events(
    ports: Ports, approvals: Approvals, body: ChatRequest, request: Request
) -> tuple[str, AsyncIterator[AgentEvent]]:
    """Who answers, and the answer: code where a user answers a proposal, the clerk for a
    frontend's housekeeping, else the agent. Raises `WrongParameterError`."""
    caller = caller_of(request.scope)
    conversation = conversation_of(
        body,
        headers=request.headers,
        caller=caller,
        request_id=request_id_of(request.scope),
    )
    if (answer := answer_in(body.messages)) is not None:
        return "approval", replied(
            answer, by=caller, connection=connection_of(request.scope), approvals=approvals
        )
    if ports.clerk is not None and ports.chat_options.housekeeping:
        errand = errand_of(body, request.headers)
        if errand is not None:
            aside = dataclasses.replace(conversation, chat_id=None)
            return "housekeeping", written(ports.clerk, aside, errand)
    conversation = await with_asker(conversation, by=caller, proposals=ports.proposals)
    return "chat", with_progress(ports.chat.answer(conversation), targets=ports.targets)
