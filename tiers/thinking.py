"""What review and meta have in common: trim the case, look things up, ask for the JSON object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tiers.ask import Asked, ask_json
from tiers.budget import fit_case
from tiers.contracts import Case, ToolTrace, Usage
from tiers.errors import CaseTooLargeError
from tiers.investigate import Investigation, Investigator
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import add_usage

_Value = TypeVar("_Value")
_UNKNOWN_CONTEXT = 8192
_SPARE = 32
"""Tokens that templates put around an answer."""
_LEAST_BUDGET = 128
_RETRIES = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Thought(Generic[_Value]):
    """`case` is what was shown after trimming: answers may name only what stands in it."""

    case: Case
    asked: Asked[_Value]
    traces: tuple[ToolTrace, ...]
    usage: Usage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[_Value]):
    """How one kind of answer is asked for: messages and schema of a case, and the reader."""

    messages: Callable[[Case], Sequence[Mapping[str, Any]]]
    schema: Callable[[Case], Mapping[str, Any]]
    read: Callable[[Mapping[str, Any], Case], _Value]


def prompt_budget(*, context: int | None, max_tokens: int, configured: int | None) -> int:
    """Tokens that a prompt may have, so that the answer still fits the context. Pure."""
    total = context or _UNKNOWN_CONTEXT
    answer = min(max_tokens, total // 4)
    room = max(_LEAST_BUDGET, total - answer - _SPARE)
    return min(room, configured) if configured is not None else room


class Thinker:
    """Thinks about cases at one endpoint. `budget` is the configured bound of a prompt, in tokens;
    without an `investigator` nothing is looked up."""

    def __init__(
        self, *, client: ModelClient, budget: int | None, investigator: Investigator | None
    ) -> None:
        self._client = client
        self._budget = budget
        self._investigator = investigator

    async def think(self, case: Case, form: Form[_Value]) -> Thought[_Value]:
        """Raises `tiers.errors.TierError`, but not `BadAnswerError`: see `Asked`."""
        info = await self._client.info()
        budget = prompt_budget(
            context=info.context, max_tokens=self._client.max_tokens, configured=self._budget
        )
        for attempt in range(_RETRIES + 1):
            try:
                return await self._within(case, form, budget=budget, context=info.context)
            except CaseTooLargeError as error:
                # The server counts better than we do: leave that much more out.
                budget -= error.excess_tokens + _SPARE
                if attempt == _RETRIES or budget < _LEAST_BUDGET:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _within(
        self, case: Case, form: Form[_Value], *, budget: int, context: int | None
    ) -> Thought[_Value]:
        async def count(candidate: Case) -> int:
            return await self._client.prompt_tokens(form.messages(candidate))

        fitted = await fit_case(case, count=count, budget=budget)
        shown = fitted.case
        found = Investigation(messages=form.messages(shown))
        if self._investigator is not None:
            found = await self._investigator.investigate(shown, found.messages, budget=budget)
        room = (context or _UNKNOWN_CONTEXT) - fitted.tokens - _SPARE
        call = ChatCall(
            messages=found.messages,
            schema=form.schema(shown),
            max_tokens=max(64, min(self._client.max_tokens, room)),
        )
        asked = await ask_json(self._client, call, read=lambda document: form.read(document, shown))
        usage = asked.usage if found.usage is None else add_usage(found.usage, asked.usage)
        return Thought(case=shown, asked=asked, traces=found.traces, usage=usage)
