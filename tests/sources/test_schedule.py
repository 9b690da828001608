"""Recurring work on a written timeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from daemon.sources.schedule import Entry, Schedule
from daemon.sources.settings import ScheduleSettings
from daemon.sources.when import parse_when


@pytest.fixture(params=["UTC", "Europe/Berlin", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_daily_and_every(zone: str) -> None:
    daily = parse_when("03:30")
    assert daily.due_after(at("2026-01-10 03:29:59")) == at("2026-01-10 03:30")
    assert daily.due_after(at("2026-01-10 03:30")) == at("2026-01-11 03:30")
    assert parse_when("every 6h").due_after(100.0) == 100.0 + 6 * 3600
    assert parse_when("every 30 min").due_after(0.0) == 1800
    assert parse_when("off").due_after(0.0) is None


def test_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        when = parse_when("02:30")  # does not exist on 2026-03-29, comes twice on 2026-10-25
        spring = when.due_after(at("2026-03-28 12:00"))
        assert spring is not None
        assert spring - at("2026-03-29 00:00") in (1.5 * 3600, 2.5 * 3600)
        autumn = when.due_after(at("2026-10-24 12:00"))
        assert autumn is not None
        following = when.due_after(autumn)
        assert following == at("2026-10-26 02:30")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "25:00", "3:5", "every 0h", "every 5s", "every 9999d", "x"])
def test_nonsense_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="every 6h"):
        parse_when(text)
    with pytest.raises(ValueError, match="every 6h"):
        ScheduleSettings(review=text)


class Timeline:
    """A clock that moves only while somebody sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.end = now
        self.ran: list[float] = []
        self.remembered: dict[str, float] = {}
        self.jumps: list[tuple[float, float]] = []  # (when, by)
        self.fails = 0

    async def sleep(self, seconds: float) -> None:
        if self.now >= self.end:
            await asyncio.Event().wait()
        self.now += seconds
        if self.jumps and self.now >= self.jumps[0][0]:
            self.now += self.jumps.pop(0)[1]
        await asyncio.sleep(0)

    async def work(self) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("store away")
        self.ran.append(self.now)

    async def remember(self, name: str, at: float) -> None:
        self.remembered[name] = at

    async def play(self, when: str, *, hours: float, last: float | None) -> list[float]:
        self.end = self.now + hours * 3600
        entry = Entry(name="review", when=parse_when(when), run=self.work)
        schedule = Schedule(entries=[entry], clock=lambda: self.now, sleep=self.sleep)
        runs = {} if last is None else {"review": last}
        task = asyncio.create_task(schedule.run(last_runs=runs, ran=self.remember))
        for _ in range(100_000):
            await asyncio.sleep(0)
            if self.now >= self.end or task.done():
                break
        task.cancel()
        await asyncio.wait({task})
        return self.ran


async def test_runs_at_its_interval() -> None:
    timeline = Timeline(1_000_000.0)
    ran = await timeline.play("every 1h", hours=3.5, last=None)
    assert [round(t - 1_000_000) for t in ran] == [3600, 7200, 10800]
    assert timeline.remembered["review"] == ran[-1]


async def test_a_missed_run_is_made_up_for_once() -> None:
    timeline = Timeline(1_000_000.0)
    ran = await timeline.play("every 1h", hours=0.5, last=1_000_000.0 - 10 * 3600)
    assert [round(t - 1_000_000) for t in ran] == [0]


async def test_clock_jumps() -> None:
    forward = Timeline(1_000_000.0)
    forward.jumps = [(1_000_100.0, 86_400.0)]
    ran = await forward.play("every 1h", hours=25, last=None)
    assert len(ran) == 1, "what was jumped over is made up for once"
    back = Timeline(1_000_000.0)
    back.jumps = [(1_003_700.0, -7_200.0)]
    ran = await back.play("every 1h", hours=1.5, last=None)
    assert len(ran) >= 2
    assert ran[1] - ran[0] < 0, "goes on an hour after the new time, and waits for no old one"


async def test_a_failure_is_tried_again_and_others_go_on() -> None:
    timeline = Timeline(1_000_000.0)
    timeline.fails = 2
    ran = await timeline.play("every 1h", hours=1.5, last=None)
    assert [round(t - 1_000_000) for t in ran] == [3600 + 600]
