"""Calls of the trigger model on a stream of a million lines.

    python -m benchmarks.calls [FOLDER] [--lines N]

Two streams, each through the daemon's own engine over a PostgreSQL and a state of its own, with the
real bundled trigger model judging while lines come in: `benchmarks.hosts`, a made-up server's day;
and, when FOLDER is there, the public samples again and again with digits and host names drawn anew,
each round a day after the one before.

The samples are of systems that no host has beside each other, chosen to be varied. A pattern that
nobody has seen takes one call, so calls a line of such a mixture say how many patterns it holds;
calls a pattern say whether anything was asked twice. Patterns that were seen but not judged (our
own calm measurements) count as patterns. A burst of a known pattern is judged again, once, by
design.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.hosts import lines_of
from benchmarks.load import bar_note, load_note
from benchmarks.reduce import redraw
from benchmarks.samples import Sample, folder, load
from benchmarks.table import Cell, report
from benchmarks.watched import free_ports, scratch_folder
from daemon.config.settings import Settings
from daemon.engine import Engine, build_engine
from daemon.events import Batch
from daemon.intake.headers import LineFormat
from daemon.intake.rules import load_rules
from daemon.live import LiveHub
from daemon.memory.none import NoRecall
from daemon.runtime import Failure, background
from daemon.scan.reader import read_pieces
from daemon.scan.scan import NoTools
from daemon.store import pattern_search
from daemon.store.open import open_store
from tiers.build import build_tiers
from tiers.runtime.fleet import Fleet
from tiers.vocabulary import TierName

BAR_A_THOUSAND = 0.05
BAR_A_PATTERN = 1.0
_DAY = 86_400.0
_QUIET_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Lines, all of them in `rounds` of `round_lines` each."""

    name: str
    lines: Iterable[str]
    round_lines: int
    rounds: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a stream needed. `again` are verdicts on patterns that had one."""

    lines: int
    patterns: int
    calls: int
    again: int
    incidents: int
    seconds: float


def samples_again(directory: Path, *, lines: int) -> Stream:
    """The samples' lines, file by file, over and over, with other digits and host names."""
    samples = load(directory)
    once = sum(len(sample.raw or sample.contents) for sample in samples)
    rounds = -(-lines // once)
    return Stream(
        name=f"a mixture of {len(samples)} systems",
        lines=_redrawn(samples, rounds=rounds),
        round_lines=once,
        rounds=rounds,
    )


def _redrawn(samples: Sequence[Sample], *, rounds: int) -> Iterator[str]:
    source = random.Random(17)
    for _ in range(rounds):
        for sample in samples:
            parse = LineFormat().parse
            for raw in sample.raw or sample.contents:
                message = parse(raw).message
                cut = len(raw) - len(message) if raw.endswith(message) else 0
                yield raw[:cut] + redraw(raw[cut:], source=source)


async def count(stream: Stream, state: Path) -> Counted:
    """Sends lines through the engine and counts. Raises what a part of the engine raises."""
    file = state / "stream.log"
    with file.open("w", encoding="utf-8") as out:
        for line in stream.lines:
            out.write(f"{line}\n")
    settings = Settings()
    trigger = settings.tiers.trigger.model_copy(update={"port": free_ports(1)[0]})
    began = time.perf_counter()
    failure = Failure()
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.store, state, attach=False))
        fleet = Fleet({TierName.TRIGGER: trigger}, state)
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        tiers = build_tiers(
            {**settings.tiers.by_name(), TierName.TRIGGER: trigger},
            lambda _: fleet.endpoint(TierName.TRIGGER),
            away=lambda _: fleet.away(TierName.TRIGGER),
            toolbox=NoTools(),
            loop=settings.tools.loop,
        )
        stack.push_async_callback(tiers.aclose)
        engine = build_engine(
            settings=settings,
            database=store.pool,
            tiers=tiers,
            recall=NoRecall(),
            rules=load_rules(),
            live=LiveHub(),
            owner="benchmark",
            on_folded=lambda _: None,
            mutes_changed=asyncio.Event(),
        )
        for name, work in (("intake", engine.intake.run()), ("judge", engine.judge.run())):
            await stack.enter_async_context(background(name, work, failure=failure))
        sent = await _send(engine, file, stream, failure)
        await engine.intake.drained()
        while True:
            async with store.pool.connection() as connection:
                totals = await pattern_search.totals(connection)
            if failure.error is not None:
                raise failure.error
            if not totals.to_judge:
                break
            await asyncio.sleep(_QUIET_SECONDS)
        async with store.pool.connection() as connection:
            row = await (
                await connection.execute(
                    "select (select count(*) from incidents),"
                    " (select count(*) from verdicts) -"
                    " (select count(distinct fingerprint) from verdicts)"
                )
            ).fetchone()
        assert row is not None, "two counts are one row"
        counts = engine.judge.counts
        assert not counts.by_rule, "the trigger tier did not answer all the time"
    return Counted(
        lines=sent,
        patterns=totals.patterns,
        calls=counts.calls,
        again=int(row[1]),
        incidents=int(row[0]),
        seconds=time.perf_counter() - began,
    )


async def _send(engine: Engine, file: Path, stream: Stream, failure: Failure) -> int:
    lines = 0
    pieces = read_pieces(file, file=0)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        left = stream.rounds - 1 - lines // stream.round_lines
        await engine.intake.emit(_days_ago(piece.batch, left) if left > 0 else piece.batch)
        lines += sum(span.lines for span in piece.spans) + len(piece.empty)
        if failure.error is not None:
            raise failure.error
    return lines


def _days_ago(batch: Batch, days: int) -> Batch:
    """So that the last round is when the samples say, and each before it a day before the next."""
    return dataclasses.replace(
        batch,
        events=tuple(
            dataclasses.replace(event, occurred_at=event.occurred_at - days * _DAY)
            for event in batch.events
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Trigger calls on a million lines.")
    parser.add_argument("folder", nargs="?", help="folder with log samples")
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    streams = [
        Stream(
            name="a server's day",
            lines=lines_of(options.lines, seed=23),
            round_lines=options.lines,
        ),
    ]
    directory = folder(options.folder)
    if any(directory.glob("*_structured.csv")):
        streams.append(samples_again(directory, lines=options.lines))
    rows: list[dict[str, Cell]] = []
    notes: list[str] = []
    for stream in streams:
        with scratch_folder("calls") as state:
            found = asyncio.run(count(stream, state))
        thousand = 1000 * found.calls / found.lines
        pattern = found.calls / found.patterns
        rows.append(
            {
                "stream": stream.name,
                "lines": found.lines,
                "patterns": found.patterns,
                "calls": found.calls,
                "judged again": found.again,
                "calls/1,000 lines": round(thousand, 4),
                "calls/pattern": round(pattern, 3),
                "incidents": found.incidents,
                "seconds": round(found.seconds, 1),
            }
        )
        notes += [
            bar_note(f"{stream.name}: calls per 1,000 lines", thousand, BAR_A_THOUSAND),
            bar_note(f"{stream.name}: calls per pattern", pattern, BAR_A_PATTERN),
        ]
    report(
        "Calls of the trigger model",
        rows,
        facts={"bar calls/1,000 lines": BAR_A_THOUSAND, "bar calls/pattern": BAR_A_PATTERN},
        notes=(*notes, load_note()),
    )


if __name__ == "__main__":
    main()
