"""What triaged asks of models' endpoints and of the host's tools, as metrics and log lines."""

from __future__ import annotations

import structlog

from api.telemetry.instruments import Instruments
from api.telemetry.labels import OTHER, operation, tier_model
from tiers.observing import CallRecord

log = structlog.get_logger()


class CallRecorder:
    """Satisfies `tiers.observing.CallObserver`. Calls for a client's request are logged under its
    id: llama-server, which is sent the id too, writes none of its own."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def called(self, record: CallRecord) -> None:
        to, of = self._instruments, (tier_model(record.tier), operation(record.operation))
        to.call_seconds.labels(*of, record.error).observe(record.seconds)
        to.wait_seconds.labels(*of).observe(record.waited_seconds)
        if record.prompt_tokens:
            to.call_tokens.labels(*of, "input").observe(record.prompt_tokens)
        if record.completion_tokens:
            to.call_tokens.labels(*of, "output").observe(record.completion_tokens)
        if record.request_id:
            log.info(
                "model called",
                request_id=record.request_id,
                tier=record.tier,
                operation=of[1],
                error=record.error,
                seconds=round(record.seconds, 6),
                waited_seconds=round(record.waited_seconds, 6),
                prompt_tokens=record.prompt_tokens,
                completion_tokens=record.completion_tokens,
            )


class ToolRecorder:
    """Satisfies `tiers.observing.ToolObserver`."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def used(self, *, name: str, outcome: str, seconds: float) -> None:
        shown = OTHER if outcome == "unknown" else name
        self._instruments.tool_seconds.labels(shown, outcome).observe(seconds)
