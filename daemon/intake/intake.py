"""The loop between sources and the store: fold, commit, acknowledge.

Two things go on at once: while PostgreSQL commits a group, the next one is folded. Groups are
committed strictly in order, so every source's batches and cursors are too.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from daemon.errors import SourceError
from daemon.events import Batch
from daemon.intake.fold import Fold, Folded
from daemon.intake.said import Said
from daemon.store.errors import StoreClosedError, StoreError
from daemon.store.prepared import Committed, Group

log = structlog.get_logger()

_SLICE_EVENTS = 1_000
"""A larger batch would hold the event loop for longer than chats like to wait."""

_SHARE = 0.5
"""Of the time that a slice took, a commit under way gets so much, to hear PostgreSQL's answers and
go on: else each of them waits for another slice, and slices of new patterns take long."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Between attempts where PostgreSQL refuses everything."""


class Committer(Protocol):
    """What commits groups: `daemon.store.writer.Writer`."""

    async def commit(self, group: Group, *, seconds: float | None = ...) -> Committed: ...


class _Receipt:
    """Satisfies `daemon.sources.base.Receipt`."""

    def __init__(self) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def committed(self) -> None:
        await asyncio.shield(self._done)

    def settle(self, error: SourceError | None = None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()  # whoever waits gets it; nobody waiting is no defect

    def abandon(self) -> None:
        self._done.cancel()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    group: Group
    folded: tuple[Folded, ...]
    receipts: tuple[tuple[str, _Receipt], ...]
    """With the source of each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _FoldedBatch:
    """A batch that waits for the next group, in the pieces in which it was folded."""

    batch: Batch
    receipt: _Receipt
    folded: tuple[Folded, ...]


OnCommitted = Callable[[Sequence[Folded]], None]
"""Told after each commit, in order. Must not block."""


class Intake:
    """Takes batches from sources and commits them. One per process."""

    def __init__(
        self,
        *,
        fold: Fold,
        writer: Committer,
        on_committed: OnCommitted,
        queue_batches: int,
        group_events: int,
    ) -> None:
        self._fold = fold
        self._writer = writer
        self._on_committed = on_committed
        self._group_events = group_events
        self._queue: asyncio.Queue[tuple[Batch, _Receipt]] = asyncio.Queue(queue_batches)
        self._said = Said()
        self._generations: dict[str, int] = {}
        self._pending: set[_Receipt] = set()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False

    @property
    def waiting(self) -> int:
        """Batches that wait for their commit."""
        return len(self._pending)

    def set_generation(self, source: str, generation: int) -> None:
        """The number that `cursors.take` gave when this process took the source over."""
        self._generations[source] = generation

    async def emit(self, batch: Batch) -> _Receipt:
        """Takes a batch over; waits while too many wait already. See `sources.base.Emit`."""
        receipt = _Receipt()
        if not batch.events and not batch.losses and batch.cursor is None:
            receipt.settle()
            return receipt
        if not self._stopped:
            await self._queue.put((batch, receipt))
        self._arrived.set()
        if self._stopped:
            receipt.abandon()
            return receipt
        self._pending.add(receipt)
        self._idle.clear()
        return receipt

    async def drained(self) -> None:
        """Returns when everything that was taken over is committed, or never will be."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commits until cancelled. What was not committed then is not acknowledged: its sources
        deliver it again."""
        committing: asyncio.Task[None] | None = None
        waiting: list[_FoldedBatch] = []
        size = 0
        try:
            while True:
                await self._until_due(committing, full=size >= self._group_events)
                if committing is not None and committing.done():
                    await committing
                    committing = None
                # What comes while a group is committed makes the next group: the busier, the
                # larger.
                if size < self._group_events and not self._queue.empty():
                    waiting.append(await self._fold_next(committing))
                    size += len(waiting[-1].batch.events)
                if waiting and committing is None:
                    group = _group_of(waiting)
                    committing = asyncio.create_task(self._commit(group), name="intake commit")
                    waiting, size = [], 0
        finally:
            self._stopped = True
            for receipt in self._pending:
                receipt.abandon()
            self._idle.set()
            if committing is not None:
                committing.cancel()
                await asyncio.wait({committing})

    async def _until_due(self, committing: asyncio.Task[None] | None, *, full: bool) -> None:
        """Returns when the commit under way is done, or unless `full` when a batch waits."""
        if not full and not self._queue.empty():
            return
        self._arrived.clear()
        if committing is None:
            await self._arrived.wait()
            return
        arrival = asyncio.create_task(self._arrived.wait(), name="intake arrival")
        try:
            due = {committing} if full else {committing, arrival}
            await asyncio.wait(due, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()

    async def _fold_next(self, committing: asyncio.Task[None] | None) -> _FoldedBatch:
        """Folds the batch that has waited longest. There must be one."""
        batch, receipt = self._queue.get_nowait()
        folded = []
        now = asyncio.get_running_loop().time
        for piece in _slices(batch):
            began = now()
            folded.append(self._fold_one(piece))
            if committing is None or committing.done():
                await asyncio.sleep(0)
            else:
                await asyncio.wait({committing}, timeout=_SHARE * (now() - began))
        return _FoldedBatch(batch=batch, receipt=receipt, folded=tuple(folded))

    def _fold_one(self, piece: Batch) -> Folded:
        """A defect that one batch brings out must not stop everything, and come again with the
        cursor after every start: the batch is dropped, counted and said."""
        generation = self._generations.get(piece.source)
        try:
            return self._fold.batch(piece, generation=generation)
        except Exception as error:
            count = self._said.again((piece.source, type(error)))
            if count is not None:
                log.error(
                    "events were dropped: a defect",
                    source=piece.source,
                    batches=count,
                    error=repr(error)[:300],
                    exc_info=error if count == 1 else None,
                )
            return self._fold.refused(piece, generation=generation)

    async def _commit(self, group: _Group) -> None:
        done = await self._durable(group.group)
        self._fold.forget_redelivered(done.redelivered)
        for source, why in done.rejected.items():
            count = self._said.again((source, "refused"))
            if count is not None:
                log.error(
                    "events were dropped: PostgreSQL refuses them",
                    source=source,
                    batches=count,
                    why=why,
                )
        self._acknowledge(group, done.fenced)
        self._tell([entry for entry in group.folded if entry.prepared.source not in done.fenced])

    async def _durable(self, group: Group) -> Committed:
        """Commits, however long it takes. Where PostgreSQL takes not even the counts, a table is
        damaged or a right is missing: ending would only start the same again, so it waits."""
        pause = _FIRST_PAUSE
        while True:
            try:
                done = await self._writer.commit(group, seconds=None)
            except StoreClosedError:
                raise
            except StoreError as error:
                if pause == _FIRST_PAUSE:
                    log.error(
                        "nothing can be stored; trying again until it can, sources wait",
                        why=str(error),
                    )
            else:
                if pause > _FIRST_PAUSE:
                    log.info("events can be stored again")
                return done
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _tell(self, folded: Sequence[Folded]) -> None:
        """Whoever listens is not needed for what is stored already."""
        try:
            self._on_committed(folded)
        except Exception as error:
            count = self._said.again(("told", type(error)))
            if count is not None:
                log.error(
                    "a listener to commits failed: a defect",
                    times=count,
                    error=repr(error)[:300],
                    exc_info=error if count == 1 else None,
                )

    def _acknowledge(self, group: _Group, fenced: frozenset[str]) -> None:
        lost = SourceError(
            "another triaged daemon has taken this source over; two must not read the same one"
        )
        for source, receipt in group.receipts:
            receipt.settle(lost if source in fenced else None)
            self._pending.discard(receipt)
        if not self._pending:
            self._idle.set()


def _group_of(batches: Sequence[_FoldedBatch]) -> _Group:
    folded = tuple(piece for each in batches for piece in each.folded)
    return _Group(
        group=Group.of([piece.prepared for piece in folded]),
        folded=folded,
        receipts=tuple((each.batch.source, each.receipt) for each in batches),
    )


def _slices(batch: Batch) -> Sequence[Batch]:
    """A batch in pieces that fold quickly. The cursor goes with the last, losses with the first."""
    events = batch.events
    if len(events) <= _SLICE_EVENTS:
        return (batch,)
    starts = range(0, len(events), _SLICE_EVENTS)
    return [
        Batch(
            source=batch.source,
            events=events[start : start + _SLICE_EVENTS],
            cursor=batch.cursor if start + _SLICE_EVENTS >= len(events) else None,
            losses=batch.losses if start == 0 else (),
        )
        for start in starts
    ]
