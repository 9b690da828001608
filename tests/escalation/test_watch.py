"""Incidents end when their condition is measured to be gone, by clocks that may jump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from escalation_kit import (
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    execute,
    incidents,
    worker,
)

from daemon.escalation.measure import NoAlarms, well_since
from daemon.escalation.quiet import QuietTimes
from daemon.escalation.watch import Watch
from daemon.live import LiveHub
from daemon.memory.entries import MemoryEntry
from daemon.store.pool import Database
from tiers.contracts import Disposition
from tiers.vocabulary import Provenance, Severity, SourceKind


class Clocks:
    """A wall clock and a steady one. The host is `slept` when only the wall moves."""

    def __init__(self, wall: float) -> None:
        self.wall_now, self.steady_now = wall, 5_000.0

    def wall(self) -> float:
        return self.wall_now

    def steady(self) -> float:
        return self.steady_now

    def pass_(self, seconds: float) -> None:
        self.wall_now += seconds
        self.steady_now += seconds


class Remembered:
    """Memory that keeps what it was told."""

    def __init__(self) -> None:
        self.entries: dict[int, MemoryEntry] = {}

    async def remember(self, entry: MemoryEntry) -> None:
        self.entries[entry.incident_id] = entry


class Up:
    """Alarms by hand."""

    def __init__(self) -> None:
        self.gone: float | None = None

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        return self.gone


class Units:
    def __init__(self, known: Mapping[str, float] | None) -> None:
        self.known = known

    async def __call__(self, units: Sequence[str]) -> Mapping[str, float] | None:
        return None if self.known is None else {u: s for u, s in self.known.items() if u in units}


def watch(
    pool: Database,
    *,
    clocks: Clocks | None = None,
    memory: Remembered | None = None,
    alarms: object = None,
    units: Units | None = None,
) -> Watch:
    times = clocks or Clocks(0.0)
    return Watch(
        database=pool,
        memory=memory,  # type: ignore[arg-type]
        alarms=alarms or NoAlarms(),  # type: ignore[arg-type]
        live=LiveHub(),
        steady_seconds=120,
        units=units or Units({}),
        quiet=QuietTimes(wall=times.wall, steady=times.steady),
    )


async def watching(pool: Database, **changes: object) -> float:
    """One incident that waits for its end; when it was last seen."""
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing", **changes)])  # type: ignore[arg-type]
    await one.settle()
    await worker(pool, review=ScriptedReview(assessment())).work_once()
    (incident,) = await incidents(pool)
    assert incident.state in ("watching", "escalated")
    await execute(pool, "update incidents set state = 'watching', severity = 'warning'")
    return max(incident.last_event_at, incident.updated_at).timestamp()


async def state(pool: Database) -> tuple[str, str | None]:
    (incident,) = await incidents(pool)
    return incident.state, incident.close_reason


async def test_silence_ends_it_says_why_and_is_remembered(pool: Database) -> None:
    last = await watching(pool)
    clocks, memory = Clocks(last), Remembered()
    looking = watch(pool, clocks=clocks, memory=memory)
    for _ in range(59):
        clocks.pass_(15)
        assert await looking.look() == 0
    clocks.pass_(60)
    assert await looking.look() == 1
    assert await state(pool) == ("closed", "nothing of it was seen for 16 min")
    (entry,) = memory.entries.values()
    assert (entry.outcome, entry.provenance) == (
        "nothing of it was seen for 16 min",
        Provenance.TEXT,
    )


async def test_it_returns_and_is_the_same_incident(pool: Database) -> None:
    last = await watching(pool)
    clocks = Clocks(last)
    looking = watch(pool, clocks=clocks)
    await looking.look()
    clocks.pass_(1000)
    assert await looking.look() == 1
    one = bench(pool, ScriptedTrigger(), owner="again")
    await one.take([event("bad thing")])
    await one.settle()
    (incident,) = await incidents(pool)
    assert (incident.state, incident.reopened) == ("open", 1)


async def test_a_daemon_that_was_off_looks_for_a_while_first(pool: Database) -> None:
    last = await watching(pool)
    clocks = Clocks(last + 86_400)
    looking = watch(pool, clocks=clocks)
    assert await looking.look() == 0
    clocks.pass_(600)
    assert await looking.look() == 0
    clocks.pass_(301)
    assert await looking.look() == 1


@pytest.mark.parametrize("jump", [86_400.0 * 365, -86_400.0 * 365])
async def test_a_clock_that_jumps_closes_nothing(pool: Database, jump: float) -> None:
    last = await watching(pool)
    clocks = Clocks(last)
    looking = watch(pool, clocks=clocks)
    await looking.look()
    clocks.pass_(60)
    clocks.wall_now += jump
    assert await looking.look() == 0
    clocks.pass_(700)
    assert await looking.look() == 0
    clocks.pass_(200)
    assert await looking.look() == 1


async def test_an_alarm_that_is_up_keeps_it_open_however_silent(pool: Database) -> None:
    last = await watching(
        pool,
        kind=SourceKind.METRICS,
        provenance=Provenance.MEASURED,
        attributes={"metric": "disk", "target": "/", "level": "critical"},
    )
    clocks, alarms = Clocks(last), Up()
    looking = watch(pool, clocks=clocks, alarms=alarms)
    await looking.look()
    clocks.pass_(100_000)
    assert await looking.look() == 0
    alarms.gone = 119.0
    assert await looking.look() == 0
    alarms.gone = 120.0
    assert await looking.look() == 1
    assert await state(pool) == ("closed", "disk / has been back to normal for 2 min")


async def test_a_unit_decides_and_without_systemd_silence_does(pool: Database) -> None:
    last = await watching(
        pool,
        kind=SourceKind.SYSTEMD,
        provenance=Provenance.SYSTEMD,
        attributes={"unit": "web.service"},
    )
    clocks, units = Clocks(last), Units({})
    looking = watch(pool, clocks=clocks, units=units)
    await looking.look()
    clocks.pass_(100_000)
    assert await looking.look() == 0  # down
    units.known = {"web.service": 10.0}
    assert await looking.look() == 0  # restarts in a loop
    units.known = None
    assert await looking.look() == 1  # nobody can say: silence has to do


async def test_a_unit_that_joined_later_has_to_be_well_too(pool: Database) -> None:
    last = await watching(pool)
    await execute(pool, "update incidents set correlation = 'unit:web'")
    one = bench(pool, ScriptedTrigger(), owner="again")
    await one.take(
        [
            event(
                "bad: web.service failed",
                kind=SourceKind.SYSTEMD,
                provenance=Provenance.SYSTEMD,
                attributes={"unit": "web.service"},
            )
        ]
    )
    await one.settle()
    await execute(pool, "update incidents set state = 'watching'")
    (incident,) = await incidents(pool)
    assert incident.condition is not None
    assert incident.condition["units"] == ["web.service"]
    clocks = Clocks(last)
    looking = watch(pool, clocks=clocks)
    await looking.look()
    clocks.pass_(100_000)
    assert await looking.look() == 0


async def test_what_a_tier_closed_is_remembered_too(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing")])
    await one.settle()
    await execute(pool, "update incidents set severity = 'info'")
    review = ScriptedReview(
        assessment(disposition=Disposition.CLOSE, severity=Severity.INFO, summary="it is nothing")
    )
    await worker(pool, review=review).work_once()
    assert (await state(pool))[0] == "closed"
    memory = Remembered()
    await watch(pool, memory=memory).look()
    (entry,) = memory.entries.values()
    assert entry.cause == "service_crash"


async def test_more_than_a_page_waits(pool: Database) -> None:
    await watching(pool)
    await execute(
        pool,
        """
        insert into incidents (state, severity, category, title, unit, correlation, last_event_at,
                               updated_at)
        select 'watching', 'warning', 'service', 't', 'u', 'k' || n, now(), now()
        from generate_series(1, 700) n
        """,
    )
    (last,) = [i.updated_at.timestamp() for i in (await incidents(pool))[:1]]
    clocks = Clocks(last + 3600)
    looking = watch(pool, clocks=clocks)
    await looking.look()
    clocks.pass_(1000)
    assert await looking.look() == 701


@pytest.mark.parametrize(
    ("facts", "since"),
    [
        ({"ActiveState": "active", "ActiveEnterTimestampMonotonic": "5000000"}, 5.0),
        ({"ActiveState": "active", "ActiveEnterTimestampMonotonic": "0"}, None),
        ({"ActiveState": "active"}, None),
        ({"ActiveState": "failed", "ActiveEnterTimestampMonotonic": "5000000"}, None),
        ({"ActiveState": "activating", "Type": "oneshot"}, None),
        (
            {
                "ActiveState": "inactive",
                "Type": "oneshot",
                "Result": "success",
                "InactiveEnterTimestampMonotonic": "7000000",
            },
            7.0,
        ),
        (
            {
                "ActiveState": "inactive",
                "Type": "simple",
                "Result": "success",
                "InactiveEnterTimestampMonotonic": "7000000",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_when_a_unit_is_well(facts: dict[str, str], since: float | None) -> None:
    assert well_since(facts) == since
