"""What an answer says, as output items and as the events of a stream. Pure.

One item is open at a time and gets what comes next of its kind. Tools of the host are shown as
calls with their outputs, and a call never stays without one: a frontend would run it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from api.openai.marks import defused
from api.openai.rendering import Calls, Content, End, Renderer, Show, Status
from api.openai.rendering import Reasoning as Thoughts
from api.openai.responses.items import (
    COMPLETED,
    HOST_CALLS,
    IN_PROGRESS,
    INCOMPLETE,
    FunctionCall,
    FunctionOutput,
    Item,
    Message,
    Reasoning,
    new_id,
    output_text,
    wire,
)
from api.text import fit
from tiers.chat_contracts import AgentEvent, ToolFinished, ToolStarted
from tiers.contracts import ToolResult

Event = dict[str, Any]
_OUTPUT_CHARS = 16_000
"""Of what a tool of the host gave; more than this is cut to its summary."""
_SUMMARY_CHARS = 8_000


@dataclasses.dataclass(slots=True)
class _Open:
    """The item that is being written: a message, or reasoning."""

    item: Message | Reasoning
    texts: list[str] = dataclasses.field(default_factory=list)


class Output:
    """The output of one response. `summary`: thinking is told as a summary. `functions` are those
    that the client brought, `parallel` whether it takes several calls at once. `plain`: the text
    must be what the model wrote alone, as for JSON."""

    def __init__(
        self, *, summary: bool, functions: Collection[str], parallel: bool, plain: bool
    ) -> None:
        self._renderer = Renderer(show=Show(json=plain), client_tools=functions, parallel=parallel)
        self._summary = summary
        self._items: list[Item] = []
        self._open: _Open | None = None
        self._running: dict[str, list[str]] = {}  # agent's call id -> our call ids, oldest first
        self._thought = 0
        self._written = 0
        self.host_calls = 0

    @property
    def client_calls(self) -> int:
        return self._renderer.client_calls

    @property
    def proposals(self) -> int:
        return self._renderer.proposals

    @property
    def thinking_share(self) -> float:
        """How much of what the model wrote is thinking, by characters, 0 to 1."""
        return self._thought / self._written if self._written else 0.0

    @property
    def cut_by(self) -> str | None:
        """`length` or `budget` (the agent's own bound) for an answer that was cut; None for one
        that came to its end. One that ended without saying so was cut by `length`."""
        finished = self._renderer.finished
        reason = "length" if finished is None else finished.reason
        return reason if reason in ("length", "budget") and not self.client_calls else None

    def end(self) -> End:
        """How it ended and what it cost."""
        return self._renderer.end()

    def items(self) -> list[dict[str, Any]]:
        """Those that are finished, in order."""
        return [wire(item) for item in self._items]

    def take(self, event: AgentEvent) -> Iterator[Event]:
        """The events of the stream that this makes, without their numbers."""
        match event:
            case ToolStarted():
                yield from self._flush()
                yield from self._host_call(event)
            case ToolFinished():
                yield from self._flush()
                yield from self._host_output(event)
            case _:
                for piece in self._renderer.pieces(event):
                    yield from self._show(piece)

    def close(self, status: str = COMPLETED) -> Iterator[Event]:
        """Ends what is open, with this status."""
        yield from self._flush()
        yield from self._close(status)
        for waiting in list(self._running.values()):
            for call_id in waiting:
                said = {"ok": False, "summary": "The answer ended before this look-up did."}
                yield from self._put_output(call_id, _json(said), status=INCOMPLETE)
        self._running.clear()

    def _flush(self) -> Iterator[Event]:
        """What the renderer holds back, because it could have become a mark of ours."""
        for piece in self._renderer.rest():
            yield from self._show(piece)

    def _show(self, piece: Content | Thoughts | Status | Calls) -> Iterator[Event]:
        match piece:
            case Content(text=text, spoken=spoken):
                yield from self._write(text)
                self._written += len(text) if spoken else 0
            case Thoughts(text=text, spoken=spoken):
                yield from self._think(text)
                self._thought += len(text) if spoken else 0
                self._written += len(text) if spoken else 0
            case Calls(calls=calls):
                for call in calls:
                    # The model's own ids may come again in the next answer ("call_0").
                    yield from self._put_call(new_id("call"), call.name, fit(call.arguments))
            case Status():
                pass

    # --- what the model says ---------------------------------------------------------------

    def _write(self, text: str) -> Iterator[Event]:
        if self._open is None or not isinstance(self._open.item, Message):
            yield from self._close()
            message = Message(id=new_id("msg"), role="assistant", parts=(), status=IN_PROGRESS)
            self._open = _Open(message)
            yield self._event("response.output_item.added", item=wire(message))
            yield self._about("response.content_part.added", content_index=0, part=output_text(""))
        self._open.texts.append(text)
        yield self._about("response.output_text.delta", content_index=0, delta=text, logprobs=[])

    def _think(self, text: str) -> Iterator[Event]:
        if self._open is None or not isinstance(self._open.item, Reasoning):
            yield from self._close()
            reasoning = Reasoning(id=new_id("rs"), status=IN_PROGRESS)
            self._open = _Open(reasoning)
            yield self._event("response.output_item.added", item=wire(reasoning))
            if self._summary:
                yield self._about(
                    "response.reasoning_summary_part.added",
                    summary_index=0,
                    part={"type": "summary_text", "text": ""},
                )
            else:
                yield self._about(
                    "response.content_part.added",
                    content_index=0,
                    part={"type": "reasoning_text", "text": ""},
                )
        self._open.texts.append(text)
        if self._summary:
            yield self._about("response.reasoning_summary_text.delta", summary_index=0, delta=text)
        else:
            yield self._about("response.reasoning_text.delta", content_index=0, delta=text)

    def _close(self, status: str = COMPLETED) -> Iterator[Event]:
        if self._open is None:
            return
        text = "".join(self._open.texts)
        match self._open.item:
            case Message() as message:
                part = output_text(text)
                yield self._about(
                    "response.output_text.done", content_index=0, text=text, logprobs=[]
                )
                yield self._about("response.content_part.done", content_index=0, part=part)
                done: Item = dataclasses.replace(message, parts=(part,), status=status)
            case Reasoning() as reasoning if self._summary:
                shown = {"type": "summary_text", "text": text}
                yield self._about(
                    "response.reasoning_summary_text.done", summary_index=0, text=text
                )
                yield self._about(
                    "response.reasoning_summary_part.done", summary_index=0, part=shown
                )
                done = dataclasses.replace(reasoning, summary=(text,), status=status)
            case Reasoning() as reasoning:
                shown = {"type": "reasoning_text", "text": text}
                yield self._about("response.reasoning_text.done", content_index=0, text=text)
                yield self._about("response.content_part.done", content_index=0, part=shown)
                done = dataclasses.replace(reasoning, content=(text,), status=status)
        self._open = None
        yield self._done(done)

    # --- calls -----------------------------------------------------------------------------

    def _host_call(self, event: ToolStarted) -> Iterator[Event]:
        self.host_calls += 1
        call_id = new_id(HOST_CALLS.removesuffix("_"))
        self._running.setdefault(event.call_id, []).append(call_id)
        yield from self._put_call(call_id, event.name, defused(_json(dict(event.arguments))))

    def _host_output(self, event: ToolFinished) -> Iterator[Event]:
        waiting = self._running.get(event.call_id)
        if not waiting:
            return
        call_id = waiting.pop(0)
        if not waiting:
            del self._running[event.call_id]
        yield from self._put_output(call_id, shown_result(event.trace.result))

    def _put_call(self, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        yield from self._close()
        self._written += len(name) + len(arguments)
        call = FunctionCall(
            id=new_id("fc"), call_id=call_id, name=fit(name), arguments="", status=IN_PROGRESS
        )
        yield self._event("response.output_item.added", item=wire(call))
        yield self._event(
            "response.function_call_arguments.delta", item_id=call.id, delta=arguments
        )
        yield self._event(
            "response.function_call_arguments.done",
            item_id=call.id,
            name=call.name,
            arguments=arguments,
        )
        yield self._done(dataclasses.replace(call, arguments=arguments, status=COMPLETED))

    def _put_output(self, call_id: str, text: str, status: str = COMPLETED) -> Iterator[Event]:
        yield from self._close()
        # As parts: the page of Open WebUI shows nothing of a chat in which an output is a string.
        parts = ({"type": "input_text", "text": text},)
        output = FunctionOutput(id=new_id("fco"), call_id=call_id, output=parts, status=status)
        yield self._event("response.output_item.added", item=wire(output))
        yield self._done(output)

    # --- events ----------------------------------------------------------------------------

    def _done(self, item: Item) -> Event:
        event = self._event("response.output_item.done", item=wire(item))
        self._items.append(item)
        return event

    def _about(self, kind: str, **fields: Any) -> Event:
        """An event about the item that is open."""
        if self._open is None:
            raise AssertionError("nothing is open")
        return self._event(kind, item_id=self._open.item.id, **fields)

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "output_index": len(self._items), **fields}


def shown_result(result: ToolResult) -> str:
    """What a tool of the host gave, as JSON: `ok`, `summary`, and `data` where it is not too
    long."""
    short = {"ok": result.ok, "summary": fit(result.summary)}
    whole = _json({**short, "data": dict(result.data)}) if result.data else _json(short)
    if len(whole) > _OUTPUT_CHARS:
        whole = _json({"ok": result.ok, "summary": fit(result.summary)[:_SUMMARY_CHARS]})
    return defused(whole)


def _json(value: Mapping[str, Any]) -> str:
    try:
        return fit(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    except orjson.JSONEncodeError:  # half a surrogate pair, or nested too deep
        return "{}"
