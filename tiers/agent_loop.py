"""A chat with a large model: its words go through as they come, its tool calls run here.

Bounded by steps, seconds, tokens and calls. At a bound the model is asked once more without tools;
when there is no time for that either, the summaries of what was found are the answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from tiers.agent_parts import ChatParts, no_usage, round_messages, run_calls
from tiers.chat_contracts import AgentEvent, AnswerFinished, TextDelta, ThinkingDelta
from tiers.contracts import ToolTrace
from tiers.errors import CaseTooLargeError, TierUnavailableError
from tiers.grounding import sources_of, ungrounded
from tiers.llm.requests import ChatCall
from tiers.llm.wire import (
    StreamEnd,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolCallPart,
    add_usage,
)
from tiers.tool_calls import ToolRunner, WantedCall, wanted_call

_ANSWER_NOW = (
    "No more look-ups are possible. Answer now from what was found, and say what is missing."
)
_LAST_SECONDS = 20.0
"""Kept back of the loop's time for an answer at the end."""
_MOST_AT_ONCE = 16
"""Calls of one step; a model that wants more repeats itself."""


@dataclasses.dataclass(slots=True)
class _Step:
    """What one model call said."""

    text: str = ""
    calls: dict[int, ToolCall] = dataclasses.field(default_factory=dict)
    end: StreamEnd | None = None

    def wanted(self) -> list[WantedCall]:
        found = []
        for index, call in sorted(self.calls.items())[:_MOST_AT_ONCE]:
            if call.name:
                call_id = call.call_id or f"call_{index}"
                found.append(wanted_call(dataclasses.replace(call, call_id=call_id)))
        return found


async def answer_streaming(
    parts: ChatParts,
    *,
    talk: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> AsyncGenerator[AgentEvent, None]:
    """Ends with `AnswerFinished`. Raises `TierError`."""
    runner = parts.runner()
    messages = list(talk)
    usage = no_usage(parts.client)
    begun = time.monotonic()
    until = begun + parts.loop.seconds
    spoken = ""
    for number in range(1, parts.loop.max_steps + 1):
        last = (
            number == parts.loop.max_steps
            or runner.exhausted
            or usage.completion_tokens >= parts.loop.max_tokens
            or (number > 1 and time.monotonic() > until - _LAST_SECONDS)
        )
        if last and number > 1:
            messages = [*messages, {"role": "user", "content": _ANSWER_NOW}]
        sampling = dict(options) if last else {**options, "parallel_tool_calls": True}
        call = ChatCall(messages=messages, tools=() if last else tools, options=sampling)
        step = _Step()
        try:
            async with contextlib.aclosing(_one_step(parts, call, step, until)) as events:
                async for event in events:
                    yield event
        except (CaseTooLargeError, TierUnavailableError):
            # Out of room or out of time: what was found is worth more than an error.
            if not runner.traces or step.text:
                raise
            summaries = _summaries(runner.traces)
            spoken += summaries
            yield TextDelta(text=summaries)
            yield _finished("budget", parts, runner, talk, usage, spoken)
            return
        if step.end is not None:
            usage = add_usage(usage, step.end.usage)
        spoken += step.text
        wanted = [] if last else step.wanted()
        if not wanted:
            if not spoken.strip() and runner.traces:
                spoken = _summaries(runner.traces)
                yield TextDelta(text=spoken)
            reason = step.end.finish_reason if step.end is not None else "stop"
            if last and number > 1 and reason == "stop":
                reason = "budget"
            yield _finished(reason, parts, runner, talk, usage, spoken)
            return
        results: dict[str, ToolTrace] = {}
        async with contextlib.aclosing(run_calls(runner, wanted, results)) as told:
            async for event in told:
                yield event
        contents = {call_id: runner.content(trace) for call_id, trace in results.items()}
        messages = [*messages, *round_messages(wanted, contents, said=step.text)]
    raise AssertionError("the last step has no tools and ends the answer")


async def _one_step(
    parts: ChatParts, call: ChatCall, step: _Step, until: float
) -> AsyncGenerator[AgentEvent, None]:
    left = max(1.0, until - time.monotonic())
    stream = parts.client.stream(call, timeout=min(left, parts.client.timeout_seconds))
    async with contextlib.aclosing(stream) as deltas:
        async for delta in deltas:
            match delta:
                case TextPart(text=text):
                    step.text += text
                    yield TextDelta(text=text)
                case ThinkingPart(text=text):
                    yield ThinkingDelta(text=text)
                case ToolCallPart():
                    _collect(step, delta)
                case StreamEnd():
                    step.end = delta


def _collect(step: _Step, part: ToolCallPart) -> None:
    """Puts the pieces of a call together. Some servers send whole calls under one index each,
    some repeat the id with every piece."""
    known = step.calls.get(part.index)
    if known is None:
        step.calls[part.index] = ToolCall(
            call_id=part.call_id, name=part.name, arguments=part.arguments
        )
        return
    step.calls[part.index] = ToolCall(
        call_id=known.call_id or part.call_id,
        name=known.name or part.name,
        arguments=known.arguments + part.arguments,
    )


def _summaries(traces: Sequence[ToolTrace]) -> str:
    lines = [f"{trace.name}: {trace.result.summary}" for trace in traces]
    return "This is what was found:\n" + "\n".join(lines)


def _finished(
    reason: str,
    parts: ChatParts,
    runner: ToolRunner,
    talk: Sequence[Mapping[str, Any]],
    usage: Any,
    spoken: str,
) -> AnswerFinished:
    cited = [runner.content(trace) for trace in runner.traces]
    said = [str(message.get("content") or "") for message in talk]
    specs = [f"{spec.name} {spec.description}" for spec in parts.specs]
    missing = ungrounded(spoken, sources_of([*cited, *said, *specs]))
    return AnswerFinished(
        reason=reason if reason in ("stop", "length", "budget") else "stop",
        usage=usage,
        ungrounded=tuple(missing[:32]),
    )
