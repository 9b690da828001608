"""Lines to durable rows, and incident transitions a second, on the embedded PostgreSQL.

    python -m benchmarks.commit [FOLDER] [--lines N] [--transitions N] [--state-dir DIR]

With fsync on:

- `writer`: batches that were folded before, so this is PostgreSQL's part alone.
- `writer, keys`: the same, and every line has a key, as over MQTT (none is seen again).
- `intake`: events through the daemon's own Intake (mask, fold, decide, commit), sources with a few
  batches under way; latency is from handing a batch over to its acknowledgement.
- `intake, paced`: the same at the rate of the bar, arriving evenly.
- `transitions`: compare-and-set with a ledger entry, durable: concurrent callers on one group, and
  callers that commit each on a connection of their own.

Lines are those of `benchmarks.reduce`: the samples of FOLDER with the digits drawn anew.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks.reduce import stream
from benchmarks.samples import folder, load
from benchmarks.table import Cell, report
from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import load_rules
from daemon.store import accounting, incidents, ledger, work
from daemon.store.open import Store, open_store
from daemon.store.pool import Database
from daemon.store.prepared import Group, Prepared
from daemon.store.settings import StoreSettings
from daemon.store.transitions import Transition, apply, transition_group
from daemon.store.writer import Writer
from tiers.vocabulary import Category, Provenance, Severity, SourceKind

BAR_LINES = 50_000
BAR_P99_MS = 100.0
BAR_TRANSITIONS = 2_000
BATCH = 500
"""Events that a source hands over at once."""
GROUP = 5_000
UNDER_WAY = 6
CALLERS = 64
CONNECTIONS = 8


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]


def events_of(directory: Path, *, lines: int) -> list[Event]:
    return [
        Event(message, "", SourceKind.FILE, f"file:{number}", Provenance.TEXT, time.time(), 6)
        for _, message, number in stream(load(directory), lines=lines, seed=11)
    ]


def new_fold() -> Fold:
    return Fold(table=PatternTable(), rules=load_rules(), limits=Limits(), clock=time.time)


def batches_of(events: Sequence[Event], *, source: str, keys: bool = False) -> list[Batch]:
    if keys:
        events = [
            dataclasses.replace(event, key=f"{source}-{number}")
            for number, event in enumerate(events)
        ]
    return [
        Batch(
            source=source,
            events=tuple(events[start : start + BATCH]),
            cursor={"offset": start + BATCH},
        )
        for start in range(0, len(events), BATCH)
    ]


async def write(store: Store, events: Sequence[Event], *, source: str, keys: bool) -> list[Cell]:
    """PostgreSQL's part: groups that were folded before."""
    fold = new_fold()
    prepared: list[Prepared] = [
        fold.batch(batch).prepared for batch in batches_of(events, source=source, keys=keys)
    ]
    per_group = GROUP // BATCH
    groups = [
        Group.of(prepared[start : start + per_group])
        for start in range(0, len(prepared), per_group)
    ]
    writer = Writer(database=store.pool)
    taken: list[float] = []
    begin = time.perf_counter()
    for group in groups:
        start = time.perf_counter()
        await writer.commit(group)
        taken.append(time.perf_counter() - start)
    seconds = time.perf_counter() - begin
    return [len(events) / seconds, *(1000 * percentile(taken, part) for part in (50, 99))]


async def intake(
    store: Store, events: Sequence[Event], *, source: str, rate: float | None
) -> list[Cell]:
    """The daemon's own way. With `rate`, batches arrive evenly at so many lines a second."""
    machine = Intake(
        fold=new_fold(),
        writer=Writer(database=store.pool),
        on_committed=lambda _: None,
        queue_batches=64,
        group_events=GROUP,
    )
    running = asyncio.create_task(machine.run())
    free = asyncio.Semaphore(UNDER_WAY if rate is None else 1_000)
    taken: list[float] = []

    async def hand_over(batch: Batch) -> None:
        start = time.perf_counter()
        receipt = await machine.emit(batch)
        await receipt.committed()
        taken.append(time.perf_counter() - start)
        free.release()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, batch in enumerate(batches_of(events, source=source)):
            await free.acquire()
            if rate is not None:
                await asyncio.sleep(begin + number * BATCH / rate - time.perf_counter())
            tasks.create_task(hand_over(batch))
    seconds = time.perf_counter() - begin
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return [len(events) / seconds, *(1000 * percentile(taken, part) for part in (50, 99))]


async def open_incidents(pool: Database, *, count: int, name: str) -> list[incidents.Incident]:
    opened = []
    async with work.begin(pool) as unit:
        for number in range(count):
            new = incidents.NewIncident(
                severity=Severity.NOTICE,
                category=Category.SERVICE,
                title="benchmark",
                unit="benchmark",
                correlation=f"{name}-{number:05}",
                at=dt.datetime.now(dt.UTC),
            )
            found = await incidents.open_or_join(unit, new, reopen_seconds=0)
            opened.append(found.incident)
    return opened


Move = Callable[[Transition], Awaitable[object]]


async def back_and_forth(
    opened: Sequence[incidents.Incident], move: Move, *, total: int
) -> list[Cell]:
    """Each caller moves its own incident between two states."""
    steps = total // len(opened)
    taken: list[float] = []

    async def caller(incident: incidents.Incident) -> None:
        for step in range(steps):
            states = ("open", "watching") if step % 2 == 0 else ("watching", "open")
            start = time.perf_counter()
            await move(
                Transition(
                    incident_id=incident.id,
                    from_state=states[0],
                    fence=incident.fence + step,
                    to_state=states[1],
                    happening="benchmark",
                    actor="daemon",
                    reason="benchmark",
                )
            )
            taken.append(time.perf_counter() - start)

    begin = time.perf_counter()
    await asyncio.gather(*(caller(incident) for incident in opened))
    seconds = time.perf_counter() - begin
    return [len(taken) / seconds, *(1000 * percentile(taken, part) for part in (50, 99))]


async def transitions(store: Store, *, total: int) -> list[tuple[str, list[Cell]]]:
    pool = store.pool

    async def alone(transition: Transition) -> None:
        moved = await work.run(pool, lambda unit: apply(unit, [transition]))
        assert moved, "the incident was not where the benchmark left it"

    async with transition_group(pool) as group:

        async def together(transition: Transition) -> None:
            assert await group.apply(transition), "the incident was not where we left it"

        opened = await open_incidents(pool, count=CALLERS, name="many")
        many = await back_and_forth(opened, together, total=total)
        opened = await open_incidents(pool, count=CONNECTIONS, name="few")
        few = await back_and_forth(opened, together, total=total // 2)
    opened = await open_incidents(pool, count=CONNECTIONS, name="alone")
    each = await back_and_forth(opened, alone, total=total // 4)
    found = await ledger.verify(pool)
    assert found.holds, found.breaks
    return [
        (f"transitions, {CALLERS} callers in a group", many),
        (f"transitions, {CONNECTIONS} callers in a group", few),
        (f"transitions, {CONNECTIONS} connections, each alone", each),
    ]


async def measure(options: argparse.Namespace, state_dir: Path) -> None:
    events = events_of(folder(options.folder), lines=options.lines)
    bar = {"bar a second": BAR_LINES}
    rows: list[dict[str, Cell]] = []

    def add(what: str, figures: list[Cell], least: int | None) -> None:
        second, half, most = figures
        rows.append(
            {
                "what": what,
                "a second": second,
                "p50 ms": half,
                "p99 ms": most,
                "bar a second": least,
            }
        )

    settings = StoreSettings(pool_max=CONNECTIONS)
    began = time.perf_counter()
    async with open_store(settings, state_dir, attach=False) as store:
        opened = time.perf_counter() - began
        await write(store, events[: GROUP * 4], source="warm", keys=False)
        add("writer", await write(store, events, source="writer", keys=False), BAR_LINES)
        add("writer, keys", await write(store, events, source="keys", keys=True), None)
        add("intake", await intake(store, events, source="intake", rate=None), BAR_LINES)
        paced = await intake(store, events, source="paced", rate=BAR_LINES)
        add("intake, paced", paced, BAR_LINES)
        for what, figures in await transitions(store, total=options.transitions):
            add(what, figures, BAR_TRANSITIONS)
        async with store.pool.connection() as connection:
            counters = await accounting.counters(connection)
        for counter in counters:
            total = counter.stored + counter.folded + counter.dropped
            assert counter.received == total, counter
    report(
        "Lines committed and transitions made, durable",
        rows,
        facts={"lines": len(events), "open seconds": opened, "bar p99 ms": BAR_P99_MS, **bar},
        notes=(
            f"batches of {BATCH} lines, groups of at most {GROUP}; {UNDER_WAY} batches under way",
            f"the store was open after {opened:.2f} s",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Lines committed and transitions a second.")
    parser.add_argument("folder", nargs="?", help="folder with log samples")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--transitions", type=int, default=20_000)
    parser.add_argument("--state-dir", type=Path, help="where PostgreSQL's data goes; kept")
    options = parser.parse_args()
    if options.state_dir is not None:
        asyncio.run(measure(options, options.state_dir))
        return
    with tempfile.TemporaryDirectory(prefix="triaged-commit-") as scratch:
        asyncio.run(measure(options, Path(scratch)))


if __name__ == "__main__":
    main()
