"""From a chat request to what the agent is asked with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from api.openai.chat_ids import chat_id
from api.openai.messages import for_agent
from api.openai.requests import ChatRequest
from api.openai.tools import offered
from api.ports import BusyError
from api.ports_actions import Proposals
from api.roles import Caller, Role
from tiers.chat_contracts import Conversation


def conversation_of(
    body: ChatRequest, *, headers: Mapping[str, str], caller: Caller, request_id: str
) -> Conversation:
    """Raises `api.errors.WrongParameterError`."""
    options = body.checked_options()
    tools, choice = offered(body.tools or (), body.tool_choice)
    if tools and body.parallel_tool_calls is not None:
        options["parallel_tool_calls"] = body.parallel_tool_calls
    return Conversation(
        messages=for_agent(body.messages),
        options=options,
        tools=tools,
        tool_choice=choice,
        chat_id=chat_id(body=body, headers=headers, caller=caller),
        request_id=request_id,
    )


async def with_asker(
    conversation: Conversation, *, by: Caller, proposals: Proposals
) -> Conversation:
    """The conversation of a caller who may have actions asked for, if that is possible now."""
    if not by.role.allows(Role.OPERATOR):
        return conversation
    try:
        asker = await proposals.asker(by=by)
    except BusyError:
        return conversation  # there is still much to look up without the store
    return dataclasses.replace(conversation, asker=asker)


def question_in(body: ChatRequest) -> str:
    """What the user wrote last, for a log that may hold it."""
    texts = [message.text() for message in body.messages if message.role == "user"]
    return texts[-1] if texts else ""
