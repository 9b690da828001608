"""Runs the calls that a model asks for: bounded, in parallel, never the same one twice.

What a model gets wrong (no such tool, arguments that are not JSON) is a result that it reads, not
an error: it may do better on the next step.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import orjson

from tiers.config import ToolLoopSettings
from tiers.contracts import Toolbox, ToolResult, ToolTrace
from tiers.llm.neutralise import middle_cut
from tiers.llm.wire import ToolCall, mapping
from tiers.profile import PromptProfile

_MAX_ARGUMENT_CHARS = 8192


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WantedCall:
    """A call as it is run. `problem` says why it cannot be."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str = ""

    def as_message_part(self) -> dict[str, Any]:
        """The entry of an assistant message's `tool_calls`."""
        arguments = orjson.dumps(dict(self.arguments)).decode()
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.call_id, "type": "function", "function": function}


def wanted_call(call: ToolCall) -> WantedCall:
    """Reads the arguments that a model wrote."""
    arguments: Mapping[str, Any] = {}
    problem = ""
    text = call.arguments.strip()
    if len(text) > _MAX_ARGUMENT_CHARS:
        problem = "the arguments are too long"
    elif text:
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problem = f"the arguments are not JSON: {error}"
        else:
            arguments = mapping(document)
            if not isinstance(document, dict):
                problem = "the arguments must be a JSON object"
    return WantedCall(
        call_id=call.call_id, name=call.name[:100], arguments=arguments, problem=problem
    )


class ToolRunner:
    """The calls of one answer. Remembers what was asked: the same question has the same answer
    within one answer, and a model that goes in circles costs nothing."""

    def __init__(
        self, *, toolbox: Toolbox, profile: PromptProfile, settings: ToolLoopSettings
    ) -> None:
        self._toolbox = toolbox
        self._profile = profile
        self._settings = settings
        self._gate = asyncio.Semaphore(settings.parallel_calls)
        self._known: dict[str, ToolTrace] = {}
        self._asked: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(
            asyncio.Lock
        )
        self.calls = 0
        self.repeats = 0

    @property
    def exhausted(self) -> bool:
        """Whether the answer's calls are used up, or the model only repeats itself."""
        return self.calls >= self._settings.max_calls or self.repeats >= 3

    @property
    def traces(self) -> tuple[ToolTrace, ...]:
        """The calls that were run, in order, each once."""
        return tuple(self._known.values())

    async def run(
        self, wanted: Sequence[WantedCall]
    ) -> AsyncGenerator[tuple[WantedCall, ToolTrace], None]:
        """The calls with their results, as they finish. Closing the iterator cancels the rest."""
        tasks = [asyncio.create_task(self._one(call)) for call in wanted]
        try:
            for finished in asyncio.as_completed(tasks):
                yield await finished
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def content(self, trace: ToolTrace) -> str:
        """What the model reads back."""
        return middle_cut(self._profile.tool_content(trace.result), self._settings.output_chars)

    async def _one(self, call: WantedCall) -> tuple[WantedCall, ToolTrace]:
        key = call.name + json.dumps(dict(call.arguments), sort_keys=True, default=str)
        async with self._asked[key]:  # the same call twice in one step runs once
            return call, await self._answered(key, call)

    async def _answered(self, key: str, call: WantedCall) -> ToolTrace:
        if (known := self._known.get(key)) is not None:
            self.repeats += 1
            return dataclasses.replace(known, seconds=0.0)
        if call.problem or self.calls >= self._settings.max_calls:
            why = call.problem or "no more look-ups are possible in this answer; answer now"
            result = ToolResult(ok=False, summary=f"{call.name} was not called: {why}.")
            return _trace(call, result, 0.0)
        self.calls += 1
        begun = time.monotonic()
        async with self._gate:
            try:
                async with asyncio.timeout(self._settings.tool_seconds):
                    result = await self._toolbox.call(
                        name=call.name, arguments=dict(call.arguments)
                    )
            except TimeoutError:
                result = ToolResult(
                    ok=False,
                    summary=f"{call.name} did not finish within {self._settings.tool_seconds:g} s.",
                )
        trace = _trace(call, result, time.monotonic() - begun)
        self._known[key] = trace
        return trace


def _trace(call: WantedCall, result: ToolResult, seconds: float) -> ToolTrace:
    return ToolTrace(name=call.name, arguments=call.arguments, result=result, seconds=seconds)
