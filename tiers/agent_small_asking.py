"""A wish for a change beside a small model: code reads it, names its target and asks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

from tiers.agent_parts import ChatParts, run_calls
from tiers.chat_asking import PROPOSE, AskingToolbox
from tiers.chat_contracts import AgentEvent, Asker, ProposalMade, ToolFinished
from tiers.chat_wished import Thing, Wish
from tiers.contracts import ToolTrace
from tiers.tool_calls import WantedCall

_REASON = "The user asked for it in the chat."
_ONLY_LOOKS = (
    "Nothing was asked for: this chat only looks things up. A change takes the chat of an operator "
    "and a level of autonomy above observe."
)


async def proposed(
    parts: ChatParts, asker: Asker | None, wish: Wish
) -> AsyncGenerator[AgentEvent | str, None]:
    """The events of asking; the text of the answer is a plain str."""
    if asker is None:
        yield _ONLY_LOOKS
        return
    target = await _target(asker, wish)
    if target is None:
        yield _unknown(wish)
        return
    toolbox = AskingToolbox(toolbox=parts.toolbox, asker=asker)
    arguments: dict[str, Any] = {"kind": wish.kind, "target": target, "reason": _REASON}
    if wish.parameters:
        arguments["parameters"] = dict(wish.parameters)
    call = WantedCall(call_id="call_0", name=PROPOSE, arguments=arguments)
    results: dict[str, ToolTrace] = {}
    async with contextlib.aclosing(run_calls(parts.runner(toolbox), [call], results)) as events:
        async for event in events:
            if isinstance(event, ToolFinished):
                event = dataclasses.replace(event, repeated=True)
            yield event
    yield results[call.call_id].result.summary
    for proposal in toolbox.made():
        yield ProposalMade(proposal=proposal)


async def _target(asker: Asker, wish: Wish) -> str | None:
    match wish.thing:
        case Thing.UNIT:
            return await asker.unit(wish.name)
        case Thing.PROCESS:
            return await asker.process(int(wish.name))
        case Thing.NAMED:
            return wish.name


def _unknown(wish: Wish) -> str:
    if wish.thing is Thing.PROCESS:
        return f"There is no process {wish.name} on this host, so nothing was asked for."
    return f"I know no unit of this host that is called {wish.name}, so nothing was asked for."
