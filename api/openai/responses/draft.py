"""A response in the making: the object as it is now, and its stream's events with their numbers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from api.openai.responses.items import COMPLETED, INCOMPLETE, Item, wire
from api.openai.responses.output import Event, Output
from api.openai.responses.requests import ResponsesRequest, TextFormat
from api.openai.responses.tools import ClientTools
from api.ports import BusyError
from api.ports_chat import StoredResponse
from tiers.chat_contracts import AgentEvent, Conversation, Timings
from tiers.contracts import Usage
from tiers.errors import CaseTooLargeError, QueueFullError, TierError, TierRefusedError

_CUT = {
    "length": "The model reached the most tokens that it may write.",
    "budget": "The look-ups of this answer reached their bound (tools.loop).",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be asked. `items` are those of this request, references resolved;
    `owner` is the caller's name."""

    id: str
    request: ResponsesRequest
    items: Sequence[Item]
    tools: ClientTools
    conversation: Conversation
    owner: str
    created_at: datetime


class Draft:
    """One response. `clock` is Unix time in seconds."""

    def __init__(
        self, prepared: Prepared, *, model: str, clock: Callable[[], float] = time.time
    ) -> None:
        request = prepared.request
        wanted = request.text.format if request.text is not None else None
        self._prepared = prepared
        self._model = model
        self._clock = clock
        self._status = "in_progress"
        self._error: Mapping[str, Any] | None = None
        self._completed_at: int | None = None
        self._number = 0
        self._store = request.store
        self.output = Output(
            summary=request.reasoning is not None and request.reasoning.wanted_summary is not None,
            functions=[str(tool["name"]) for tool in prepared.tools.wire],
            parallel=request.parallel_tool_calls,
            plain=wanted is not None and wanted.type != "text",
        )

    def begin(self) -> Iterator[Event]:
        """The first events."""
        yield self._numbered({"type": "response.created", "response": self.body()})
        yield self._numbered({"type": "response.in_progress", "response": self.body()})

    def take(self, event: AgentEvent) -> Iterator[Event]:
        """What the agent says, as events."""
        yield from map(self._numbered, self.output.take(event))

    def finish(self) -> Iterator[Event]:
        """The agent has ended. The last event, `last`, is still to come."""
        self._status = COMPLETED if self.output.cut_by is None else INCOMPLETE
        yield from self._all(self.output.close(self._status))
        self._completed_at = int(self._clock()) if self._status == COMPLETED else None

    def fail(self, error: Exception) -> Iterator[Event]:
        """The answer broke off in the middle. `last` is still to come."""
        yield from self._all(self.output.close(INCOMPLETE))
        self._status = "failed"
        self._completed_at = None
        self.not_kept()
        self._error = failure(error)

    def not_kept(self) -> None:
        """The response will not be found again, whatever was asked for, and says so."""
        self._store = False

    def last(self) -> Event:
        """`response.completed`, `response.incomplete` or `response.failed`."""
        return self._numbered({"type": f"response.{self._status}", "response": self.body()})

    def stored(self) -> StoredResponse:
        """The response as it is kept."""
        return StoredResponse(
            id=self._prepared.id,
            owner=self._prepared.owner,
            previous_id=self._prepared.request.previous_response_id,
            created_at=self._prepared.created_at,
            input_items=[wire(item) for item in self._prepared.items],
            body=self.body(),
        )

    def body(self) -> dict[str, Any]:
        """The response object."""
        request, tools = self._prepared.request, self._prepared.tools
        cut = self.output.cut_by if self._status == INCOMPLETE else None
        end = self.output.end()
        return {
            "id": self._prepared.id,
            "object": "response",
            "created_at": int(self._prepared.created_at.timestamp()),
            "status": self._status,
            "background": False,
            "completed_at": self._completed_at,
            "error": self._error,
            # OpenAI has no word for the second; both mean that there is more to say.
            "incomplete_details": None
            if cut is None
            else {"reason": "max_output_tokens", "detail": _CUT[cut]},
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "model": self._model,
            "output": self.output.items(),
            "parallel_tool_calls": request.parallel_tool_calls,
            "previous_response_id": request.previous_response_id,
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": _reasoning(request),
            "safety_identifier": request.safety_identifier,
            "service_tier": "default",
            "store": self._store,
            "temperature": request.temperature,
            "text": _text(request),
            "tool_choice": tools.wire_choice,
            "tools": [dict(tool) for tool in tools.wire],
            "top_logprobs": 0,
            "top_p": request.top_p,
            "truncation": "auto",  # the agent always leaves out what does not fit
            "usage": usage_object(
                end.usage, end.timings, thinking_share=self.output.thinking_share
            ),
            "user": request.user,
            "metadata": request.metadata or {},
        }

    def _all(self, events: Iterable[Event]) -> Iterator[Event]:
        yield from map(self._numbered, events)

    def _numbered(self, event: Event) -> Event:
        numbered = {**event, "sequence_number": self._number}
        self._number += 1
        return numbered


def usage_object(
    usage: Usage | None, timings: Timings | None, *, thinking_share: float
) -> dict[str, Any] | None:
    """Token counts as OpenAI names them, None where nothing is known. Servers do not count the
    tokens of thinking apart: they are estimated by characters."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": timings.cached_tokens if timings is not None else 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {
            "reasoning_tokens": round(usage.completion_tokens * thinking_share)
        },
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def failure(error: Exception) -> dict[str, Any]:
    """The `error` of a response that failed. OpenAI's list of codes is closed; the sentence says
    the rest. What nobody expected is not told."""
    if isinstance(error, CaseTooLargeError | TierRefusedError):
        return {"code": "invalid_prompt", "message": str(error)}
    if isinstance(error, QueueFullError):
        return {"code": "rate_limit_exceeded", "message": str(error)}
    known = isinstance(error, TierError | BusyError)
    said = str(error) if known else "triaged made a mistake; its log has the details."
    return {"code": "server_error", "message": said}


def _reasoning(request: ResponsesRequest) -> dict[str, Any]:
    given = request.reasoning
    if given is None:
        return {"effort": None, "summary": None}
    return {"effort": given.effort, "summary": given.wanted_summary}


def _text(request: ResponsesRequest) -> dict[str, Any]:
    given = request.text
    if given is None:
        return {"format": {"type": "text"}, "verbosity": "medium"}
    return {"format": _format(given.format), "verbosity": given.verbosity or "medium"}


def _format(given: TextFormat | None) -> dict[str, Any]:
    if given is None:
        return {"type": "text"}
    if given.type != "json_schema":
        return {"type": given.type}
    return {
        "type": "json_schema",
        "name": given.name,
        "description": given.description,
        "schema": given.schema_,
        "strict": given.strict,
    }
