"""The loop between sources and the store, with a real store and with one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from daemon.errors import SourceError
from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.refresh import Refresh, load_fold
from daemon.intake.rules import built_in_rules
from daemon.store import accounting, cursors, mutes, patterns, work
from daemon.store.pool import Database
from daemon.store.prepared import Committed, Group
from daemon.store.writer import Writer
from tiers.contracts import Usage, Verdict
from tiers.vocabulary import Category, Provenance, Severity, SourceKind, Urgency


def event(text: str, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "text": text,
        "unit": "app",
        "kind": SourceKind.FILE,
        "source": "s",
        "provenance": Provenance.TEXT,
        "occurred_at": time.time(),
    }
    return Event(**{**values, **changes})


def batch(source: str, *texts: str, cursor: Any = None, **changes: Any) -> Batch:
    return Batch(
        source=source, events=tuple(event(text, **changes) for text in texts), cursor=cursor
    )


def make_fold() -> Fold:
    return Fold(table=PatternTable(), rules=built_in_rules(), limits=Limits(), clock=time.time)


class Held:
    """A store that commits when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.groups: list[Group] = []

    async def commit(self, group: Group, *, seconds: float | None = None) -> Committed:
        self.groups.append(group)
        await self.go.wait()
        return Committed()


@contextlib.asynccontextmanager
async def running(
    writer: Any, *, fold: Fold | None = None, queue: int = 8
) -> AsyncIterator[Intake]:
    done: list[Folded] = []

    def committed(groups: Sequence[Folded]) -> None:
        done.extend(groups)

    intake = Intake(
        fold=fold or make_fold(),
        writer=writer,
        on_committed=committed,
        queue_batches=queue,
        group_events=1_000,
    )
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def totals(pool: Database) -> dict[str, tuple[int, int, int, int]]:
    async with pool.connection() as connection:
        found = await accounting.counters(connection)
    return {c.source: (c.received, c.stored, c.folded, c.dropped) for c in found}


async def test_a_thousand_sources_are_all_accounted_for(pool: Database) -> None:
    async with running(Writer(database=pool)) as intake:
        receipts = await asyncio.gather(
            *(
                intake.emit(batch(f"s{n}", "a line", "", f"line of {n}", cursor={"n": n}))
                for n in range(1_000)
            )
        )
        await asyncio.gather(*(receipt.committed() for receipt in receipts))
        await asyncio.wait_for(intake.drained(), 5)
    found = await totals(pool)
    assert len(found) == 1_000
    assert {(received, dropped) for received, _, _, dropped in found.values()} == {(3, 1)}
    assert sum(stored + folded for _, stored, folded, _ in found.values()) == 2_000


async def test_redelivery_is_dropped_and_counted(pool: Database) -> None:
    async with running(Writer(database=pool)) as intake:
        for _ in range(3):
            one = batch("mqtt", "the same", "the same", key="k1")
            await (await intake.emit(one)).committed()
    received, stored, folded, dropped = (await totals(pool))["mqtt"]
    assert (received, stored + folded, dropped) == (6, 1, 5)


async def test_sources_wait_while_the_store_does_not_answer() -> None:
    held = Held()
    async with running(held, queue=2) as intake:
        emitting = [asyncio.create_task(intake.emit(batch("s", f"x {n}"))) for n in range(20)]
        await asyncio.sleep(0.1)
        assert sum(task.done() for task in emitting) < 10
        held.go.set()
        receipts = await asyncio.wait_for(asyncio.gather(*emitting), 5)
        await asyncio.gather(*(receipt.committed() for receipt in receipts))
        assert intake.waiting == 0


async def test_nothing_is_acknowledged_when_intake_stops() -> None:
    held = Held()
    async with running(held) as intake:
        receipts = [await intake.emit(batch("s", f"x {n}")) for n in range(3)]
        await asyncio.sleep(0.05)
    for receipt in receipts:
        with pytest.raises(asyncio.CancelledError):
            await receipt.committed()
    late = await intake.emit(batch("s", "too late"))
    with pytest.raises(asyncio.CancelledError):
        await late.committed()


async def test_a_fenced_source_is_told_and_others_go_on(pool: Database) -> None:
    async with pool.connection() as connection:
        old = await cursors.take(connection, source="file", owner="old")
        await cursors.take(connection, source="file", owner="new")
    async with running(Writer(database=pool)) as intake:
        intake.set_generation("file", old.generation)
        fenced, fine = await asyncio.gather(
            intake.emit(batch("file", "a", cursor={"at": 1})), intake.emit(batch("other", "a"))
        )
        await fine.committed()
        with pytest.raises(SourceError, match="taken this source over"):
            await fenced.committed()
    assert set(await totals(pool)) == {"other"}


async def test_a_batch_that_brings_out_a_defect_is_dropped_and_the_rest_goes_on(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = make_fold()
    sound = fold.batch

    def touchy(each: Batch, *, generation: int | None = None) -> Folded:
        if any("poison" in e.text for e in each.events):
            raise ZeroDivisionError("oops")
        return sound(each, generation=generation)

    monkeypatch.setattr(fold, "batch", touchy)
    async with running(Writer(database=pool), fold=fold) as intake:
        for text in ("fine", "poison", "fine"):
            await (await intake.emit(batch("s", text, cursor={"t": text}))).committed()
    assert (await totals(pool))["s"] == (3, 2, 0, 1)


async def test_hostile_times_and_words_reach_the_store(pool: Database) -> None:
    times = [float("nan"), float("inf"), -1e18, 1e18, 0.0, 253_402_300_800.0]
    async with running(Writer(database=pool)) as intake:
        for at in times:
            hostile = batch("s", "a\x00b", "\ud800", "x" * 70_000, occurred_at=at, unit="u\x00")
            await (await intake.emit(hostile)).committed()
    received, stored, folded, dropped = (await totals(pool))["s"]
    assert (received, stored + folded, dropped) == (18, 18, 0)


async def judged(pool: Database, fingerprint: str, *, escalate: bool) -> None:
    usage = Usage(model="m", endpoint="e", prompt_tokens=0, completion_tokens=0, seconds=0.0)
    async with work.begin(pool) as unit:
        await patterns.record_verdict(
            unit,
            verdict=Verdict(
                fingerprint=fingerprint,
                escalate=escalate,
                probability=0.5,
                severity=Severity.WARNING if escalate else Severity.INFO,
                category=Category.SERVICE,
                urgency=Urgency.NONE,
                usage=usage,
            ),
            reason="new",
            burst=1,
            correlation="k",
        )


async def test_refresh_brings_what_others_decided(pool: Database) -> None:
    ours, changed = make_fold(), asyncio.Event()
    refresh = Refresh(database=pool, fold=ours, changed=changed)
    await refresh.look()
    folded = ours.batch(batch("s", "a thing"))
    await Writer(database=pool).commit(Group.of([folded.prepared]))
    (fingerprint,) = ours.states
    await judged(pool, fingerprint, escalate=True)  # by another daemon, the very first verdict
    async with work.begin(pool) as unit:
        await mutes.add(unit, reason="lab", created_by="me", unit="app")
    await refresh.look()
    state = ours.states[fingerprint]
    assert state.verdict is not None
    assert (state.verdict.escalate, state.judging) == (True, False)
    assert ours.batch(batch("s", "a thing")).prepared.patterns[0].unattached == 0  # muted


async def test_what_was_never_written_is_asked_again(pool: Database) -> None:
    ours = make_fold()
    refresh = Refresh(database=pool, fold=ours, changed=asyncio.Event())
    ours.batch(batch("s", "a thing"))  # and the commit is refused
    for _ in range(2):
        await refresh.look()
    assert len(ours.batch(batch("s", "a thing")).judge) == 1


async def test_a_start_takes_over_what_is_stored(pool: Database) -> None:
    first = make_fold()
    folded = first.batch(batch("s", *["a thing 1"] * 30))
    await Writer(database=pool).commit(Group.of([folded.prepared]))
    (fingerprint,) = first.states
    await judged(pool, fingerprint, escalate=True)
    table = PatternTable()
    second = Fold(table=table, rules=built_in_rules(), limits=Limits(), clock=time.time)
    assert await load_fold(database=pool, table=table, fold=second, max_patterns=10) == 1
    again = second.batch(batch("s", "a thing 2"))
    assert again.judge == ()
    assert again.new == ()
    assert again.prepared.patterns[0].unattached == 1
    assert second.states[fingerprint].count == 31


async def test_a_floor_never_falls_whichever_daemon_writes(pool: Database) -> None:
    one, two = make_fold(), make_fold()
    text = "Failed password for root from 203.0.113.7 port 4000 ssh2"
    flood = one.batch(batch("a", *[text] * 40, unit="sshd"))
    single = two.batch(batch("b", text, unit="sshd"))
    for each in (flood, single):
        await Writer(database=pool).commit(Group.of([each.prepared]))
    async with pool.connection() as connection:
        (row,) = await patterns.get(connection, list(one.states))
    assert (row.floor, row.rule, row.count) == ("warning", "auth-burst", 41)
