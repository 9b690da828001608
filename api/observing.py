"""What is measured about answers, for whoever attaches an observer: times, tokens, how they end."""

from __future__ import annotations

import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecord:
    """One answer that has ended, well or not. Seconds are wall time since the request was read.

    `endpoint` is chat, completions, housekeeping or approval; `outcome` is `stop`, `length`,
    `tool_calls`, the code of an error, or `gone` (the client went away or did not read);
    `status` is the HTTP status, 499 for a client that went away before there was one.
    `first_seconds` is None where nothing was said; `gap_seconds` is the mean time between two
    pieces of output and `longest_gap_seconds` the longest; `tool_seconds` is the time of triaged's
    own tool calls together.
    """

    request_id: str
    endpoint: str
    model: str
    caller: str
    stream: bool
    status: int
    outcome: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    seconds: float
    first_seconds: float | None
    gap_seconds: float | None
    longest_gap_seconds: float | None
    tool_calls: int
    tool_seconds: float
    client_calls: int
    proposals: int


class AnswerObserver(Protocol):
    """Told of every answer as it is made. Called on the event loop: must not wait or raise."""

    def began(self, *, endpoint: str) -> None:
        """A request was read and is being answered; `ended` follows always."""
        ...

    def first_output(self, *, endpoint: str, seconds: float) -> None:
        """The first piece of an answer or of its reasoning came so long after the request."""
        ...

    def gap(self, *, endpoint: str, seconds: float) -> None:
        """So long after the piece before came another, without a tool call between them."""
        ...

    def ended(self, record: AnswerRecord) -> None: ...


class NoObserver:
    """Satisfies `AnswerObserver` and keeps nothing."""

    def began(self, *, endpoint: str) -> None:
        pass

    def first_output(self, *, endpoint: str, seconds: float) -> None:
        pass

    def gap(self, *, endpoint: str, seconds: float) -> None:
        pass

    def ended(self, record: AnswerRecord) -> None:
        pass
