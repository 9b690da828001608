"""Bursts are counted by the minutes that lines state, whatever order they come in."""

from __future__ import annotations

import itertools

import pytest

from daemon.intake.state import PatternState
from tiers.vocabulary import Provenance, SourceKind

T0 = 1_700_000_000.0
DAY = 86_400.0


def state() -> PatternState:
    return PatternState(
        fingerprint="0" * 16,
        kind=SourceKind.FILE,
        unit="sshd",
        pattern="Invalid user <user>",
        sample="Invalid user admin",
        provenance=Provenance.TEXT,
        first_seen=T0,
        last_seen=T0,
        rate_at=T0,
    )


def burst_of(*times: float) -> int:
    one = state()
    for at in times:
        one.observe(at=at)
    return one.burst


def test_an_older_file_after_a_newer_one_is_no_burst() -> None:
    newer = [T0 + 3600 * hour for hour in range(24)]
    older = [at - 7 * DAY for at in newer]
    assert burst_of(*newer, *older) == 1


def test_the_same_day_again_is_counted_by_its_minutes() -> None:
    day = [T0 + 600 * number + second for number in range(100) for second in range(3)]
    assert burst_of(*day, *day, *day) == 3


@pytest.mark.parametrize("apart", [3600.0, DAY, -DAY])
def test_two_clocks_that_take_turns_each_have_their_minute(apart: float) -> None:
    one = [T0 + second for second in range(30)]
    two = [at + apart for at in one]
    assert burst_of(*itertools.chain.from_iterable(zip(one, two, strict=True))) == 30


def test_lines_that_come_a_little_late_belong_to_the_minute() -> None:
    assert burst_of(T0 + 10, T0 + 12, T0 + 9, T0 + 11, T0 + 8) == 5


def test_a_flood_is_found_after_a_time_far_ahead() -> None:
    """Whoever writes one line that states tomorrow hides nothing."""
    assert burst_of(T0 + DAY, *(T0 + number / 10 for number in range(500))) == 500
