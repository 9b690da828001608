"""What is measured about calls of models and tools, for whoever attaches an observer."""

from __future__ import annotations

import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call of a tier's endpoint that has ended, well or not.

    `tier` is the client's name; `operation` is chat, decide or embed; `request_id` is that of the
    request that it was made for, "" for the daemon's own. `error` is "" for a call that was
    answered, else `queue_full`, `unavailable`, `context_length_exceeded`, `refused`, `bad_answer`,
    `cancelled` or `defect`. `seconds` is wall time of everything, `waited_seconds` of them were
    spent before a slot was free.
    """

    tier: str
    operation: str
    request_id: str
    error: str
    seconds: float
    waited_seconds: float
    prompt_tokens: int
    completion_tokens: int


class CallObserver(Protocol):
    """Called on the event loop: must not wait or raise."""

    def called(self, record: CallRecord) -> None: ...


class NoCallObserver:
    """Nobody wants to know."""

    def called(self, record: CallRecord) -> None:
        pass


class ToolObserver(Protocol):
    """Called on the event loop: must not wait or raise."""

    def used(self, *, name: str, outcome: str, seconds: float) -> None:
        """A tool was called; `name` is what the model wrote where `outcome` is `unknown`. Other
        outcomes are `ok`, `failed` and `cancelled`."""
        ...
