"""The conversation as the model gets it: what the client sent, cleaned, and short enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from tiers.chat_closing_words import without_closing
from tiers.errors import CaseTooLargeError
from tiers.llm.counting import estimated_tokens
from tiers.llm.neutralise import middle_cut, neutralise
from tiers.llm.port import ModelClient
from tiers.llm.wire import tool_calls_from

_ROLES = frozenset({"system", "user", "assistant"})
_NO_RESULT = "The client sent no result of this call."
_MOST_CALLS = 64
_ARGUMENT_CHARS = 32_768


def text_of_content(content: object) -> str:
    """A message's text: as it is, or the text parts of a list joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(part for part in parts if isinstance(part, str))


def cleaned(
    messages: Sequence[Mapping[str, Any]], *, offered_as: Callable[[str], str] = str
) -> list[dict[str, Any]]:
    """System, user and assistant texts, and the calls of the client's tools with their results.

    A result belongs to a call of the assistant's message before it; one that belongs to none is
    left out, a call without one says so, and empty turns say nothing. `offered_as` gives the names
    that the model knows the client's tools by. What code added to an answer is taken off.
    """
    found: list[dict[str, Any]] = []
    results: dict[str, dict[str, Any]] = {}
    for message in messages:
        role, text = message.get("role"), text_of_content(message.get("content"))
        if role == "tool":
            answered = results.get(str(message.get("tool_call_id")))
            if answered is not None:
                answered["content"] = neutralise(text) or "(empty)"
            continue
        results = {}
        if role == "assistant":
            text = without_closing(text)
            if calls := _calls(message, offered_as):
                found.append({"role": role, "content": text or None, "tool_calls": calls})
                for call in calls:
                    told = {"role": "tool", "tool_call_id": call["id"], "content": _NO_RESULT}
                    results[call["id"]] = told
                    found.append(told)
                continue
        if role in _ROLES and text.strip():
            found.append({"role": role, "content": text})
    return found


def user_texts(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the user wrote, oldest first."""
    return [str(message["content"]) for message in messages if message["role"] == "user"]


def client_results(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the client's tools said since the user wrote last, oldest first."""
    return [str(message["content"]) for message in last_turn(messages) if message["role"] == "tool"]


def last_turn(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The user's last message and what came after it."""
    starts = [at for at, message in enumerate(messages) if message["role"] == "user"]
    return messages[starts[-1] :] if starts else ()


async def fitted(
    messages: Sequence[Mapping[str, Any]],
    *,
    client: ModelClient,
    tools: Sequence[Mapping[str, Any]],
    budget: int,
    result_chars: int,
) -> list[Mapping[str, Any]]:
    """The longest end of the conversation whose prompt has at most `budget` tokens: system
    messages are kept, turns go as a whole. Where the last turn alone is too long, results of tools
    in it are cut to `result_chars`. Raises `CaseTooLargeError` when that does not help either."""
    # The estimate is an upper bound in practice: most chats need no question to the server.
    rough = sum(16 + estimated_tokens(_written(message)) for message in messages)
    rough += sum(estimated_tokens(str(tool)) for tool in tools)
    if rough <= budget:
        return _ending(messages, 0)
    turns = _turns(messages)
    low, high, fits = 0, len(turns) - 1, None
    tokens = 0
    while low <= high:
        middle = (low + high) // 2
        tokens = await client.prompt_tokens(_ending(messages, turns[middle]), tools=tools)
        if tokens <= budget:
            fits, high = middle, middle - 1
        else:
            low = middle + 1
    if fits is not None:
        return _ending(messages, turns[fits])
    last = _cut_results(_ending(messages, turns[-1]), result_chars)
    tokens = await client.prompt_tokens(last, tools=tools)
    if tokens > budget:
        raise CaseTooLargeError(
            f"{client.name}: the last message is too long for the model's context "
            f"({tokens} tokens, {budget} fit); send less, or raise `context` of this tier.",
            excess_tokens=max(1, tokens - budget),
        )
    return last


def _calls(message: Mapping[str, Any], offered_as: Callable[[str], str]) -> list[dict[str, Any]]:
    return [
        {
            "id": call.call_id[:200],
            "type": "function",
            "function": {
                "name": offered_as(call.name),
                "arguments": _arguments(call.arguments),
            },
        }
        for call in tool_calls_from(message)[:_MOST_CALLS]
    ]


def _arguments(text: str) -> str:
    """The JSON object that a model wrote; an empty one for anything else: templates read it."""
    try:
        document = orjson.loads(text) if len(text) <= _ARGUMENT_CHARS else None
    except orjson.JSONDecodeError:
        document = None
    return neutralise(text) if isinstance(document, dict) else "{}"


def _written(message: Mapping[str, Any]) -> str:
    return f"{message.get('content') or ''}{message.get('tool_calls') or ''}"


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where a conversation may begin, among the messages that are not the system's: at its
    beginning or with a message of the user."""
    talk = [message for message in messages if message["role"] != "system"]
    starts = [at for at, message in enumerate(talk) if message["role"] == "user"]
    return starts if starts[:1] == [0] else [0, *starts]


def _ending(messages: Sequence[Mapping[str, Any]], dropped: int) -> list[Mapping[str, Any]]:
    system = [message for message in messages if message["role"] == "system"]
    talk = [message for message in messages if message["role"] != "system"]
    return [*system, *talk[dropped:]]


def _cut_results(
    messages: Sequence[Mapping[str, Any]], result_chars: int
) -> list[Mapping[str, Any]]:
    return [
        {**message, "content": middle_cut(str(message["content"]), result_chars)}
        if message["role"] == "tool"
        else message
        for message in messages
    ]
