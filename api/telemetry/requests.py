"""Requests as HTTP sees them, and those that were refused, as metrics."""

from __future__ import annotations

from api.observing_http import RequestRecord
from api.telemetry.instruments import Instruments
from api.telemetry.labels import OTHER, method, refusal


class RequestRecorder:
    """Satisfies `api.observing_http.RequestObserver`."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def came(self, *, method: str) -> None:
        self._instruments.http_active.labels(_method(method)).inc()

    def ended(self, record: RequestRecord) -> None:
        to, said = self._instruments, _method(record.method)
        to.http_active.labels(said).dec()
        to.http_seconds.labels(said, record.route or OTHER, str(record.status)).observe(
            record.seconds
        )
        if record.refusal:
            to.refused.labels(refusal(record.refusal), record.key).inc()


_method = method
