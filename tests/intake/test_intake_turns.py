"""A commit goes on while slow batches are folded."""

from __future__ import annotations

import asyncio
import time

from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import built_in_rules
from daemon.store.prepared import Committed, Group
from tiers.vocabulary import Provenance, SourceKind

SLICES = 20
ANSWERS = 4


class Chatty:
    """Commits like PostgreSQL's: a few answers, each of them soon there."""

    def __init__(self) -> None:
        self.slices_meanwhile: list[int] = []
        self.folded = 0

    async def commit(self, group: Group, *, seconds: float | None = 60.0) -> Committed:
        before = self.folded
        for _ in range(ANSWERS):
            await asyncio.sleep(0.001)
        self.slices_meanwhile.append(self.folded - before)
        return Committed()


class Slow(Fold):
    """As slow as with patterns that are all new."""

    committer: Chatty

    def batch(self, batch: Batch, *, generation: int | None = None) -> Folded:
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
        self.committer.folded += 1
        return super().batch(batch, generation=generation)


async def test_a_commit_does_not_wait_for_a_slice_with_every_answer() -> None:
    committer = Chatty()
    fold = Slow(table=PatternTable(), rules=built_in_rules(), limits=Limits(), clock=time.time)
    fold.committer = committer
    intake = Intake(
        fold=fold,
        writer=committer,
        on_committed=lambda _: None,
        queue_batches=8,
        group_events=10_000_000,
    )
    event = Event("disk is fine", "app", SourceKind.FILE, "f", Provenance.TEXT, time.time())
    running = asyncio.create_task(intake.run())
    try:
        await intake.emit(Batch(source="f", events=(event,), cursor={"at": 1}))
        events = (event,) * (1_000 * SLICES)
        await intake.emit(Batch(source="f", events=events, cursor={"at": 2}))
        await intake.drained()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    first, second = committer.slices_meanwhile
    assert first < ANSWERS  # one slice for each answer is what it would be otherwise
    assert second == 0
