"""The chat: the meta tier with the host's tools, which run on our side.

A large model streams and chooses among all tools (`agent_loop.py`). A small one is offered the few
that fit the question, and its short answer is checked before anybody sees it (`agent_small.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence

from tiers.agent_loop import answer_streaming
from tiers.agent_parts import ChatParts
from tiers.agent_small import answer_buffered
from tiers.chat_contracts import AgentEvent, Conversation
from tiers.chat_history import cleaned, fitted, user_texts
from tiers.config import ToolLoopSettings
from tiers.contracts import Toolbox
from tiers.errors import TierRefusedError
from tiers.llm.client import LlmClient
from tiers.profile import PromptProfile
from tiers.routing import ToolRetriever
from tiers.thinking import prompt_budget

_SMALL = 8
"""A profile that offers at most so many tools is for a small model."""
_FEW_FIT = 24
"""Without a small profile more tools than this are still too many to offer at once."""


class Agent:
    """Satisfies `tiers.contracts.ChatAgent`. `facts` is what is known about the host, asked anew
    for every answer."""

    def __init__(
        self,
        *,
        client: LlmClient,
        profile: PromptProfile,
        toolbox: Toolbox,
        loop: ToolLoopSettings,
        facts: Callable[[], Sequence[tuple[str, str]]] = tuple,
    ) -> None:
        self._client = client
        self._profile = profile
        self._toolbox = toolbox
        self._loop = loop
        self._facts = facts
        self._specs = tuple(toolbox.specs())
        self._retriever = ToolRetriever(specs=self._specs)

    async def answer(self, conversation: Conversation) -> AsyncGenerator[AgentEvent, None]:
        """Ends with `AnswerFinished`. Closing the iterator cancels the model and its tools.
        Raises `tiers.errors.TierError`."""
        talk = cleaned(conversation.messages)
        asked = user_texts(talk)
        if not asked:
            raise TierRefusedError("The chat holds no message of a user; send a question.")
        parts = ChatParts(
            client=self._client,
            profile=self._profile,
            toolbox=self._toolbox,
            loop=self._loop,
            retriever=self._retriever,
            specs=self._specs,
        )
        if self._profile.max_tools <= _SMALL:
            events = answer_buffered(parts, asked=asked)
        else:
            system = self._profile.chat_system(facts=self._facts())
            if system:
                talk = [{"role": "system", "content": system}, *talk]
            offered = self._specs
            if len(offered) > min(self._profile.max_tools, _FEW_FIT):
                offered = tuple(self._retriever.offer(asked[-1], limit=_FEW_FIT)) or offered
            payload = [self._profile.tool_payload(spec) for spec in offered]
            info = await self._client.info()
            budget = prompt_budget(
                context=info.context, max_tokens=self._client.max_tokens, configured=None
            )
            short = await fitted(talk, client=self._client, tools=payload, budget=budget)
            events = answer_streaming(
                parts, talk=short, tools=payload, options=conversation.options
            )
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                yield event

    async def prompt_tokens(self, conversation: Conversation) -> int:
        """Raises `tiers.errors.TierError`."""
        return await self._client.prompt_tokens(cleaned(conversation.messages))
