"""From a request to what the agent is asked with: what was before is looked up, references are
resolved, and what cannot be answered or kept is refused before any model is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api.errors import WrongParameterError
from api.openai.chat_ids import HEADERS, chat_id
from api.openai.messages import ChatMessage
from api.openai.requests import ChatRequest
from api.openai.responses.draft import Draft, Prepared
from api.openai.responses.history import chat_messages
from api.openai.responses.items import (
    FunctionCall,
    FunctionOutput,
    Item,
    Message,
    Reference,
    new_id,
)
from api.openai.responses.reading import UNREAD, read_input, read_item, stored_items
from api.openai.responses.requests import InputRequest, ResponsesRequest
from api.openai.responses.tools import ClientTools, read_tools, response_format
from api.ports import ConflictError, NotFoundError
from api.ports_chat import Responses, StoredResponse
from api.roles import Caller
from api.streaming import encoded
from tiers.chat_contracts import Conversation

_MOST_REFERENCES = 256
_MOST_ITEMS = 10_000
"""Of the responses before, together."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A request, read. `items` are its own; `root` is the id of the response with which the
    conversation began, None where none is known."""

    items: Sequence[Item]
    messages: Sequence[Mapping[str, Any]]
    tools: ClientTools
    options: Mapping[str, Any]
    root: str | None

    def conversation(self, *, chat: str | None, request_id: str) -> Conversation:
        """What the agent is asked with."""
        return Conversation(
            messages=self.messages,
            options=self.options,
            tools=self.tools.tools,
            tool_choice=self.tools.choice,
            chat_id=chat,
            request_id=request_id,
        )


async def read(body: InputRequest, *, responses: Responses, owner: str) -> Read:
    """Raises `WrongParameterError`, and `api.ports.BusyError` where the store is needed and
    away."""
    body.refuse()
    tools = read_tools(body.tools, body.tool_choice)
    options = body.options() if isinstance(body, ResponsesRequest) else {}
    if (form := response_format(body.text.format if body.text is not None else None)) is not None:
        options["response_format"] = form
    if tools.tools:
        options["parallel_tool_calls"] = body.parallel_tool_calls
    given = read_input(body.input)
    if not given and body.previous_response_id is None:
        raise WrongParameterError("is missing: send text or a list of items", param="input")
    _only_text(given)
    before = await _before(body.previous_response_id, responses=responses, owner=owner)
    if sum(len(one.input_items) + len(one.body["output"]) for one in before) > _MOST_ITEMS:
        raise WrongParameterError(
            f"the conversation so far has more than {_MOST_ITEMS} items; begin again with what"
            " matters as input",
            param="previous_response_id",
            code="conversation_too_long",
        )
    history = [
        item
        for stored in before
        for item in stored_items([*stored.input_items, *stored.body["output"]])
    ]
    items = await _resolved(given, history=history, responses=responses, owner=owner)
    return Read(
        items=items,
        messages=chat_messages([*history, *items], instructions=body.instructions),
        tools=tools,
        options=options,
        root=before[0].id if before else None,
    )


async def prepare(
    body: ResponsesRequest,
    *,
    responses: Responses,
    caller: Caller,
    headers: Mapping[str, str],
    request_id: str,
) -> Prepared:
    """Raises `WrongParameterError`, and `api.ports.BusyError` where the store is needed and
    away."""
    if body.store and body.previous_response_id is None:
        await responses.ready()
    asked = await read(body, responses=responses, owner=caller.name)
    own_id = new_id("resp")
    chat = _chat(body, asked, own_id=own_id, caller=caller, headers=headers)
    prepared = Prepared(
        id=own_id,
        request=body,
        items=asked.items,
        tools=asked.tools,
        conversation=asked.conversation(chat=chat, request_id=request_id),
        owner=caller.name,
        created_at=datetime.now(tz=UTC),
    )
    if body.store and (size := size_of(Draft(prepared, model="").stored())) > responses.most_bytes:
        raise WrongParameterError(
            f"is too long to be stored ({size} bytes of {responses.most_bytes}); send store=false,"
            " or raise store.retention.response_kb",
            param="input",
            code="too_large_to_store",
        )
    return prepared


def size_of(stored: StoredResponse) -> int:
    """Bytes that it takes as JSON."""
    return len(encoded(stored.input_items)) + len(encoded(stored.body))


def _only_text(given: Sequence[Item | Reference]) -> None:
    """What is sent now must be readable; of earlier turns a placeholder is enough, so that one
    picture does not end a conversation."""
    turns = (at for at, item in enumerate(given) if _of_model(item))
    for at, item in enumerate(given[(newest := 1 + max(turns, default=-1)) :], start=newest):
        match item:
            case Message(parts=parts):
                key, shown = "content", parts
            case FunctionOutput(output=tuple() as output):
                key, shown = "output", output
            case _:
                continue
        for number, part in enumerate(shown):
            if part.get("type") in UNREAD:
                raise WrongParameterError(
                    f"{part['type']!r} is no text, and triaged reads text only; leave it out, or"
                    " ask the bare model (tier/meta) if it can take this",
                    param=f"input.{at}.{key}.{number}",
                    code="unsupported_content",
                )


def _of_model(item: Item | Reference) -> bool:
    return isinstance(item, FunctionCall) or (
        isinstance(item, Message) and item.role == "assistant"
    )


async def _before(
    previous: str | None, *, responses: Responses, owner: str
) -> Sequence[StoredResponse]:
    if previous is None:
        return ()
    try:
        return await responses.chain(id=previous, owner=owner)
    except NotFoundError as error:
        raise WrongParameterError(
            str(error), param="previous_response_id", code="previous_response_not_found"
        ) from error
    except ConflictError as error:
        raise WrongParameterError(
            str(error), param="previous_response_id", code="conversation_too_long"
        ) from error


async def _resolved(
    given: Sequence[Item | Reference],
    *,
    history: Sequence[Item],
    responses: Responses,
    owner: str,
) -> list[Item]:
    """The items, references replaced by what they stand for. What `previous_response_id` brings
    along already is not brought twice."""
    wanted = {item.id for item in given if isinstance(item, Reference)}
    if len(wanted) > _MOST_REFERENCES:
        raise WrongParameterError(
            f"holds more than {_MOST_REFERENCES} references; send previous_response_id instead",
            param="input",
        )
    known = {item.id for item in history}
    found: Mapping[str, Mapping[str, Any]] = {}
    if missing := sorted(wanted - known):
        try:
            found = await responses.items(ids=missing, owner=owner)
        except ConflictError as error:
            raise WrongParameterError(str(error), param="input") from error
    items: list[Item] = []
    for at, entry in enumerate(given):
        if not isinstance(entry, Reference):
            items.append(entry)
        elif entry.id not in known:
            if entry.id not in found:
                raise WrongParameterError(
                    f"Item with id {entry.id!r} not found; items are stored only with store=true",
                    param=f"input.{at}.id",
                    code="item_not_found",
                )
            item = read_item(found[entry.id], f"input.{at}")
            if not isinstance(item, Reference):
                items.append(item)
            known.add(entry.id)
    return items


def _chat(
    body: ResponsesRequest,
    asked: Read,
    *,
    own_id: str,
    caller: Caller,
    headers: Mapping[str, str],
) -> str:
    """Under which id the agent remembers what it looked up: the frontend's own, else that of the
    first response of the chain. Whoever sends the whole conversation again each time is known by
    how it began, as with chat completions."""
    if not any(headers.get(name) for name in HEADERS):
        if asked.root is not None:
            return asked.root
        fresh = not any(
            not isinstance(item, Message) or item.role == "assistant" for item in asked.items
        )
        if body.store and fresh:
            return own_id
    begun: dict[str, ChatMessage] = {}
    for message in asked.messages:
        if (role := message["role"]) in ("system", "user") and role not in begun:
            begun[role] = ChatMessage(role=role, content=message["content"])
    as_chat = ChatRequest(
        messages=list(begun.values()),
        metadata=dict(body.metadata or {}),
        user=body.user,
        safety_identifier=body.safety_identifier,
    )
    return chat_id(body=as_chat, headers=headers, caller=caller)
