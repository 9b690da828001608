"""One question as it is answered: what the client sent, read and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from tiers.chat_asking import NAMES as ASKING
from tiers.chat_client_tools import Choice, ClientTools, client_tools
from tiers.chat_contracts import Asker, Conversation
from tiers.chat_history import cleaned, user_texts
from tiers.chat_memory import ChatMemory, ChatResults, asked_digest
from tiers.chat_reading import READ_MORE
from tiers.chat_schemas import answer_form
from tiers.config import ToolLoopSettings
from tiers.errors import TierRefusedError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`history` is the conversation as the client sent it, cleaned; `form` the JSON form that the
    answer must have; `options` what else the client wants of the model; `results` what the chat's
    look-ups found; `begun` when the request came; `asker` lets it ask for changes."""

    history: Sequence[Mapping[str, Any]]
    asked: Sequence[str]
    tools: ClientTools
    options: Mapping[str, Any]
    form: Mapping[str, Any] | None
    results: ChatResults
    begun: datetime
    request_id: str
    asker: Asker | None = None

    @property
    def question(self) -> str:
        return self.asked[-1]

    @property
    def digest(self) -> str:
        """Of the question: what is looked up now is remembered with it."""
        return asked_digest(self.question)

    @property
    def forced(self) -> bool:
        """Whether the answer has to call a tool of the client's."""
        return self.tools.choice in (Choice.REQUIRED, Choice.NAMED)

    @property
    def one_call(self) -> bool:
        """Whether the client wants one call at a time."""
        return self.tools.choice is Choice.NAMED or self.options.get("parallel_tool_calls") is False


def read_turn(
    conversation: Conversation,
    *,
    names: Collection[str],
    settings: ToolLoopSettings,
    memory: ChatMemory,
    clock: Callable[[], datetime],
) -> Turn:
    """`names` are those of our own tools. Raises `TierRefusedError`."""
    tools = client_tools(
        conversation.tools,
        conversation.tool_choice,
        taken=frozenset(names) | {READ_MORE.name} | ASKING,
        settings=settings,
    )
    history = cleaned(conversation.messages, offered_as=tools.offered_as)
    asked = user_texts(history)
    if not asked:
        raise TierRefusedError("The chat holds no message of a user; send a question.")
    return Turn(
        history=history,
        asked=asked,
        tools=tools,
        options={k: v for k, v in conversation.options.items() if k != "response_format"},
        form=answer_form(conversation.options, settings=settings),
        results=memory.chat(conversation.chat_id),
        begun=clock(),
        request_id=conversation.request_id,
        asker=conversation.asker,
    )
