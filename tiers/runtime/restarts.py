"""Whether and when a server that ended is started again. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Waits `first_seconds`, doubling to `most_seconds`; after `cap` ends within
    `window_seconds` the server rests for `rest_seconds`."""

    first_seconds: float = 0.5
    most_seconds: float = 60.0
    cap: int = 6
    window_seconds: float = 600.0
    rest_seconds: float = 600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NextStart:
    """Wait `seconds`; `given_up` says that it is the long rest after too many ends."""

    seconds: float
    given_up: bool


def next_start(policy: RestartPolicy, *, ends: Sequence[float], now: float) -> NextStart:
    """`ends` are the times of unwanted ends on the clock of `now`, the one just now included."""
    recent = [at for at in ends if now - at <= policy.window_seconds]
    if len(recent) >= policy.cap:
        return NextStart(seconds=policy.rest_seconds, given_up=True)
    exponent = max(0, len(recent) - 1)
    return NextStart(
        seconds=min(policy.first_seconds * 2**exponent, policy.most_seconds), given_up=False
    )
