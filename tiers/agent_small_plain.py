"""Plain questions beside a small model, answered by code: from the host's own records."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from tiers.agent_parts import ChatParts, run_calls
from tiers.agent_turn import Turn
from tiers.chat_asking import LIST, AskingToolbox
from tiers.chat_contracts import AgentEvent, ProposalMade, ToolFinished
from tiers.chat_plain import Asks, Plain
from tiers.contracts import Toolbox, ToolTrace
from tiers.tool_calls import WantedCall

_SEARCH = "incident_search"
_LOOKS_UP = (
    "disks, memory, processor, processes, services, logs, network, packages, logins and incidents"
)
_SAID = {
    Asks.GREETING: f"Hello. Ask me about this host: {_LOOKS_UP}.",
    Asks.THANKS: "You are welcome.",
    Asks.WHO: (
        "I am triaged, which watches this host; its small bundled model and code answer here. I "
        f"look things up ({_LOOKS_UP}), and a plain sentence such as `restart nginx` asks for a "
        "change, which is done only after an operator approves it."
    ),
}
_NO_PROPOSALS = (
    "This chat sees no proposals: that takes the chat of an operator and a level of autonomy above "
    "observe. `triaged proposals` lists what waits."
)
_NO_LEDGER = (
    "This chat does not see what was asked for: that takes the chat of an operator and a level of "
    "autonomy above observe. `triaged actions` lists it."
)
_HOW = "Send `approve CODE` or `deny CODE` as a message of its own"
_MOST_SHOWN = 5
_MOST_PAST = 20
_APPROVED = re.compile(r"`triaged actions show (?P<id>[0-9]{1,18})`")


async def answered(
    parts: ChatParts, turn: Turn, plain: Plain
) -> AsyncGenerator[AgentEvent | str, None]:
    """The events of the answer; its text is a plain str. No str: code does not know either, and
    the model is to be asked."""
    match plain.asks:
        case Asks.GREETING | Asks.THANKS | Asks.WHO:
            yield _SAID[plain.asks]
        case Asks.ANSWERING | Asks.WAITING:
            async for event in _waiting(turn, answering=plain.asks is Asks.ANSWERING):
                yield event
        case Asks.OUTCOME:
            yield await _outcome(turn)
        case Asks.DONE:
            if turn.asker is None:
                yield _NO_LEDGER
                return
            toolbox = AskingToolbox(toolbox=parts.toolbox, asker=turn.asker)
            async for event in _looked_up(parts, turn, LIST, {}, toolbox=toolbox):
                yield event
        case Asks.HAPPENED:
            async for event in _looked_up(parts, turn, _SEARCH, {"hours": plain.hours}):
                yield event
        case Asks.WHY:
            async for event in _looked_up(
                parts, turn, _SEARCH, {"query": plain.name}, only_found=True
            ):
                yield event


async def _waiting(turn: Turn, *, answering: bool) -> AsyncGenerator[AgentEvent | str, None]:
    if turn.asker is None:
        yield _NO_PROPOSALS
        return
    waiting = await turn.asker.waiting()
    if waiting is None:
        yield "What waits for an answer cannot be read now; ask again in a while."
        return
    if not waiting:
        yield "No proposal waits for an answer."
        return
    codes = ", ".join(proposal.code for proposal in waiting[:_MOST_SHOWN])
    if (more := len(waiting) - _MOST_SHOWN) > 0:
        codes += f", and {more} more (`triaged proposals`)"
    if answering:
        yield f"Nothing was answered. {_HOW}; these wait: {codes}."
    else:
        count = "1 proposal waits" if len(waiting) == 1 else f"{len(waiting)} proposals wait"
        yield f"{count} for an answer: {codes}. {_HOW}."
    for proposal in waiting[:_MOST_SHOWN]:
        yield ProposalMade(proposal=proposal)


async def _outcome(turn: Turn) -> str:
    """Of the action that was approved last in this chat, else of the newest there is."""
    if turn.asker is None:
        return _NO_LEDGER
    past = await turn.asker.past(target="", limit=_MOST_PAST)
    if not past:
        return "No action was asked for yet."
    ids = [found["id"] for text in _answers(turn) for found in _APPROVED.finditer(text)]
    known = [line for line in past if ids and line.startswith(f"action {ids[-1]}:")]
    line = (known or past)[0]
    return f"{line[:1].upper()}{line[1:]}."


def _answers(turn: Turn) -> list[str]:
    return [
        message["content"]
        for message in turn.history
        if message.get("role") == "assistant" and isinstance(message.get("content"), str)
    ]


async def _looked_up(
    parts: ChatParts,
    turn: Turn,
    name: str,
    arguments: Mapping[str, Any],
    *,
    toolbox: Toolbox | None = None,
    only_found: bool = False,
) -> AsyncGenerator[AgentEvent | str, None]:
    """The tool's own summary is the answer; with `only_found` only where it found incidents."""
    call = WantedCall(call_id="plain_0", name=name, arguments=arguments)
    results: dict[str, ToolTrace] = {}
    running = run_calls(parts.runner(toolbox), [call], results)
    async with contextlib.aclosing(running) as events:
        async for event in events:
            if isinstance(event, ToolFinished):
                found = bool((event.trace.result.data or {}).get("incidents"))
                event = dataclasses.replace(event, repeated=found or not only_found)
            yield event
    result = results[call.call_id].result
    if result.ok and toolbox is None:
        turn.results.keep(results[call.call_id], asked=turn.digest)
    if not only_found or (result.ok and (result.data or {}).get("incidents")):
        yield result.summary
