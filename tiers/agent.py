"""The chat: the meta tier with the host's tools, which run on our side.

A large model streams and chooses among all tools (`agent_loop.py`). A small one is offered the few
that fit the question, and its short answer is checked before anybody sees it (`agent_small.py`).
`agent_turn.py` reads what the client sent; what the chat's look-ups found is remembered in
`chat_memory.py`; `agent_closing.py` says what an answer cannot claim.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tiers.agent_loop import StreamedAnswer
from tiers.agent_parts import ChatParts
from tiers.agent_small import answer_buffered, prompt_of
from tiers.agent_turn import Turn, read_turn
from tiers.chat_asking import asking_specs
from tiers.chat_client_tools import Choice
from tiers.chat_contracts import AgentEvent, Conversation, Effects
from tiers.chat_history import fitted
from tiers.chat_memory import ChatMemory
from tiers.chat_reading import READ_MORE
from tiers.chat_recall import recalled
from tiers.chat_wishes import wants_fresh
from tiers.config import ToolLoopSettings
from tiers.contracts import Toolbox
from tiers.errors import CaseTooLargeError
from tiers.llm.port import ModelClient
from tiers.profile import PromptProfile
from tiers.routing import ToolRetriever
from tiers.thinking import prompt_budget

_SMALL = 8
"""A profile that offers at most so many tools is for a small model."""
_FEW_FIT = 24
"""Without a small profile more tools than this are still too many to offer at once."""

_Messages = Sequence[Mapping[str, Any]]


def _utc() -> datetime:
    return datetime.now(UTC)


class Agent:
    """Satisfies `tiers.chat_contracts.ChatAgent`. `facts` is what is known about the host, asked
    anew for every answer. Without `effects` nothing is known to have been changed."""

    def __init__(
        self,
        *,
        client: ModelClient,
        profile: PromptProfile,
        toolbox: Toolbox,
        loop: ToolLoopSettings,
        facts: Callable[[], Sequence[tuple[str, str]]] = tuple,
        effects: Effects | None = None,
        clock: Callable[[], datetime] = _utc,
    ) -> None:
        specs = tuple(toolbox.specs())
        self._clock = clock
        self._parts = ChatParts(
            client=client,
            profile=profile,
            toolbox=toolbox,
            loop=loop,
            retriever=ToolRetriever(specs=specs),
            specs=specs,
            memory=ChatMemory(settings=loop, clock=clock),
            effects=effects,
            facts=facts,
        )

    async def answer(self, conversation: Conversation) -> AsyncGenerator[AgentEvent, None]:
        """Ends with `AnswerFinished`. Closing the iterator cancels the model and its tools.
        Raises `tiers.errors.TierError`."""
        turn = self._read(conversation)
        if self._small:
            events = answer_buffered(self._parts, turn)
        else:
            talk, ours = await self._fitting(turn)
            events = StreamedAnswer(self._parts, turn, talk=talk, ours=ours).events()
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                yield event

    async def prompt_tokens(self, conversation: Conversation) -> int:
        """Raises `tiers.errors.TierError`."""
        turn = self._read(conversation)
        if self._small:
            talk, tools = prompt_of(self._parts, turn)
            if not talk:
                return 0
            return await self._parts.client.prompt_tokens(talk, tools=tools)
        messages, offered, _ = self._prompt(turn, chars=self._parts.loop.output_chars)
        return await self._parts.client.prompt_tokens(messages, tools=offered)

    @property
    def _small(self) -> bool:
        return self._parts.profile.max_tools <= _SMALL

    def _read(self, conversation: Conversation) -> Turn:
        return read_turn(
            conversation,
            names=[spec.name for spec in self._parts.specs],
            settings=self._parts.loop,
            memory=self._parts.memory,
            clock=self._clock,
        )

    async def _fitting(self, turn: Turn) -> tuple[_Messages, _Messages]:
        """The messages as they fit the model's context, and our tools. What is remembered, and then
        the asking for changes, has to give way before the question is refused. Raises
        `TierError`."""
        client, most = self._parts.client, self._parts.loop.output_chars
        budget = prompt_budget(
            context=(await client.info()).context, max_tokens=client.max_tokens, configured=None
        )
        kept = (most, most // 4, 0) if turn.results.all() else (most,)
        rounds = [(chars, turn) for chars in kept]
        if turn.asker is not None:
            rounds.append((kept[-1], dataclasses.replace(turn, asker=None)))
        for number, (chars, as_read) in enumerate(rounds, 1):
            talk, tools, ours = self._prompt(as_read, chars=chars)
            try:
                short = await fitted(
                    talk, client=client, tools=tools, budget=budget, result_chars=most
                )
            except CaseTooLargeError:
                if number == len(rounds):
                    raise
                continue
            return short, ours
        raise AssertionError("the last round returns or raises")

    def _prompt(self, turn: Turn, *, chars: int) -> tuple[_Messages, _Messages, _Messages]:
        """What a large model is asked with: the messages, with `chars` characters of what is
        remembered, all tools, and ours among them."""
        parts = self._parts
        talk = recalled(turn.history, turn.results, chars=chars, fresh=wants_fresh(turn.question))
        system = parts.profile.chat_system(facts=parts.facts(), asks=turn.asker is not None)
        if system:
            talk = [{"role": "system", "content": system}, *talk]
        offered = parts.specs
        if len(offered) > min(parts.profile.max_tools, _FEW_FIT):
            offered = tuple(parts.retriever.offer(turn.question, limit=_FEW_FIT)) or offered
        asking = asking_specs(turn.asker) if turn.asker is not None else ()
        ours = [parts.profile.tool_payload(spec) for spec in (*offered, READ_MORE, *asking)]
        theirs = [tool.payload() for tool in turn.tools.tools]
        if turn.tools.choice is Choice.NAMED:
            return talk, theirs, ours
        return talk, [*ours, *theirs], ours
