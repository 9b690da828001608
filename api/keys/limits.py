"""How much each key may ask: requests a minute, requests at once, tokens a day."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from api.keys.key import Limits


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A token bucket: `left` requests at the time `at` (monotonic seconds)."""

    left: float
    at: float


def refilled(bucket: Bucket | None, *, per_minute: int, now: float) -> Bucket:
    """The bucket as it is now: full at first, never fuller than a minute's worth. Pure."""
    if bucket is None:
        return Bucket(left=float(per_minute), at=now)
    gained = max(0.0, now - bucket.at) * per_minute / 60
    return Bucket(left=min(float(per_minute), bucket.left + gained), at=now)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exceeded:
    """A limit that was reached. `code` is OpenAI's where it has one; `retry_after` in seconds."""

    code: str
    message: str
    retry_after: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Where a caller stands after a request, for the response's headers."""

    headers: tuple[tuple[bytes, bytes], ...] = ()


NO_QUOTA = Quota()


class Limiter:
    """Counts by the name of the key. `clock` is monotonic, `now` is the time of day."""

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._clock = clock
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self._running: dict[str, int] = {}

    def enter(
        self, name: str, limits: Limits, *, tokens_used: int, spends: bool
    ) -> tuple[Exceeded | None, Quota]:
        """Takes a request in, or says which limit it meets; then it counts for nothing.

        `tokens_used` of today; they matter to what `spends`. Every request that was taken in is
        given to `leave` at its end.
        """
        if limits.concurrent is not None and self._running.get(name, 0) >= limits.concurrent:
            exceeded = Exceeded(
                code="too_many_at_once",
                message=f"{_who(name)} may have {limits.concurrent} requests in progress at once; "
                "wait until one has ended.",
                retry_after=1.0,
            )
            return exceeded, self._quota(name, limits, tokens_used)
        if spends and limits.tokens_per_day is not None and tokens_used >= limits.tokens_per_day:
            exceeded = Exceeded(
                code="insufficient_quota",
                message=f"{_who(name)} may use {limits.tokens_per_day} tokens a day and has used "
                f"{tokens_used}; the next day begins at midnight UTC.",
                retry_after=self._until_midnight(),
            )
            return exceeded, self._quota(name, limits, tokens_used)
        if (per_minute := limits.requests_per_minute) is not None:
            bucket = refilled(self._buckets.get(name), per_minute=per_minute, now=self._clock())
            if bucket.left < 1:
                self._buckets[name] = bucket
                exceeded = Exceeded(
                    code="rate_limit_exceeded",
                    message=f"{_who(name)} may send {per_minute} requests a minute.",
                    retry_after=(1 - bucket.left) * 60 / per_minute,
                )
                return exceeded, self._quota(name, limits, tokens_used)
            self._buckets[name] = Bucket(left=bucket.left - 1, at=bucket.at)
        self._running[name] = self._running.get(name, 0) + 1
        return None, self._quota(name, limits, tokens_used)

    def leave(self, name: str) -> None:
        """A request that was taken in has ended."""
        left = self._running[name] - 1
        if left:
            self._running[name] = left
        else:
            del self._running[name]

    def running(self, name: str) -> int:
        """How many requests of this key are in progress."""
        return self._running.get(name, 0)

    def keep_only(self, names: Collection[str]) -> None:
        """Forgets the buckets of keys that are gone."""
        self._buckets = {name: kept for name, kept in self._buckets.items() if name in names}

    def _until_midnight(self) -> float:
        now = self._now().astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(1.0, (midnight - now).total_seconds())

    def _quota(self, name: str, limits: Limits, tokens_used: int) -> Quota:
        """OpenAI's headers."""
        headers: list[tuple[bytes, bytes]] = []
        if (per_minute := limits.requests_per_minute) is not None:
            left = self._buckets[name].left if name in self._buckets else float(per_minute)
            reset = (per_minute - left) * 60 / per_minute
            headers += _headers(b"requests", per_minute, int(left), reset)
        if (per_day := limits.tokens_per_day) is not None:
            left_tokens = max(0, per_day - tokens_used)
            headers += _headers(b"tokens", per_day, left_tokens, self._until_midnight())
        return Quota(headers=tuple(headers)) if headers else NO_QUOTA


def _headers(what: bytes, limit: int, left: int, reset: float) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % left),
        (b"x-ratelimit-reset-" + what, _span(reset)),
    ]


def _span(seconds: float) -> bytes:
    """As OpenAI writes it: 20ms, 6s, 1m0s, 5h0m0s."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, whole % 60)
    return b"%dm%ds" % (minutes, whole % 60) if minutes else b"%ds" % whole


def _who(name: str) -> str:
    return f"The key {name!r}" if name else "Callers without a key"
