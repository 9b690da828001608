"""The circuit breaker of one endpoint. Pure: time comes in, nothing goes out.

| state     | means                                  | goes to                                    |
|-----------|----------------------------------------|--------------------------------------------|
| closed    | it answers                             | open: away, or too many failures in a row  |
| open      | it is not asked until its rest is over | half open: the rest is over, or a probe is |
|           |                                        | answered; open for longer when that fails  |
| half open | one call tries it, others go past      | closed, or open for longer                 |

Each opening rests longer than the one before; only an endpoint that stayed well for a while
begins anew. So one that comes and goes is asked seldom.
"""

from __future__ import annotations

import dataclasses
import enum

from tiers.errors import Trouble

_AT_ONCE = frozenset(
    {Trouble.REFUSED, Trouble.LOADING, Trouble.BUSY, Trouble.HANGS, Trouble.MISFIT}
)
"""What no second try within a moment would mend."""
_CHEAP = frozenset({Trouble.REFUSED, Trouble.LOADING})
"""Asking these again costs nobody anything: they are to be found back soon."""


class BreakerState(enum.StrEnum):
    """See the table above."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """`failures` in a row open it; rests go from `first_rest` to `longest_rest` seconds, of one
    that was away all the time to `longest_away`; after `steady` seconds without trouble, and twice
    the last rest, they begin anew."""

    failures: int = 3
    first_rest: float = 1.0
    longest_rest: float = 60.0
    longest_away: float = 10.0
    steady: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """`since` and `until` are in the caller's seconds; `epoch` counts changes of state, so that a
    call that began before one does not decide after it."""

    state: BreakerState = BreakerState.CLOSED
    since: float = 0.0
    until: float = 0.0
    failures: int = 0
    openings: int = 0
    """Without a steady time between them."""
    probes: int = 0
    """Failed since it opened."""
    trying: bool = False
    """Half open, and a call is on its way."""
    trouble: Trouble | None = None
    epoch: int = 0


def admits(breaker: Breaker, *, now: float, by_time: bool) -> bool:
    """Whether a call may go there. `by_time`: a rest that is over is enough; else a probe says."""
    match breaker.state:
        case BreakerState.CLOSED:
            return True
        case BreakerState.HALF_OPEN:
            return not breaker.trying
        case BreakerState.OPEN:
            return by_time and now >= breaker.until


def entered(breaker: Breaker, *, now: float) -> Breaker:
    """A call was let in."""
    if breaker.state is BreakerState.CLOSED:
        return breaker
    if breaker.state is BreakerState.OPEN:
        breaker = half_opened(breaker, now=now)
    return dataclasses.replace(breaker, trying=True)


def given_up(breaker: Breaker) -> Breaker:
    """The call that tried was cancelled by its caller: the next one tries."""
    return dataclasses.replace(breaker, trying=False)


def half_opened(breaker: Breaker, *, now: float) -> Breaker:
    """A probe was answered, or the rest is over."""
    return dataclasses.replace(
        breaker,
        state=BreakerState.HALF_OPEN,
        since=now,
        trying=False,
        epoch=breaker.epoch + 1,
    )


def succeeded(breaker: Breaker, *, now: float) -> Breaker:
    """A call was answered."""
    if breaker.state is BreakerState.CLOSED:
        return dataclasses.replace(breaker, failures=0) if breaker.failures else breaker
    return dataclasses.replace(
        breaker,
        state=BreakerState.CLOSED,
        since=now,
        failures=0,
        trying=False,
        trouble=None,
        epoch=breaker.epoch + 1,
    )


def failed(
    breaker: Breaker, policy: BreakerPolicy, *, now: float, trouble: Trouble, retry_after: float
) -> Breaker:
    """A call or a probe was not answered. An open one that is asked by a probe rests again."""
    failures = breaker.failures + 1
    openings, probes = breaker.openings, 0
    match breaker.state:
        case BreakerState.CLOSED:
            if trouble not in _AT_ONCE and failures < policy.failures:
                return dataclasses.replace(breaker, failures=failures)
            steady = max(policy.steady, 2 * rest_of(openings, policy))
            openings = 1 if now - breaker.since >= steady else openings + 1
        case BreakerState.HALF_OPEN:
            openings += 1
        case BreakerState.OPEN:
            probes = breaker.probes + 1
    rest = rest_of(openings + probes, policy)
    if trouble in _CHEAP:
        rest = min(rest, max(policy.longest_away, rest_of(openings, policy)))
    elif trouble is Trouble.BUSY:
        rest = max(rest, retry_after)
    stays = breaker.state is BreakerState.OPEN
    return Breaker(
        state=BreakerState.OPEN,
        since=breaker.since if stays else now,
        until=now + rest,
        failures=failures,
        openings=openings,
        probes=probes,
        trouble=trouble,
        epoch=breaker.epoch if stays else breaker.epoch + 1,
    )


def rest_of(openings: int, policy: BreakerPolicy) -> float:
    """Seconds of the rest after so many failures in a row."""
    if openings < 1:
        return 0.0
    return min(policy.first_rest * 2.0 ** min(openings - 1, 20), policy.longest_rest)
