"""From the agent's events to what a client is shown, whatever form it is sent in. No I/O."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Collection, Iterator
from typing import Any

import structlog

from api.openai.approvals import proposal_block
from api.openai.marks import Defuser, defused
from api.text import fit
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    ClientCall,
    ClientCalls,
    ProposalMade,
    TextDelta,
    ThinkingDelta,
    Timings,
    ToolFinished,
    ToolStarted,
)
from tiers.contracts import Usage

log = structlog.get_logger()

_SUMMARY = 400
_RESULT = 8_000


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """More of the answer. `spoken`: by the model, not by code."""

    text: str
    spoken: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Reasoning:
    """More of the model's thoughts, or a line about a tool."""

    text: str
    spoken: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """What is going on, for a status line."""

    description: str
    done: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """What the client has to run; the answer ends here."""

    calls: tuple[ClientCall, ...]


Piece = Content | Reasoning | Status | Calls


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What a client wants to see. `status`: status events; `tools`: blocks of finished tool calls
    in the text; `json`: the text must be nothing but JSON."""

    status: bool = False
    tools: bool = False
    json: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an answer ended. `reason` is stop, length or tool_calls; without the agent's own end it
    is length, and nothing is known of the cost."""

    reason: str
    usage: Usage | None
    timings: Timings | None


class Renderer:
    """One answer. `client_tools` are the names of the tools that the client brought: calls of any
    other never reach it. Without `parallel` it is asked for one call at a time."""

    def __init__(
        self, *, show: Show, client_tools: Collection[str] = (), parallel: bool = True
    ) -> None:
        self._show = show
        self._client_tools = client_tools
        self._parallel = parallel
        self._text = Defuser()
        self._thoughts = Defuser()
        self._called = False
        self._status_open = False
        self.finished: AnswerFinished | None = None
        self.tool_calls = 0
        self.tool_seconds = 0.0
        self.client_calls = 0
        self.proposals = 0

    def pieces(self, event: AgentEvent) -> Iterator[Piece]:
        """What the event shows; empty pieces are left out."""
        match event:
            case TextDelta(text=text):
                if shown := self._text.feed(fit(text)):
                    yield Content(shown)
            case ThinkingDelta(text=text):
                if shown := self._thoughts.feed(fit(text)):
                    yield Reasoning(shown)
            case ToolStarted():
                self.tool_calls += 1
                line = _started(event)
                yield Reasoning(self._thoughts.rest() + line + "\n", spoken=False)
                if self._show.status:
                    self._status_open = True
                    yield Status(line, done=False)
            case ToolFinished():
                self.tool_seconds += event.trace.seconds
                line = _finished(event)
                yield Reasoning(f"{self._thoughts.rest()}{line}\n", spoken=False)
                if self._show.status:
                    self._status_open = False
                    yield Status(line, done=True)
                if self._show.tools and not self._show.json:
                    yield Content(self._text.rest() + _details(event), spoken=False)
            case ProposalMade(proposal=proposal):
                self.proposals += 1
                block = proposal_block(proposal)
                if self._show.json:
                    yield Reasoning(self._thoughts.rest() + block, spoken=False)
                else:
                    yield Content(self._text.rest() + block, spoken=False)
            case ClientCalls(calls=calls):
                if known := self._known(calls):
                    yield Calls(known)
            case AnswerFinished():
                self.finished = event
                yield from self.rest()

    def rest(self) -> Iterator[Piece]:
        """What was held back; also for an answer that is cut."""
        if thoughts := self._thoughts.rest():
            yield Reasoning(thoughts)
        if text := self._text.rest():
            yield Content(text)
        if self._status_open:
            self._status_open = False
            yield Status("", done=True)

    def end(self) -> End:
        if self.finished is None:
            return End(reason="length", usage=None, timings=None)
        reason = self.finished.reason
        if self._called:
            reason = "tool_calls"
        elif reason in ("stop", "tool_calls"):
            reason = "stop"
        else:  # the loop's own bound is one of length to a client
            reason = "length"
        return End(reason=reason, usage=self.finished.usage, timings=self.finished.timings)

    def _known(self, calls: tuple[ClientCall, ...]) -> tuple[ClientCall, ...]:
        known = tuple(call for call in calls if call.name in self._client_tools)
        if strange := [call.name for call in calls if call.name not in self._client_tools]:
            log.error("a call of a tool that the client did not bring is kept back", tools=strange)
        if not self._parallel:
            known = known[:1]
        if self._called:  # one round ends an answer
            return ()
        self._called = bool(known)
        self.client_calls = len(known)
        return known


def _started(event: ToolStarted) -> str:
    arguments = ", ".join(f"{name}={_json(value)}" for name, value in event.arguments.items())
    return defused(fit(f"Looking up {event.name}({arguments})"))[:_SUMMARY]


def _finished(event: ToolFinished) -> str:
    trace = event.trace
    if event.repeated:
        return f"{defused(fit(trace.name))[:_SUMMARY]} [{trace.seconds:.1f} s]"
    mark = "" if trace.result.ok else "could not: "
    summary = " ".join(defused(fit(trace.result.summary[:_SUMMARY])).split())
    return f"{mark}{summary} [{trace.seconds:.1f} s]"


def _details(event: ToolFinished) -> str:
    """A finished call as Open WebUI shows it, and strips it from what it sends back: attributes
    are JSON, escaped for HTML."""
    trace = event.trace
    result = {"ok": trace.result.ok, "summary": trace.result.summary, "data": trace.result.data}
    told = _json(result)
    if len(told) > _RESULT:
        told = _json({"ok": trace.result.ok, "summary": trace.result.summary[:_RESULT]})
    attributes = {
        "id": event.call_id,
        "name": trace.name,
        "arguments": _json(trace.arguments),
        "result": told,
    }
    written = " ".join(
        f'{name}="{html.escape(defused(fit(value)))}"' for name, value in attributes.items()
    )
    return (
        f'\n<details type="tool_calls" done="true" {written}>\n'
        "<summary>Tool Executed</summary>\n</details>\n"
    )


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
