"""One answer, measured: its log line, and what an observer is told."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from api.asked import caller_of, report_tokens, request_id_of
from api.observing import AnswerObserver, AnswerRecord
from api.openai.models import MODEL_ID
from tiers.chat_contracts import Timings
from tiers.contracts import Usage

log = structlog.get_logger()

_SHOWN = 4_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is being answered. `question` is None unless prompts are logged."""

    endpoint: str
    model: str
    caller: str
    request_id: str
    stream: bool
    question: str | None = None


class Meter:
    """Told of what a client is sent, as it is sent. `ended` counts once, however often it is
    called. `spend` is told once how many tokens went in and out; of an answer that was cut off
    only what came out is known, a token for each piece. `clock` is in seconds, and monotonic."""

    def __init__(
        self,
        *,
        asked: Asked,
        observer: AnswerObserver,
        spend: Callable[[int, int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = asked
        self._observer = observer
        self._spend = spend
        self._pieces = 0
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._last: float | None = None
        self._gaps = 0
        self._gap_seconds = 0.0
        self._longest: float | None = None
        self._said: list[str] = []
        self._over = False
        self.tool_calls = 0
        self.tool_seconds = 0.0
        self.client_calls = 0
        self.proposals = 0
        observer.began(endpoint=asked.endpoint)

    @property
    def endpoint(self) -> str:
        return self._asked.endpoint

    def output(self, text: str = "") -> None:
        """The model said something more."""
        now = self._clock()
        self._pieces += 1
        if self._first is None:
            self._first = now - self._begun
            self._observer.first_output(endpoint=self.endpoint, seconds=self._first)
        elif self._last is not None:
            gap = now - self._last
            self._gaps += 1
            self._gap_seconds += gap
            self._longest = max(gap, self._longest or 0.0)
            self._observer.gap(endpoint=self.endpoint, seconds=gap)
        self._last = now
        if self._asked.question is not None:
            self._said.append(text)

    def pause(self) -> None:
        """A tool runs: the time until the next output is not the model's."""
        self._last = None

    def ended(
        self,
        *,
        outcome: str,
        status: int = 200,
        usage: Usage | None = None,
        timings: Timings | None = None,
    ) -> None:
        """The answer is over."""
        if self._over:
            return
        self._over = True
        record = AnswerRecord(
            request_id=self._asked.request_id,
            endpoint=self.endpoint,
            model=self._asked.model,
            caller=self._asked.caller,
            stream=self._asked.stream,
            status=status,
            outcome=outcome,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
            cached_tokens=timings.cached_tokens if timings else 0,
            seconds=self._clock() - self._begun,
            first_seconds=self._first,
            gap_seconds=self._gap_seconds / self._gaps if self._gaps else None,
            longest_gap_seconds=self._longest,
            tool_calls=self.tool_calls,
            tool_seconds=self.tool_seconds,
            client_calls=self.client_calls,
            proposals=self.proposals,
        )
        self._observer.ended(record)
        if self._spend is not None:
            self._spend(record.prompt_tokens, record.completion_tokens if usage else self._pieces)
        words = {}
        if self._asked.question is not None:
            words = {
                "question": self._asked.question[:_SHOWN],
                "answer": "".join(self._said)[:_SHOWN],
            }
        fields = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(record).items()
        }
        log.info("answered", **fields, **words)


def meter_for(
    scope: MutableMapping[str, Any],
    *,
    endpoint: str,
    stream: bool,
    question: str | None,
    observer: AnswerObserver,
) -> Meter:
    """The meter of a request for `triaged`, with who sent it and their budget. `question` is None
    unless prompts are logged."""

    def spend(prompt_tokens: int, completion_tokens: int) -> None:
        report_tokens(
            scope,
            model=MODEL_ID,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )

    asked = Asked(
        endpoint=endpoint,
        model=MODEL_ID,
        caller=caller_of(scope).name,
        request_id=request_id_of(scope),
        stream=stream,
        question=question,
    )
    return Meter(asked=asked, observer=observer, spend=spend)
