"""Intake's loop against a committer whose commits end when the test says so."""

from __future__ import annotations

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from daemon.events import Batch, Event
from daemon.intake import intake as loop
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import built_in_rules
from daemon.store.errors import StoreClosedError, StoreError
from daemon.store.prepared import Committed, Group
from tiers.vocabulary import Provenance, SourceKind


class Held:
    """Commits end one by one, each with `let_one_end`."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._ends = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def commit(self, group: Group, *, seconds: float | None = 60.0) -> Committed:
        self.groups.append(group)
        await self._ends.acquire()
        if self.error is not None:
            raise self.error
        return Committed()

    def let_one_end(self) -> None:
        self._ends.release()


def batch_of(number: int, *, events: int = 10) -> Batch:
    event = Event("disk is fine", "app", SourceKind.FILE, "f", Provenance.TEXT, time.time())
    return Batch(source="f", events=(event,) * events, cursor={"at": number})


def make(committer: Held, *, group_events: int = 100) -> Intake:
    return Intake(
        fold=Fold(table=PatternTable(), rules=built_in_rules(), limits=Limits(), clock=time.time),
        writer=committer,
        on_committed=lambda _: None,
        queue_batches=8,
        group_events=group_events,
    )


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def cursors(group: Group) -> list[int]:
    return [batch.cursor["at"] for batch in group.batches if batch.cursor is not None]


async def test_what_comes_during_a_commit_makes_the_next_group_in_order() -> None:
    committer = Held()
    intake = make(committer)
    running = asyncio.create_task(intake.run())
    receipts = [await intake.emit(batch_of(0))]
    await settle()
    for number in (1, 2, 3):
        receipts.append(await intake.emit(batch_of(number)))
        await settle()
    assert [cursors(group) for group in committer.groups] == [[0]], "one commit at a time"
    committer.let_one_end()
    await receipts[0].committed()
    await settle()
    assert [cursors(group) for group in committer.groups] == [[0], [1, 2, 3]]
    committer.let_one_end()
    await asyncio.gather(*(receipt.committed() for receipt in receipts))
    await intake.drained()
    assert intake.waiting == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_group_is_bounded_and_so_is_what_waits_behind_it() -> None:
    committer = Held()
    intake = make(committer, group_events=30)
    running = asyncio.create_task(intake.run())

    async def send() -> None:
        for number in range(40):
            await intake.emit(batch_of(number))

    sending = asyncio.create_task(send())
    await settle()
    assert not sending.done(), "while nothing is committed a source has to wait"
    # One batch commits, three wait folded, eight in the queue.
    assert intake.waiting <= 1 + 3 + 8
    for _ in range(40):
        committer.let_one_end()
        await settle()
    await sending
    await intake.drained()
    assert all(sum(b.received for b in group.batches) <= 30 for group in committer.groups)
    assert [at for group in committer.groups for at in cursors(group)] == list(range(40))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_idle_intake_does_nothing() -> None:
    committer = Held()
    intake = make(committer)
    running = asyncio.create_task(intake.run())
    committer.let_one_end()
    await (await intake.emit(batch_of(0))).committed()
    await settle()
    used = time.process_time()
    await asyncio.sleep(0.3)
    assert time.process_time() - used < 0.15, "the loop spins"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_commit_that_fails_ends_the_loop_although_nothing_comes() -> None:
    committer = Held()
    committer.error = RuntimeError("defect")
    intake = make(committer)
    running = asyncio.create_task(intake.run())
    receipt = await intake.emit(batch_of(0))
    await settle()
    committer.let_one_end()
    with pytest.raises(RuntimeError, match="defect"):
        await asyncio.wait_for(running, timeout=5)
    with pytest.raises(asyncio.CancelledError):
        await receipt.committed()
    await asyncio.wait_for(intake.drained(), timeout=1)


async def test_a_stream_of_poison_is_said_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    committer = Held()
    intake = make(committer)

    def broken(batch: Batch, *, generation: int | None) -> Folded:
        raise ZeroDivisionError

    monkeypatch.setattr(intake._fold, "batch", broken)
    running = asyncio.create_task(intake.run())
    with capture_logs() as logs:
        for number in range(25):
            receipt = await intake.emit(batch_of(number))
            committer.let_one_end()
            await receipt.committed()
    assert [(entry["batches"], bool(entry["exc_info"])) for entry in logs] == [
        (1, True),
        (10, False),
    ]
    dropped = [sum(b.drops.values()) for group in committer.groups for b in group.batches]
    assert sum(dropped) == 250
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_store_that_refuses_everything_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "_FIRST_PAUSE", 0.01)
    committer = Held()
    committer.error = StoreError("invalid page in block 7")
    intake = make(committer)
    running = asyncio.create_task(intake.run())
    with capture_logs() as logs:
        receipt = await intake.emit(batch_of(0))
        for _ in range(3):
            committer.let_one_end()
            await asyncio.sleep(0.06)
        assert intake.waiting == 1, "nothing is acknowledged"
        committer.error = None
        for _ in range(3):
            committer.let_one_end()
        await asyncio.wait_for(receipt.committed(), timeout=5)
    assert len({group.id for group in committer.groups}) == 1
    assert [entry["log_level"] for entry in logs] == ["error", "info"]
    committer.error = StoreClosedError("the store is closed")
    await intake.emit(batch_of(1))
    with pytest.raises(StoreClosedError):
        await asyncio.wait_for(running, timeout=5)


async def test_a_listener_that_fails_stops_nothing() -> None:
    committer = Held()
    intake = make(committer)

    def broken(_: object) -> None:
        raise ZeroDivisionError

    intake._on_committed = broken
    running = asyncio.create_task(intake.run())
    with capture_logs() as logs:
        for number in range(5):
            receipt = await intake.emit(batch_of(number))
            committer.let_one_end()
            await asyncio.wait_for(receipt.committed(), timeout=5)
            await settle()
    assert len(logs) == 1
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
