"""Requests for the bare models as metrics, and a log line for each."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from api.observing_relay import Ending, NoRelayObserver, Observation, Outcome
from api.telemetry.instruments import Instruments
from api.telemetry.labels import operation, relay_error, tier_model
from tiers.vocabulary import TierName

log = structlog.get_logger()

_LOOK_UPS = frozenset({"health", "models", "metrics", "props", "slots"})
"""They ask nothing of a model, and monitors send them all day; HTTP's metrics have them."""


class RelayRecorder:
    """Satisfies `api.observing_relay.RelayObserver`. `clock` is monotonic, in seconds."""

    def __init__(
        self, instruments: Instruments, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._instruments = instruments
        self._clock = clock
        self._none = NoRelayObserver()

    def started(self, *, tier: TierName, endpoint: str) -> Observation:
        if endpoint in _LOOK_UPS:
            return self._none.started(tier=tier, endpoint=endpoint)
        return _Relayed(self._instruments, tier=tier, endpoint=endpoint, clock=self._clock)


class _Relayed:
    """One request."""

    __slots__ = ("_begun", "_clock", "_first", "_gap", "_last", "_longest", "_of", "_to")

    def __init__(
        self,
        instruments: Instruments,
        *,
        tier: TierName,
        endpoint: str,
        clock: Callable[[], float],
    ) -> None:
        self._to = instruments
        self._of = (tier_model(tier.value), operation(endpoint), endpoint)
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._last = 0.0
        self._longest = 0.0
        self._gap = instruments.gap_seconds.labels(*self._of)
        instruments.active.labels(*self._of).inc()

    def first_byte(self) -> None:
        pass

    def sent(self, *, frames: int, size: int) -> None:
        if not frames:
            return
        now = self._clock()
        if self._first is None:
            self._first = now
            self._to.first_seconds.labels(*self._of).observe(now - self._begun)
        else:
            gap = now - self._last
            self._longest = max(gap, self._longest)
            self._gap.observe(gap)
        self._last = now

    def ended(self, ending: Ending) -> None:
        to, of = self._to, self._of
        seconds = self._clock() - self._begun
        error = relay_error(ending)
        to.active.labels(*of).dec()
        to.request_seconds.labels(*of, error).observe(seconds)
        tokens = ending.completion_tokens or 0
        per_token = None
        if self._first is not None and tokens > 1:
            per_token = (self._last - self._first) / (tokens - 1)
            to.per_token_seconds.labels(*of).observe(per_token)
        for kind, count in (("input", ending.prompt_tokens), ("output", ending.completion_tokens)):
            if count is not None and count > 0:
                to.tokens.labels(*of, kind).inc(count)
                to.call_tokens.labels(of[0], of[1], kind).observe(count)
        if ending.outcome is Outcome.CLIENT_GONE:
            to.gone.labels(*of).inc()
        elif ending.outcome in (Outcome.BROKEN, Outcome.STOPPED) and ending.frames:
            to.cut.labels(*of).inc()
        elif ending.outcome is Outcome.TURNED_AWAY:
            to.refused.labels("queue", "").inc()
        log.info(
            "relayed",
            model=of[0],
            endpoint=of[2],
            status=ending.status,
            outcome=ending.outcome.value,
            seconds=round(seconds, 6),
            first_seconds=None if self._first is None else round(self._first - self._begun, 6),
            gap_seconds=None if per_token is None else round(per_token, 6),
            longest_gap_seconds=round(self._longest, 6) if self._longest else None,
            prompt_tokens=ending.prompt_tokens,
            completion_tokens=ending.completion_tokens,
            sent_bytes=ending.sent_bytes,
        )
