"""Answers of the model `triaged` as metrics."""

from __future__ import annotations

from api.observing import AnswerRecord
from api.telemetry.instruments import Instruments
from api.telemetry.labels import TRIAGED, answer_error, operation


class AnswerRecorder:
    """Satisfies `api.observing.AnswerObserver`. Endpoints are named by us, and are few."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def began(self, *, endpoint: str) -> None:
        self._instruments.active.labels(*_of(endpoint)).inc()

    def first_output(self, *, endpoint: str, seconds: float) -> None:
        self._instruments.first_seconds.labels(*_of(endpoint)).observe(seconds)

    def gap(self, *, endpoint: str, seconds: float) -> None:
        self._instruments.gap_seconds.labels(*_of(endpoint)).observe(seconds)

    def ended(self, record: AnswerRecord) -> None:
        to, of = self._instruments, _of(record.endpoint)
        to.active.labels(*of).dec()
        error = answer_error(record.outcome, record.status)
        to.request_seconds.labels(*of, error).observe(record.seconds)
        if record.gap_seconds is not None:
            to.per_token_seconds.labels(*of).observe(record.gap_seconds)
        if record.tool_calls:
            to.tool_time.labels(*of).observe(record.tool_seconds)
        for kind, count in (
            ("input", record.prompt_tokens),
            ("output", record.completion_tokens),
            ("cached", record.cached_tokens),
        ):
            if count:
                to.tokens.labels(*of, kind).inc(count)
        if error == "gone":
            to.gone.labels(*of).inc()
        elif error and record.stream and record.status == 200:
            to.cut.labels(*of).inc()
        if error == "queue_full":
            to.refused.labels("queue", "").inc()


def _of(endpoint: str) -> tuple[str, str, str]:
    return TRIAGED, operation(endpoint), endpoint
