"""A tier whose endpoints are not all prompted alike.

A bundled model understands other words than a large one, so the prompts have to follow the endpoint
that answers. Neighbours in the order that are prompted alike think together (they share a
`FailoverClient`); where the words change, another one thinks, from the beginning. The trigger tier
changes at every endpoint, because only some models decide without writing.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tiers.chat_contracts import AgentEvent, ChatAgent, Conversation
from tiers.contracts import (
    Assessment,
    Case,
    MetaTier,
    Plan,
    ReviewTier,
    Sighting,
    TriggerTier,
    Verdict,
)
from tiers.errors import QueueFullError, TierError, TierMisfitError, TierUnavailableError
from tiers.llm.failover import FailoverClient
from tiers.llm.pool import together

_Thinks = TypeVar("_Thinks")
_Answer = TypeVar("_Answer")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alternative(Generic[_Thinks]):
    """Who thinks, and the client that it thinks with."""

    client: FailoverClient
    thinks: _Thinks


class _Alternatives(Generic[_Thinks]):
    def __init__(self, alternatives: Sequence[Alternative[_Thinks]]) -> None:
        """At least one, in the order in which they are preferred."""
        self._all = tuple(alternatives)

    def _order(self) -> Sequence[Alternative[_Thinks]]:
        """Those whose endpoints may be asked; all where none may."""
        return [each for each in self._all if each.client.able] or self._all

    async def _first(self, ask: Callable[[_Thinks], Awaitable[_Answer]]) -> _Answer:
        """The answer of the first that gives one. Raises `TierError`."""
        errors: list[TierError] = []
        for each in self._order():
            try:
                return await ask(each.thinks)
            except (TierUnavailableError, TierMisfitError) as error:
                if isinstance(error, QueueFullError):
                    raise
                errors.append(error)
        raise together(self._all[0].client.name, errors) from errors[-1]


class TriggerAlternatives(_Alternatives[TriggerTier]):
    """Satisfies `tiers.contracts.TriggerTier`."""

    async def judge(self, sighting: Sighting) -> Verdict:
        """Raises `tiers.errors.TierError`."""
        return await self._first(lambda thinks: thinks.judge(sighting))


class ReviewAlternatives(_Alternatives[ReviewTier]):
    """Satisfies `tiers.contracts.ReviewTier`."""

    async def assess(self, case: Case) -> Assessment:
        """Raises `tiers.errors.TierError`."""
        return await self._first(lambda thinks: thinks.assess(case))


class MetaAlternatives(_Alternatives[MetaTier]):
    """Satisfies `tiers.contracts.MetaTier`."""

    async def plan(self, case: Case) -> Plan:
        """Raises `tiers.errors.TierError`."""
        return await self._first(lambda thinks: thinks.plan(case))


class ChatAlternatives(_Alternatives[ChatAgent]):
    """Satisfies `tiers.chat_contracts.ChatAgent`."""

    async def answer(self, conversation: Conversation) -> AsyncGenerator[AgentEvent, None]:
        """The answer of the first of which anything comes. Raises `tiers.errors.TierError`."""
        errors: list[TierError] = []
        for each in self._order():
            begun = False
            events = each.thinks.answer(conversation)
            try:
                async with contextlib.aclosing(events) as stream:
                    async for event in stream:
                        begun = True
                        yield event
                return
            except (TierUnavailableError, TierMisfitError) as error:
                if begun or isinstance(error, QueueFullError):
                    raise
                errors.append(error)
        raise together(self._all[0].client.name, errors) from errors[-1]

    async def prompt_tokens(self, conversation: Conversation) -> int:
        """Raises `tiers.errors.TierError`."""
        return await self._first(lambda thinks: thinks.prompt_tokens(conversation))
