"""The conversation as the model gets it: what the client sent, cleaned, and short enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiers.errors import CaseTooLargeError
from tiers.llm.client import LlmClient
from tiers.llm.counting import estimated_tokens

_ROLES = frozenset({"system", "user", "assistant"})


def text_of_content(content: object) -> str:
    """A message's text: as it is, or the text parts of a list joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(part for part in parts if isinstance(part, str))


def cleaned(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """System, user and assistant texts. Tools run on our side: a client's tool messages belong to
    nothing that we know, and empty turns say nothing."""
    found = []
    for message in messages:
        role, text = message.get("role"), text_of_content(message.get("content"))
        if role in _ROLES and text.strip():
            found.append({"role": role, "content": text})
    return found


def user_texts(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the user wrote, oldest first."""
    return [str(message["content"]) for message in messages if message["role"] == "user"]


async def fitted(
    messages: Sequence[Mapping[str, Any]],
    *,
    client: LlmClient,
    tools: Sequence[Mapping[str, Any]],
    budget: int,
) -> list[Mapping[str, Any]]:
    """The longest end of the conversation whose prompt has at most `budget` tokens, system
    messages kept. Raises `CaseTooLargeError` when the last message alone is too long."""
    system = [message for message in messages if message["role"] == "system"]
    talk = [message for message in messages if message["role"] != "system"]

    def ending(dropped: int) -> list[Mapping[str, Any]]:
        return [*system, *talk[dropped:]]

    # The estimate is an upper bound in practice: most chats need no question to the server.
    rough = sum(16 + estimated_tokens(str(message["content"])) for message in messages)
    rough += sum(estimated_tokens(str(tool)) for tool in tools)
    if rough <= budget:
        return ending(0)
    last = max((at for at, message in enumerate(talk) if message["role"] == "user"), default=0)
    low, high, fits = 0, last, None
    tokens = 0
    while low <= high:
        middle = (low + high) // 2
        tokens = await client.prompt_tokens(ending(middle), tools=tools)
        if tokens <= budget:
            fits, high = middle, middle - 1
        else:
            low = middle + 1
    if fits is None:
        raise CaseTooLargeError(
            f"{client.name}: the last message is too long for the model's context "
            f"({tokens} tokens, {budget} fit); send less, or raise `context` of this tier.",
            excess_tokens=max(1, tokens - budget),
        )
    return ending(fits)
