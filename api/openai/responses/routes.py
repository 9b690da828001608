"""`/v1/responses` of the model `triaged`, and what was kept of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.approvals import Approvals, connection_of
from api.asked import caller_of, request_id_of
from api.body import JsonRoute
from api.errors import WrongParameterError
from api.openai.answering import Answering
from api.openai.approvals import Answer, answer_in, replied
from api.openai.conversing import with_asker
from api.openai.housekeeping import errand_of, written
from api.openai.loading import with_progress
from api.openai.messages import ChatMessage
from api.openai.metering import meter_for
from api.openai.models import MODEL_ID, no_model
from api.openai.requests import ChatRequest
from api.openai.responses.answer import respond
from api.openai.responses.draft import Draft, Prepared
from api.openai.responses.items import Message, text_of
from api.openai.responses.prepare import prepare, read
from api.openai.responses.requests import InputRequest, ResponsesRequest
from api.ports import Ports
from api.ports_chat import StoredResponse
from api.streaming import ClientGoneError, encoded, while_connected
from tiers.chat_contracts import AgentEvent, Errand

_LONGEST_ID = 200


def responses_router(ports: Ports, approvals: Approvals) -> APIRouter:
    """The routes, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)

    async def create(body: ResponsesRequest, request: Request) -> Response:
        """An answer of the meta tier, with the host's tools, whole or streamed."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        return await _create(ports, approvals, body, request)

    async def input_tokens(body: InputRequest, request: Request) -> Response:
        """How long the prompt of such a request would be, in tokens."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        asked = await read(body, responses=ports.responses, owner=caller_of(request.scope).name)
        conversation = asked.conversation(chat=None, request_id=request_id_of(request.scope))
        try:
            tokens = await while_connected(request, ports.chat.prompt_tokens(conversation))
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        return _json({"object": "response.input_tokens", "input_tokens": tokens})

    async def show(response_id: str, request: Request, stream: bool = False) -> Response:
        """A response that was kept."""
        if stream:
            raise WrongParameterError(
                "only responses made in the background can be streamed again, and triaged makes"
                " none; leave it out to get the response whole",
                param="stream",
                code="unsupported_parameter",
            )
        return _json((await _found(ports, response_id, request)).body)

    async def forget(response_id: str, request: Request) -> Response:
        """Deletes a response that was kept."""
        owner = caller_of(request.scope).name
        await ports.responses.forget(id=response_id[:_LONGEST_ID], owner=owner)
        return _json({"id": response_id, "object": "response", "deleted": True})

    async def input_items(
        response_id: str,
        request: Request,
        after: Annotated[str | None, Query(max_length=_LONGEST_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> Response:
        """What was sent for a response, in pages."""
        stored = await _found(ports, response_id, request)
        items = list(stored.input_items if order == "asc" else reversed(stored.input_items))
        begin = 0
        if after is not None:
            places = [at for at, item in enumerate(items) if item["id"] == after]
            if not places:
                raise WrongParameterError(f"there is no item {after!r}", param="after")
            begin = places[-1] + 1
        page = items[begin : begin + limit]
        return _json(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": begin + limit < len(items),
            }
        )

    async def cancel(response_id: str, request: Request) -> Response:
        """Refuses: what is kept has ended."""
        await _found(ports, response_id, request)
        raise WrongParameterError(
            "Cannot cancel a synchronous response: it has ended. Close the connection of one that"
            " is being answered",
            param="response_id",
            code="not_cancellable",
        )

    for prefix in ("/v1/responses", "/responses"):
        for path, endpoint, method in (
            ("", create, "POST"),
            ("/input_tokens", input_tokens, "POST"),
            ("/{response_id}", show, "GET"),
            ("/{response_id}", forget, "DELETE"),
            ("/{response_id}/input_items", input_items, "GET"),
            ("/{response_id}/cancel", cancel, "POST"),
        ):
            router.add_api_route(f"{prefix}{path}", endpoint, methods=[method], response_model=None)
    return router


async def _create(
    ports: Ports, approvals: Approvals, body: ResponsesRequest, request: Request
) -> Response:
    caller, request_id = caller_of(request.scope), request_id_of(request.scope)
    meter_of = functools.partial(
        meter_for, request.scope, stream=body.stream, observer=ports.observer
    )
    try:
        prepared = await prepare(
            body,
            responses=ports.responses,
            caller=caller,
            headers=request.headers,
            request_id=request_id,
        )
    except WrongParameterError as error:
        meter_of(endpoint="responses", question=None).ended(outcome=error.code, status=400)
        raise
    endpoint, events = await _events(ports, approvals, prepared, request)
    question = _question(prepared) if ports.chat_options.log_prompts else None
    return await respond(
        request,
        Answering(events),
        draft=Draft(prepared, model=MODEL_ID),
        responses=ports.responses if body.store else None,
        meter=meter_of(endpoint=endpoint, question=question),
        stream=body.stream,
    )


async def _events(
    ports: Ports, approvals: Approvals, prepared: Prepared, request: Request
) -> tuple[str, AsyncIterator[AgentEvent]]:
    """Who answers: code where a user answers a proposal, the clerk for a frontend's housekeeping,
    else the agent."""
    caller, headers = caller_of(request.scope), request.headers
    if (answer := _approval(prepared)) is not None:
        return "approval", replied(
            answer, by=caller, connection=connection_of(request.scope), approvals=approvals
        )
    errand = _errand(prepared, headers) if ports.chat_options.housekeeping else None
    if errand is not None and ports.clerk is not None:
        aside = dataclasses.replace(prepared.conversation, chat_id=None)
        return "housekeeping", written(ports.clerk, aside, errand)
    conversation = await with_asker(prepared.conversation, by=caller, proposals=ports.proposals)
    return "responses", with_progress(ports.chat.answer(conversation), targets=ports.targets)


def _approval(prepared: Prepared) -> Answer | None:
    """The user's answer to a proposal: the last item, a text of the user's and nothing more."""
    last = prepared.items[-1] if prepared.items else None
    if not isinstance(last, Message) or len(last.parts) != 1:
        return None
    if last.role != "user" or last.parts[0].get("type") != "input_text":
        return None
    return answer_in([ChatMessage(role="user", content=text_of(last.parts))])


def _errand(prepared: Prepared, headers: Mapping[str, str]) -> Errand | None:
    """What a frontend asks for beside a chat: one message of the user, with nothing before it."""
    conversation = prepared.conversation
    if conversation.tools or len(conversation.messages) != 1:
        return None
    (message,) = conversation.messages
    if message["role"] != "user":
        return None
    asked = ChatMessage(role="user", content=message["content"])
    return errand_of(ChatRequest(messages=[asked], stream=prepared.request.stream), headers)


def _question(prepared: Prepared) -> str:
    texts = [str(m["content"]) for m in prepared.conversation.messages if m["role"] == "user"]
    return texts[-1]


async def _found(ports: Ports, response_id: str, request: Request) -> StoredResponse:
    owner = caller_of(request.scope).name
    return await ports.responses.find(id=response_id[:_LONGEST_ID], owner=owner)


def _json(payload: object) -> Response:
    return Response(encoded(payload), media_type="application/json")
