"""One failing source stops no other; states are visible; logs speak on transitions only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.events import Batch, Cursor, Event
from daemon.sources.backoff import Backoff
from daemon.sources.base import Emit, Receipt, SourceAbsentError, SourceError, SourceState
from daemon.sources.settings import BackoffSettings
from daemon.sources.supervise import SourceSupervisor
from daemon.store.errors import StoreUnavailableError
from tests.sources.kept import Keeper
from tiers.vocabulary import Provenance, SourceKind

FAST = BackoffSettings(initial=0.01, maximum=0.02, settle=0.05, stable_after=0.2)


class Scripted:
    """A source that does what its script says, one step a start; the last step repeats."""

    kind = SourceKind.FILE
    watching = "a script"

    def __init__(self, name: str, *steps: Callable[[Emit], object]) -> None:
        self.name = name
        self.steps = list(steps)
        self.cursors: list[Cursor | None] = []

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        self.cursors.append(cursor)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        result = step(emit)
        if isinstance(result, Exception):
            raise result
        if asyncio.iscoroutine(result):
            await result


async def forever() -> None:
    await asyncio.Event().wait()


def event(text: str, at: float = 1_000.0) -> Event:
    return Event(text, "u", SourceKind.FILE, "s", Provenance.TEXT, at)


async def no_cursor(name: str) -> Cursor | None:
    return None


def supervisor(sources: Sequence[Scripted], keeper: Keeper) -> SourceSupervisor:
    return SourceSupervisor(
        sources=sources,
        emit=keeper.emit,
        load_cursor=no_cursor,
        settings=FAST,
        clock=lambda: 1_010.0,
        rng=random.Random(1),
    )


async def test_failures_of_every_kind_leave_the_others_running(keeper: Keeper) -> None:
    async def work(emit: Emit) -> None:
        await emit(Batch(source="good", events=(event("x"),), cursor={"n": 1}))
        await forever()

    good = Scripted("good", work)
    bad = Scripted("bad", lambda _: SourceError("the disk is away; plug it in"))
    defect = Scripted("defect", lambda _: ZeroDivisionError("oops"))
    absent = Scripted("absent", lambda _: SourceAbsentError("this host has no such thing"))
    finished = Scripted("finished", lambda _: None)
    made = supervisor([good, bad, defect, absent, finished], keeper)
    with capture_logs() as logs:
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0.4)
        status = {s.name: s for s in made.status()}
        task.cancel()
        await asyncio.wait({task})
    assert status["good"].state is SourceState.RUNNING
    assert (status["good"].events, status["good"].lag, status["good"].restarts) == (1, 10.0, 0)
    assert status["bad"].state is SourceState.BACKOFF
    assert status["bad"].error == "the disk is away; plug it in"
    assert status["bad"].restarts > 5
    assert "unexpected ZeroDivisionError: oops" in status["defect"].error
    assert status["absent"].state is SourceState.ABSENT
    assert len(absent.cursors) == 1
    assert status["finished"].state is SourceState.STOPPED
    assert made.status()[0].state is SourceState.STOPPED
    said = [(log["source"], log["event"]) for log in logs if log["source"] != "good"]
    assert sorted(said) == [
        ("absent", "source absent"),
        ("bad", "source failed"),
        ("defect", "source failed"),
        ("finished", "source finished"),
    ]


async def test_recovery_is_announced_once(keeper: Keeper) -> None:
    source = Scripted(
        "s",
        lambda _: SourceError("away"),
        lambda _: SourceError("away"),
        lambda _: SourceError("still away, differently"),
        lambda _: forever(),
    )
    made = supervisor([source], keeper)
    with capture_logs() as logs:
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0.3)
        assert made.status()[0].state is SourceState.RUNNING
        assert made.status()[0].error == ""
        task.cancel()
        await asyncio.wait({task})
    assert [(log["event"], log.get("why")) for log in logs] == [
        ("source failed", "away"),
        ("source failed", "still away, differently"),
        ("source recovered", None),
    ]


async def test_a_restart_goes_on_after_what_was_handed_over(keeper: Keeper) -> None:
    """The committed cursor is older while batches are on their way."""

    async def hand_over_and_fail(emit: Emit) -> None:
        await emit(Batch(source="s", events=(event("x"),), cursor={"n": 7}))
        raise SourceError("away")

    source = Scripted("s", hand_over_and_fail, lambda _: forever())
    made = supervisor([source], keeper)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    assert source.cursors == [None, {"n": 7}]


async def test_an_intake_that_refuses_is_tried_again_from_the_same_place() -> None:
    async def refuse(batch: Batch) -> Receipt:
        raise RuntimeError("intake is closing")

    async def work(emit: Emit) -> None:
        await emit(Batch(source="s", events=(event("x"),), cursor={"n": 7}))

    source = Scripted("s", work)
    made = SourceSupervisor(sources=[source], emit=refuse, load_cursor=no_cursor, settings=FAST)
    with capture_logs():
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait({task})
    assert len(source.cursors) > 1
    assert set(source.cursors) == {None}


def test_doubled_names_are_refused(keeper: Keeper) -> None:
    with pytest.raises(ValueError, match="two sources are named 's'"):
        supervisor([Scripted("s", lambda _: None), Scripted("s", lambda _: None)], keeper)


def test_backoff_grows_to_its_cap_and_starts_again() -> None:
    backoff = Backoff(settings=BackoffSettings(jitter=0.2), rng=random.Random(3))
    pauses = [backoff.next() for _ in range(2000)]
    assert all(0.8 * min(2.0**n, 60) <= p <= 60 for n, p in enumerate(pauses[:20]))
    assert 48 <= pauses[-1] <= 60
    backoff.reset()
    assert backoff.next() <= 1.0


@pytest.fixture(autouse=True)
def _fresh_logging() -> None:
    structlog.reset_defaults()


async def test_a_source_that_another_daemon_took_over_stops_reading() -> None:
    taken = asyncio.Event()
    loaded: list[str] = []

    class Refusable:
        async def committed(self) -> None:
            await taken.wait()
            raise SourceError("another triaged daemon has taken this source over")

    async def emit(batch: Batch) -> Receipt:
        return Refusable()

    async def load(name: str) -> Cursor | None:
        loaded.append(name)
        return {"n": len(loaded)}

    async def work(emit: Emit) -> None:
        await emit(Batch(source="s", events=(event("x"),), cursor={"n": 70}))
        await forever()

    source = Scripted("s", work, lambda _: forever())
    made = SourceSupervisor(sources=[source], emit=emit, load_cursor=load, settings=FAST)
    with capture_logs() as logs:
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0.1)
        taken.set()
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
    assert source.cursors == [{"n": 1}, {"n": 2}], "what was not committed is no place to go on"
    assert "taken this source over" in str(logs)


async def test_a_store_that_is_away_is_waited_for_in_one_line(keeper: Keeper) -> None:
    source = Scripted("journal", lambda _: forever())
    away = True

    async def load_cursor(name: str) -> Cursor | None:
        if away:
            raise StoreUnavailableError("PostgreSQL is not available; triaged keeps trying")
        return {"n": 1}

    made = SourceSupervisor(
        sources=[source], emit=keeper.emit, load_cursor=load_cursor, settings=FAST
    )
    with capture_logs() as logs:
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0.15)
        (status,) = made.status()
        assert status.state is SourceState.BACKOFF
        assert status.error.startswith("waits for the store")
        assert [(e["log_level"], "exc_info" in e) for e in logs] == [("warning", False)]
        away = False
        await asyncio.sleep(0.2)
        assert made.status()[0].state is SourceState.RUNNING
        task.cancel()
        await asyncio.wait({task})
    assert source.cursors == [{"n": 1}]
