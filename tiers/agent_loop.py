"""A chat with a large model: its words go through as they come, its tool calls run here.

Bounded by steps, seconds, tokens and calls. At a bound the model is asked once more without tools;
when there is no time for that either, the summaries of what was found are the answer. Calls of the
client's tools end the answer, after our own calls of the same step were run. Where the answer has
to have a JSON form, things are looked up without it and the form is asked for at the end: servers
refuse both at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from tiers.agent_closing import closing
from tiers.agent_costs import Costs
from tiers.agent_parts import ChatParts, round_messages, run_calls
from tiers.agent_reading import Reader, ReadingToolbox
from tiers.agent_step import Step, client_calls, one_step
from tiers.agent_turn import Turn
from tiers.chat_asking import AskingToolbox
from tiers.chat_client_tools import Choice
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    ClientCalls,
    ProposalMade,
    TextDelta,
)
from tiers.contracts import Toolbox, ToolTrace
from tiers.errors import CaseTooLargeError, TierError, TierUnavailableError
from tiers.llm.requests import ChatCall

_ANSWER_NOW = (
    "No more look-ups are possible. Answer now from what was found, and say what is missing."
)
_WRITE_FORM = "Now write the answer in the JSON form that was asked for, from what was found."
_NO_TOOLS = (
    "(The model at this endpoint cannot call tools, so nothing was looked up on the host.)\n\n"
)
_REFUSES_TOOLS = re.compile(
    r"(?:does not|doesn't|not|cannot) (?:support|use|call)\w* \W*(?:tool|function)"
    r"|(?:tools?|function calling|tool.choice)\b.{0,60}(?:requires?|not (?:support|enabl|avail)"
    r"|unsupported)|--jinja|enable-auto-tool-choice|tool-call-parser",
    re.IGNORECASE | re.DOTALL,
)
_LAST_SECONDS = 20.0
"""Kept back of the loop's time for an answer at the end."""


class StreamedAnswer:
    """One answer. `talk` is the prompt's messages, `ours` the payload of our own tools."""

    def __init__(
        self,
        parts: ChatParts,
        turn: Turn,
        *,
        talk: Sequence[Mapping[str, Any]],
        ours: Sequence[Mapping[str, Any]],
    ) -> None:
        self._parts = parts
        self._turn = turn
        self._messages = list(talk)
        self._ours = list(ours)
        self._theirs = [tool.payload() for tool in turn.tools.tools]
        chars = parts.loop.output_chars
        self._asking: AskingToolbox | None = None
        own: Toolbox = parts.toolbox
        if turn.asker is not None:
            own = self._asking = AskingToolbox(toolbox=own, asker=turn.asker)
        toolbox = ReadingToolbox(toolbox=own, results=turn.results, chars=chars)
        self._runner = parts.runner(toolbox)
        self._reader = Reader(
            profile=parts.profile, results=turn.results, asked=turn.digest, chars=chars
        )
        self._costs = Costs(endpoint=parts.client.url)
        self._until = time.monotonic() + parts.loop.seconds
        self._spoken = ""
        self._writing = False
        """Only the JSON form is left to write."""

    async def events(self) -> AsyncGenerator[AgentEvent, None]:
        """Ends with `AnswerFinished`. Raises `TierError`."""
        number = 0
        while True:
            number += 1
            last = self._is_last(number)
            step = Step()
            try:
                async with contextlib.aclosing(self._step(step, number, last=last)) as told:
                    async for event in told:
                        yield event
            except (CaseTooLargeError, TierUnavailableError):
                # Out of room or out of time: what was found is worth more than an error.
                if not self._runner.traces or step.text or self._turn.form is not None:
                    raise
                yield self._say(_summaries(self._runner.traces))
                async with contextlib.aclosing(self._end("budget")) as told:
                    async for event in told:
                        yield event
                return
            if step.end is not None:
                self._costs.add(step.end)
            allowed = not last or self._turn.forced
            theirs = client_calls(step, self._turn) if allowed else ()
            wanted = step.own_calls(self._turn) if not last else []
            results: dict[str, ToolTrace] = {}
            if wanted:
                async with contextlib.aclosing(run_calls(self._runner, wanted, results)) as told:
                    async for event in told:
                        yield event
                for proposal in self._asking.made() if self._asking is not None else ():
                    yield ProposalMade(proposal=proposal)
                contents = {key: self._reader.content(trace) for key, trace in results.items()}
                self._messages += round_messages(wanted, contents, said=step.text)
                self._parts.memory.trim()
            if theirs:
                yield ClientCalls(calls=theirs)
                yield self._finished("tool_calls")
                return
            if wanted:
                continue
            if self._turn.form is not None and not last:
                self._writing = True
                if step.text.strip():
                    self._messages.append({"role": "assistant", "content": step.text})
                continue
            if not self._spoken.strip() and self._runner.traces:
                yield self._say(_summaries(self._runner.traces))
            reason = step.end.finish_reason if step.end is not None else "stop"
            if last and number > 1 and reason == "stop" and not self._writing:
                reason = "budget"
            async with contextlib.aclosing(self._end(reason)) as told:
                async for event in told:
                    yield event
            return

    def _is_last(self, number: int) -> bool:
        loop = self._parts.loop
        return (
            self._writing
            or number >= loop.max_steps
            or self._runner.exhausted
            or self._costs.usage.completion_tokens >= loop.max_tokens
            or (number > 1 and time.monotonic() > self._until - _LAST_SECONDS)
        )

    async def _step(
        self, step: Step, number: int, *, last: bool
    ) -> AsyncGenerator[AgentEvent, None]:
        """One model call, and a second one without tools where the endpoint knows none."""
        silent = self._turn.form is not None and not last
        call = self._call(number, last=last)
        try:
            async with contextlib.aclosing(self._passed_on(call, step, silent=silent)) as told:
                async for event in told:
                    yield event
            return
        except TierError as error:
            said = str(error).replace(self._parts.client.url, "")
            degrades = call.tools and not step.begun and not self._turn.forced
            if not degrades or not _REFUSES_TOOLS.search(said):
                raise
        self._ours, self._theirs = [], []
        if self._turn.form is None:
            yield self._say(_NO_TOOLS)
        call = self._call(number, last=last)
        async with contextlib.aclosing(self._passed_on(call, step, silent=silent)) as told:
            async for event in told:
                yield event

    def _call(self, number: int, *, last: bool) -> ChatCall:
        turn = self._turn
        options = {k: v for k, v in turn.options.items() if k != "parallel_tool_calls"}
        messages = list(self._messages)
        tools: list[Mapping[str, Any]] = []
        if turn.tools.choice is Choice.NAMED or (last and turn.forced):
            tools = list(self._theirs)
        elif not last:
            tools = [*self._ours, *self._theirs]
        elif number > 1:
            said = _ANSWER_NOW if turn.form is None else _WRITE_FORM
            messages.append({"role": "user", "content": said})
        if tools:
            options["parallel_tool_calls"] = not turn.one_call
        return ChatCall(
            messages=messages,
            tools=tools,
            tool_choice="required" if turn.forced else None,
            options=options,
            form=turn.form if last and not tools else None,
            request_id=turn.request_id,
        )

    async def _passed_on(
        self, call: ChatCall, step: Step, *, silent: bool
    ) -> AsyncGenerator[AgentEvent, None]:
        events = one_step(self._parts.client, call, step, until=self._until)
        async with contextlib.aclosing(events) as told:
            async for event in told:
                if isinstance(event, TextDelta):
                    if silent:
                        continue
                    self._spoken += event.text
                yield event

    def _say(self, text: str) -> TextDelta:
        self._spoken += text
        return TextDelta(text=text)

    async def _end(self, reason: str) -> AsyncGenerator[AgentEvent, None]:
        end = await closing(
            self._parts, self._turn, spoken=self._spoken, traces=self._runner.traces
        )
        if end.text and self._turn.form is None:
            yield TextDelta(text=end.text)
        yield dataclasses.replace(
            self._finished(reason), ungrounded=end.ungrounded, corrections=end.corrections
        )

    def _finished(self, reason: str) -> AnswerFinished:
        known = ("stop", "length", "budget", "tool_calls")
        return AnswerFinished(
            reason=reason if reason in known else "stop",
            usage=self._costs.usage,
            timings=self._costs.timings,
        )


def _summaries(traces: Sequence[ToolTrace]) -> str:
    lines = [f"{trace.name}: {trace.result.summary}" for trace in traces]
    return "This is what was found:\n" + "\n".join(lines)
