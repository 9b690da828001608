"""A wish for a change beside a small model: code reads it, names the unit and asks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from tiers.agent_parts import ChatParts, run_calls
from tiers.chat_asking import PROPOSE, AskingToolbox
from tiers.chat_contracts import AgentEvent, Asker, ProposalMade
from tiers.chat_wished import Wish
from tiers.contracts import ToolTrace
from tiers.tool_calls import WantedCall

_REASON = "The user asked for it in the chat."


async def proposed(
    parts: ChatParts, asker: Asker, wish: Wish
) -> AsyncGenerator[AgentEvent | str, None]:
    """The events of asking; the text of the answer is a plain str."""
    unit = await asker.unit(wish.name)
    if unit is None:
        yield f"I know no unit of this host that is called {wish.name}, so nothing was asked for."
        return
    toolbox = AskingToolbox(toolbox=parts.toolbox, asker=asker)
    arguments = {"kind": wish.kind, "target": unit, "reason": _REASON}
    call = WantedCall(call_id="call_0", name=PROPOSE, arguments=arguments)
    results: dict[str, ToolTrace] = {}
    async with contextlib.aclosing(run_calls(parts.runner(toolbox), [call], results)) as events:
        async for event in events:
            yield event
    yield results[call.call_id].result.summary
    for proposal in toolbox.made():
        yield ProposalMade(proposal=proposal)
