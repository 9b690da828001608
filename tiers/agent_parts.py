"""What both ways of answering a chat need, and small helpers for them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from tiers.chat_contracts import AgentEvent, Effects, ToolFinished, ToolStarted
from tiers.chat_memory import ChatMemory
from tiers.config import ToolLoopSettings
from tiers.contracts import Toolbox, ToolSpec, ToolTrace
from tiers.llm.port import ModelClient
from tiers.profile import PromptProfile
from tiers.routing import ToolRetriever
from tiers.tool_calls import ToolRunner, WantedCall


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatParts:
    """Everything that an answer is made with."""

    client: ModelClient
    profile: PromptProfile
    toolbox: Toolbox
    loop: ToolLoopSettings
    retriever: ToolRetriever
    specs: Sequence[ToolSpec]
    memory: ChatMemory
    effects: Effects | None
    facts: Callable[[], Sequence[tuple[str, str]]]

    def runner(self, toolbox: Toolbox | None = None) -> ToolRunner:
        """For one answer; `toolbox` stands in for the host's own."""
        return ToolRunner(toolbox=toolbox or self.toolbox, profile=self.profile, settings=self.loop)


async def run_calls(
    runner: ToolRunner, wanted: Sequence[WantedCall], results: dict[str, ToolTrace]
) -> AsyncGenerator[AgentEvent, None]:
    """Tells of every call as it starts and finishes; puts the traces into `results` by call id."""
    for call in wanted:
        yield ToolStarted(call_id=call.call_id, name=call.name, arguments=call.arguments)
    async with contextlib.aclosing(runner.run(wanted)) as finished:
        async for call, trace in finished:
            results[call.call_id] = trace
            yield ToolFinished(call_id=call.call_id, trace=trace)


def round_messages(
    wanted: Sequence[WantedCall], contents: Mapping[str, str], *, said: str = ""
) -> list[dict[str, Any]]:
    """One round of calls as chat messages: what the assistant asked, what the tools said."""
    asked = {
        "role": "assistant",
        "content": said or None,
        "tool_calls": [call.as_message_part() for call in wanted],
    }
    told = [
        {"role": "tool", "tool_call_id": call.call_id, "content": contents[call.call_id]}
        for call in wanted
    ]
    return [asked, *told]
