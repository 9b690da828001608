"""What an answer cost at the endpoint, summed over its model calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiers.chat_contracts import Timings
from tiers.contracts import Usage
from tiers.llm.wire import ChatAnswer, StreamEnd, add_usage


class Costs:
    """Begins with nothing. `endpoint` is the URL of the tier."""

    def __init__(self, *, endpoint: str) -> None:
        self.usage = Usage(
            model="", endpoint=endpoint, prompt_tokens=0, completion_tokens=0, seconds=0.0, calls=0
        )
        self._prompt = 0.0
        self._answer = 0.0
        self._cached = 0
        self._timed = False

    def add(self, end: ChatAnswer | StreamEnd) -> None:
        """Adds a finished call."""
        self.usage = add_usage(self.usage, end.usage)
        self._cached += end.cached_tokens
        prompt, answer = _seconds(end.timings, "prompt_ms"), _seconds(end.timings, "predicted_ms")
        if prompt is not None and answer is not None:
            self._timed = True
            self._prompt += prompt
            self._answer += answer

    @property
    def timings(self) -> Timings | None:
        """None where no call said how long it took."""
        if not self._timed:
            return None
        return Timings(
            prompt_seconds=self._prompt, answer_seconds=self._answer, cached_tokens=self._cached
        )


def _seconds(timings: Mapping[str, Any], name: str) -> float | None:
    value = timings.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return value / 1000.0
