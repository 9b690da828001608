"""One model call of a streamed answer: its deltas passed on, its calls put together and sorted into
ours and the client's."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
from collections.abc import AsyncGenerator, Iterator

import orjson

from tiers.agent_turn import Turn
from tiers.chat_contracts import AgentEvent, ClientCall, TextDelta, ThinkingDelta
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import StreamEnd, TextPart, ThinkingPart, ToolCall, ToolCallPart
from tiers.tool_calls import WantedCall, wanted_call

_MOST_AT_ONCE = 16
"""Calls of one step; a model that wants more repeats itself."""
_CLIENT_ARGUMENT_CHARS = 262_144
_ID_CHARS = 64


@dataclasses.dataclass(slots=True)
class Step:
    """What one model call said. `begun` is whether anything came at all."""

    text: str = ""
    begun: bool = False
    pieces: dict[int, ToolCall] = dataclasses.field(default_factory=dict)
    end: StreamEnd | None = None

    def collect(self, part: ToolCallPart) -> None:
        """Puts the pieces of a call together. Some servers send whole calls under one index
        each, some repeat the id with every piece."""
        known = self.pieces.get(part.index)
        if known is None:
            self.pieces[part.index] = ToolCall(
                call_id=part.call_id, name=part.name, arguments=part.arguments
            )
            return
        self.pieces[part.index] = ToolCall(
            call_id=known.call_id or part.call_id,
            name=known.name or part.name,
            arguments=known.arguments + part.arguments,
        )

    def calls(self) -> Iterator[ToolCall]:
        """The calls in order, each with an id of its own."""
        ids: set[str] = set()
        for _, call in sorted(self.pieces.items())[:_MOST_AT_ONCE]:
            if call.name:
                own = call.call_id and call.call_id not in ids and len(call.call_id) <= _ID_CHARS
                call_id = call.call_id if own else f"call_{secrets.token_hex(8)}"
                ids.add(call_id)
                yield dataclasses.replace(call, call_id=call_id)

    def own_calls(self, turn: Turn) -> list[WantedCall]:
        """The calls that run here. One of a client's tool whose arguments cannot be read is among
        them, with the problem: the model is told."""
        found = []
        for call in self.calls():
            if turn.tools.named(call.name) is None:
                found.append(wanted_call(call))
            elif problem := _problem(call.arguments):
                broken = WantedCall(
                    call_id=call.call_id, name=call.name, arguments={}, problem=problem
                )
                found.append(broken)
        return found


def client_calls(step: Step, turn: Turn) -> tuple[ClientCall, ...]:
    """The calls that the client has to run, under the client's names."""
    found = []
    for call in step.calls():
        tool = turn.tools.named(call.name)
        if tool is not None and not _problem(call.arguments):
            arguments = call.arguments.strip() or "{}"
            found.append(ClientCall(call_id=call.call_id, name=tool.name, arguments=arguments))
    return tuple(found[:1] if turn.one_call else found)


async def one_step(
    client: ModelClient, call: ChatCall, step: Step, *, until: float
) -> AsyncGenerator[AgentEvent, None]:
    """Streams one call, at most until `until` on the monotonic clock; fills `step`. Raises
    `TierError`."""
    left = max(1.0, until - time.monotonic())
    stream = client.stream(call, timeout=min(left, client.timeout_seconds))
    async with contextlib.aclosing(stream) as deltas:
        async for delta in deltas:
            step.begun = True
            match delta:
                case TextPart(text=text):
                    step.text += text
                    yield TextDelta(text=text)
                case ThinkingPart(text=text):
                    yield ThinkingDelta(text=text)
                case ToolCallPart():
                    step.collect(delta)
                case StreamEnd():
                    step.end = delta


def _problem(arguments: str) -> str:
    """Why the arguments of a call cannot be given to a client, "" where they can."""
    text = arguments.strip()
    if len(text) > _CLIENT_ARGUMENT_CHARS:
        return "the arguments are too long"
    if not text:
        return ""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"the arguments are not JSON: {error}"
    return "" if isinstance(document, dict) else "the arguments must be a JSON object"
