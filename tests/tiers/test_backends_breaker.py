"""The circuit breaker over a written timeline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tiers.errors import Trouble
from tiers.llm.breaker import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    admits,
    entered,
    failed,
    given_up,
    half_opened,
    rest_of,
    succeeded,
)

POLICY = BreakerPolicy(failures=3, first_rest=1, longest_rest=60, longest_away=10, steady=60)

STEPS = ("fail", "succeed", "enter", "probe", "give up")


def after(breaker: Breaker, trouble: Trouble, *, now: float, retry_after: float = 0.0) -> Breaker:
    return failed(breaker, POLICY, now=now, trouble=trouble, retry_after=retry_after)


def test_a_refused_connection_opens_it_at_once_and_an_error_the_third_time() -> None:
    assert after(Breaker(), Trouble.REFUSED, now=100).state is BreakerState.OPEN
    breaker = Breaker()
    for _ in range(2):
        breaker = after(breaker, Trouble.FAULT, now=100)
        assert breaker.state is BreakerState.CLOSED
    assert after(breaker, Trouble.FAULT, now=100).state is BreakerState.OPEN
    mended = succeeded(breaker, now=101)
    assert after(mended, Trouble.FAULT, now=102).failures == 1, "only failures in a row count"


def test_it_is_tried_by_one_call_when_its_rest_is_over() -> None:
    breaker = after(Breaker(), Trouble.REFUSED, now=100)
    assert not admits(breaker, now=100.9, by_time=True)
    assert admits(breaker, now=101, by_time=True)
    assert not admits(breaker, now=101, by_time=False), "while somebody probes, the probe says"
    trying = entered(breaker, now=101)
    assert trying.state is BreakerState.HALF_OPEN
    assert not admits(trying, now=101, by_time=True)
    assert admits(given_up(trying), now=101, by_time=True)
    assert succeeded(trying, now=102).state is BreakerState.CLOSED
    again = after(trying, Trouble.REFUSED, now=102)
    assert (again.state, again.until) == (BreakerState.OPEN, 104)


def test_who_was_away_for_long_is_found_soon_and_who_comes_and_goes_is_asked_seldom() -> None:
    away = after(Breaker(), Trouble.REFUSED, now=0)
    for _ in range(20):
        away = after(away, Trouble.REFUSED, now=away.until)
    assert after(away, Trouble.REFUSED, now=1000).until == 1010

    flapping, now, rests = Breaker(), 100.0, []
    for _ in range(9):
        flapping = after(flapping, Trouble.REFUSED, now=now)
        rests.append(flapping.until - now)
        now = flapping.until
        flapping = succeeded(entered(half_opened(flapping, now=now), now=now), now=now)
        now += 0.5
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    steady = after(flapping, Trouble.REFUSED, now=now + 600)
    assert steady.until - (now + 600) == 1, "who stayed well begins anew"


def test_it_rests_as_long_as_it_asks_for() -> None:
    busy = after(Breaker(), Trouble.BUSY, now=0, retry_after=37)
    assert (busy.state, busy.until) == (BreakerState.OPEN, 37)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["fail", "succeed", "enter", "probe", "give up"]), st.floats(0, 90)
        ),
        max_size=60,
    ),
    trouble=st.sampled_from(list(Trouble)),
)
def test_whatever_happens_it_can_come_back(
    steps: list[tuple[str, float]], trouble: Trouble
) -> None:
    breaker, now = Breaker(), 0.0
    for step, later in steps:
        now += later
        match step:
            case "fail":
                breaker = after(breaker, trouble, now=now)
            case "succeed":
                breaker = succeeded(breaker, now=now)
            case "enter" if admits(breaker, now=now, by_time=True):
                breaker = entered(breaker, now=now)
            case "probe" if breaker.state is BreakerState.OPEN:
                breaker = half_opened(breaker, now=now)
            case "give up":
                breaker = given_up(breaker)
        if breaker.state is BreakerState.OPEN:
            assert breaker.until - now <= POLICY.longest_rest
        assert not breaker.trying or breaker.state is BreakerState.HALF_OPEN
    breaker = given_up(breaker)
    assert admits(breaker, now=now + POLICY.longest_rest, by_time=True)
    assert rest_of(10_000, POLICY) == POLICY.longest_rest
