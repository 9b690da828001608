"""Raw lines in a file to committed rows, beside drain3 with a COPY of its results.

    python -m benchmarks.pipeline [FOLDER] [--lines N] [--rounds R]

Two cores: one process that reads, parses headers, masks, folds and decides, and PostgreSQL (fsync
on), which commits one group while the next is folded. Each contender runs in a process of its own
on the same server, in turn, and reads the same file, which is that of `benchmarks.reduce`: the
samples of FOLDER with digits and host names drawn anew.

- `triaged`: one file as fast as it goes, a few batches under way. Every pattern is new at first.
- `triaged, known patterns`: another such file after that one.
- `triaged, paced`: the same lines arriving evenly at the rate of the bar, when every pattern is new
  and when they are known.
- `triaged, burst`: ten such files at once, nothing held back but by intake itself, which knows the
  patterns by then. Memory may not grow with what waits.
- `drain3 + COPY`: the same header parser, drain3 with the same masks, and each line with its
  cluster copied into a table, a group at a time while the next is mined.

`commit` is PostgreSQL's part of a group; `ack` is from handing a batch over to its acknowledgement,
so waiting for earlier groups and being folded are in it. MB are of the process that reads: its peak
RSS, and how far that is above what it was before the first line. `us` are microseconds of processor
time a line, of that process and of PostgreSQL: unlike lines a second they hardly change when others
use the machine. The greater of the two is what two free cores would take.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import dataclasses
import itertools
import multiprocessing
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from benchmarks.drain import Drain
from benchmarks.load import bar_note, load_note
from benchmarks.reduce import stream
from benchmarks.samples import folder, load
from benchmarks.table import Cell, report
from benchmarks.watched import scratch_folder
from daemon.config.settings import IntakeSettings
from daemon.events import Batch
from daemon.heap import settle_heap
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold
from daemon.intake.headers import LineFormat
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import load_rules
from daemon.scan.reader import read_pieces
from daemon.sources.base import Receipt
from daemon.store.open import open_store
from daemon.store.prepared import Committed, Group
from daemon.store.settings import StoreSettings
from daemon.store.writer import Writer

BAR_LINES = 50_000
BAR_P99_MS = 100.0
BAR_GROWN_MB = 100.0
"""A batch is 1,000 lines: the 64 that may wait and what is being folded and committed fit in it."""

BURST = 10
COPIED = 10_000
"""Lines that the peer copies at once, as many as intake commits in one transaction."""

UNDER_WAY = 4
"""Batches that the one source hands over before it waits for an acknowledgement."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a contender. Times in seconds, memory in MB."""

    lines: int
    before: int
    """Lines that were sent before, in the same process."""
    seconds: float
    commits: list[float]
    acks: list[float]
    start: float
    peak: float
    used: float
    """Processor time of the process."""

    postgres: float = 0.0
    """Processor time of PostgreSQL, from the start of the process."""


class Peak:
    """The greatest RSS of this process while the block runs, looked at every 10 ms."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.start = self.most = self.used = 0.0

    def __enter__(self) -> Peak:
        self.start = self.most = self._now()
        self.used = -time.process_time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.used += time.process_time()
        self._done.set()
        self._thread.join()
        self.most = max(self.most, self._now())

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.most = max(self.most, self._now())

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / 1e6


class TimedWriter:
    """The daemon's writer, and how long each of its commits took."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.taken: list[float] = []

    async def commit(self, group: Group, *, seconds: float | None = 60.0) -> Committed:
        began = time.perf_counter()
        done = await self._writer.commit(group, seconds=seconds)
        self.taken.append(time.perf_counter() - began)
        return done


@contextlib.asynccontextmanager
async def intake(state: Path) -> AsyncIterator[tuple[Intake, TimedWriter]]:
    """The daemon's own, with the daemon's own limits, over the server that runs already."""
    limits = IntakeSettings()
    async with open_store(StoreSettings(), state, attach=True) as store:
        writer = TimedWriter(Writer(database=store.pool))
        machine = Intake(
            fold=Fold(table=PatternTable(), rules=load_rules(), limits=Limits(), clock=time.time),
            writer=writer,
            on_committed=lambda _: None,
            queue_batches=limits.queue_batches,
            group_events=limits.group_events,
        )
        running = asyncio.create_task(machine.run())
        try:
            yield machine, writer
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def batches(file: Path, *, name: str) -> Iterator[Batch]:
    """The file as `triaged scan` reads it; sources of files use the same parts."""
    for number, piece in enumerate(read_pieces(file, file=0)):
        yield dataclasses.replace(piece.batch, source=name, cursor={"piece": number})


async def send(
    machine: Intake, file: Path, *, name: str, under_way: int, rate: float | None = None
) -> tuple[int, list[float]]:
    """One source: lines, and the seconds from handing each batch over to its acknowledgement.
    At most `under_way` batches are not acknowledged; 0 leaves that to intake."""
    free = asyncio.Semaphore(under_way or 1_000_000)
    taken: list[float] = []
    lines = 0

    async def acknowledged(receipt: Receipt, began: float) -> None:
        await receipt.committed()
        taken.append(time.perf_counter() - began)
        free.release()

    begin = time.perf_counter()
    pieces = batches(file, name=name)
    async with asyncio.TaskGroup() as tasks:
        while (batch := await asyncio.to_thread(next, pieces, None)) is not None:
            await free.acquire()
            lines += batch.received
            if rate is not None:
                await asyncio.sleep(max(0.0, begin + lines / rate - time.perf_counter()))
            began = time.perf_counter()
            receipt = await machine.emit(batch)
            tasks.create_task(acknowledged(receipt, began))
    return lines, taken


async def _triaged(
    state: Path, file: Path, *, files: int = 1, rate: float | None = None, known: bool = False
) -> Ran:
    name = f"pipeline {time.time_ns()}"
    async with intake(state) as (machine, writer):
        before = 0
        if known:
            before, _ = await send(machine, file, name=f"{name} before", under_way=UNDER_WAY)
        writer.taken.clear()
        under_way = UNDER_WAY if files == 1 and rate is None else 0
        with Peak() as peak:
            began = time.perf_counter()
            sent = await asyncio.gather(
                *(
                    send(machine, file, name=f"{name} {n}", under_way=under_way, rate=rate)
                    for n in range(files)
                )
            )
            seconds = time.perf_counter() - began
    return Ran(
        lines=sum(lines for lines, _ in sent),
        before=before,
        seconds=seconds,
        commits=writer.taken,
        acks=[each for _, taken in sent for each in taken],
        start=peak.start,
        peak=peak.most,
        used=peak.used,
    )


def triaged(state: Path, file: Path) -> Ran:
    return asyncio.run(_triaged(state, file))


def known(state: Path, file: Path) -> Ran:
    return asyncio.run(_triaged(state, file, known=True))


def paced(state: Path, file: Path) -> Ran:
    return asyncio.run(_triaged(state, file, rate=BAR_LINES))


def known_paced(state: Path, file: Path) -> Ran:
    return asyncio.run(_triaged(state, file, rate=BAR_LINES, known=True))


def burst(state: Path, file: Path) -> Ran:
    return asyncio.run(_triaged(state, file, files=BURST, known=True))


CopiedRow = tuple[datetime, str, int, str]


async def _peer(state: Path, file: Path) -> Ran:
    commits: list[float] = []
    acks: list[float] = []
    async with open_store(StoreSettings(), state, attach=True) as store:
        assert store.server is not None, "the benchmark runs over its own PostgreSQL"
        conninfo = store.server.conninfo()
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("drop table if exists benchmark_peer")
        await connection.execute(
            "create table benchmark_peer (at timestamptz, unit text, cluster int, line text)"
        )
        await connection.commit()

        async def copy(rows: Sequence[CopiedRow], read: float) -> None:
            began = time.perf_counter()
            async with (
                connection.cursor() as cursor,
                cursor.copy("copy benchmark_peer from stdin") as out,
            ):
                for row in rows:
                    await out.write_row(row)
            await connection.commit()
            commits.append(time.perf_counter() - began)
            acks.append(time.perf_counter() - read)

        lines = 0
        with Peak() as peak:
            begin = read = time.perf_counter()
            copying: asyncio.Task[None] | None = None
            for rows in _mined(file):
                lines += len(rows)
                if copying is not None:
                    await copying
                copying = asyncio.create_task(copy(rows, read))
                await asyncio.sleep(0)  # lets the first bytes go to PostgreSQL
                read = time.perf_counter()
            if copying is not None:
                await copying
            seconds = time.perf_counter() - begin
    return Ran(
        lines=lines,
        before=0,
        seconds=seconds,
        commits=commits,
        acks=acks,
        start=peak.start,
        peak=peak.most,
        used=peak.used,
    )


def _mined(file: Path) -> Iterator[list[CopiedRow]]:
    """Groups of lines with their clusters."""
    parse, add = LineFormat().parse, Drain("same").add
    with file.open(encoding="utf-8", errors="replace") as text:
        while taken := list(itertools.islice(text, COPIED)):
            rows: list[CopiedRow] = []
            for line in taken:
                header = parse(line.rstrip("\n"))
                at = datetime.fromtimestamp(header.timestamp or 0.0, tz=UTC)
                cluster = add(header.message)
                rows.append((at, header.unit, cluster, header.message.replace("\0", "")))
            yield rows


def peer(state: Path, file: Path) -> Ran:
    return asyncio.run(_peer(state, file))


Contender = Callable[[Path, Path], Ran]


def apart(contender: Contender, state: Path, file: Path) -> Ran:
    """In a process of its own, so that its memory is its own, which looks for garbage as the
    daemon does."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=context, initializer=settle_heap
    ) as pool:
        return pool.submit(contender, state, file).result()


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]


def row(what: str, runs: Sequence[Ran]) -> dict[str, Cell]:
    def median(figure: Callable[[Ran], float]) -> float:
        return statistics.median(map(figure, runs))

    return {
        "what": what,
        "lines": runs[0].lines,
        "lines/s": round(median(lambda run: run.lines / run.seconds)),
        "best": round(max(run.lines / run.seconds for run in runs)),
        "us": round(median(lambda run: 1e6 * run.used / run.lines), 1),
        "PostgreSQL us": round(
            median(lambda run: 1e6 * run.postgres / (run.lines + run.before)), 1
        ),
        "commit p50 ms": round(median(lambda run: 1e3 * percentile(run.commits, 50)), 1),
        "commit p99 ms": round(median(lambda run: 1e3 * percentile(run.commits, 99)), 1),
        "ack p50 ms": round(median(lambda run: 1e3 * percentile(run.acks, 50)), 1),
        "ack p99 ms": round(median(lambda run: 1e3 * percentile(run.acks, 99)), 1),
        "peak MB": round(max(run.peak for run in runs), 1),
        "grown MB": round(max(run.peak - run.start for run in runs), 1),
    }


async def measure(options: argparse.Namespace, state: Path) -> dict[str, list[Ran]]:
    file = state / "lines.log"
    lines = stream(load(folder(options.folder)), lines=options.lines, seed=13)
    file.write_text("".join(f"{raw}\n" for raw, _, _ in lines), encoding="utf-8")
    contenders: dict[str, Contender] = {
        "triaged": triaged,
        "triaged, known patterns": known,
        "triaged, paced": paced,
        "triaged, paced, known patterns": known_paced,
        "drain3 + COPY": peer,
        f"triaged, burst of {BURST} files": burst,
    }
    runs: dict[str, list[Ran]] = {name: [] for name in contenders}
    async with open_store(StoreSettings(), state, attach=False) as store:
        assert store.server is not None, "the benchmark runs over its own PostgreSQL"
        assert store.server.pid is not None, "PostgreSQL runs while the store is open"
        postmaster = psutil.Process(store.server.pid)
        for _ in range(options.rounds):
            for name, contender in contenders.items():
                before = _used(postmaster)
                ran = await asyncio.to_thread(apart, contender, state, file)
                ran = dataclasses.replace(ran, postgres=_used(postmaster) - before)
                runs[name].append(ran)
    return runs


def _used(postmaster: psutil.Process) -> float:
    """Processor time of PostgreSQL so far, ended backends included."""
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)


def main() -> None:
    parser = argparse.ArgumentParser(description="Raw lines to committed rows, beside drain3.")
    parser.add_argument("folder", nargs="?", help="folder with log samples")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with scratch_folder("pipeline") as state:
        runs = asyncio.run(measure(options, state))
    rows = [row(name, taken) for name, taken in runs.items()]
    figures = dict(zip(runs, rows, strict=True))
    rate = _figure(figures["triaged"]["lines/s"])
    theirs = _figure(figures["drain3 + COPY"]["lines/s"])
    slower = max(_figure(figures["triaged"][each]) for each in ("us", "PostgreSQL us"))
    late = {name: _figure(each["ack p99 ms"]) for name, each in figures.items() if "paced" in name}
    commit = {name: _figure(figures[name]["commit p99 ms"]) for name in list(figures)[:2]}
    grown = _figure(rows[-1]["grown MB"])
    report(
        f"Raw lines to committed rows, two cores, median of {options.rounds} rounds",
        rows,
        facts={
            "bar lines/s": BAR_LINES,
            "bar p99 ms": BAR_P99_MS,
            "times drain3 + COPY": round(rate / theirs, 2),
        },
        notes=(
            bar_note("lines/s", rate, BAR_LINES, least=True),
            f"by processor time: {1e6 / slower:,.0f} lines/s on two free cores",
            *(
                bar_note(f"{name}, as fast as it goes: commit p99", each, BAR_P99_MS, unit=" ms")
                for name, each in commit.items()
            ),
            *(
                bar_note(f"{name} at the rate of the bar: ack p99", each, BAR_P99_MS, unit=" ms")
                for name, each in late.items()
            ),
            bar_note("memory grown in the burst", grown, BAR_GROWN_MB, unit=" MB"),
            f"{rate / theirs:.1f} times drain3 + COPY in the same run",
            load_note(),
        ),
    )


def _figure(cell: Cell) -> float:
    if not isinstance(cell, (int, float)):
        raise TypeError(f"{cell!r} is not a figure")
    return float(cell)


if __name__ == "__main__":
    main()
