"""Lines a second through masking and grouping, on one core, beside drain3, interleaved.

    python -m benchmarks.reduce [FOLDER] [--lines N] [--rounds R]

The stream is made of the samples' log files, in turn, again and again until it is long enough.
Repeating the files as they are would let caches of whole lines look good, so that in every
repetition each run of digits and each label of a host name is drawn anew, same length. User names
stay as they are. Every contender starts each round with nothing learnt and sees the same lines.

`headers` alone, `reduce` alone, and both together are measured for triaged; drain3 is given the
messages, headers already taken off.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.drain import Drain
from benchmarks.samples import Sample, folder, load
from benchmarks.table import Cell, report
from daemon.events import Event
from daemon.intake.headers import LineFormat
from daemon.intake.patterns import PatternTable
from tiers.vocabulary import Provenance, SourceKind

BATCH = 2_000
BAR_LINES = 100_000
BAR_RATIO = 3.0

_DIGITS = re.compile(r"\d+")
_LETTER = re.compile(r"[a-z]")
_HOST = re.compile(r"(?<![\w.-])(?:[a-z0-9-]+\.){2,}[a-z]{2,}(?![\w.])")

Contender = Callable[[], float]
"""Runs once, from nothing; returns the seconds it took."""


def redraw(text: str, *, source: random.Random) -> str:
    """The text with other digits and host names. The first of a run stays: an octet stays one."""

    def digits(match: re.Match[str]) -> str:
        run = match[0]
        return run[0] + "".join(source.choices("0123456789", k=len(run) - 1))

    def host(match: re.Match[str]) -> str:
        labels, ending = match[0].rsplit(".", 1)
        letters = _LETTER.sub(lambda _: source.choice("abcdefghijklmnopqrstuvwxyz"), labels)
        return f"{letters}.{ending}"

    return _DIGITS.sub(digits, _HOST.sub(host, text))


def stream(samples: Sequence[Sample], *, lines: int, seed: int) -> list[tuple[str, str, int]]:
    """(raw line, message, number of the sample) of at least `lines` lines."""
    source = random.Random(seed)
    out: list[tuple[str, str, int]] = []
    while len(out) < lines:
        for number, sample in enumerate(samples):
            parse = LineFormat().parse
            for raw in sample.raw or sample.contents:
                header = parse(raw).message
                cut = len(raw) - len(header) if raw.endswith(header) else 0
                message = redraw(raw[cut:], source=source)
                out.append((raw[:cut] + message, message, number))
    return out


def contenders(lines: Sequence[tuple[str, str, int]]) -> Iterator[tuple[str, Contender]]:
    events = [
        Event(message, "", SourceKind.FILE, str(number), Provenance.TEXT, 0.0)
        for _, message, number in lines
    ]
    batches = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]

    def reduce() -> float:
        table = PatternTable()
        start = time.perf_counter()
        for batch in batches:
            table.reduce_batch(batch)
        return time.perf_counter() - start

    def headers() -> float:
        start = time.perf_counter()
        formats: dict[int, LineFormat] = {}
        for raw, _, number in lines:
            form = formats.get(number)
            if form is None:
                form = formats[number] = LineFormat()
            form.parse(raw)
        return time.perf_counter() - start

    def both() -> float:
        table = PatternTable()
        kind, provenance = SourceKind.FILE, Provenance.TEXT
        formats: dict[int, LineFormat] = {}
        start = time.perf_counter()
        for first in range(0, len(lines), BATCH):
            batch = []
            for raw, _, number in lines[first : first + BATCH]:
                form = formats.get(number)
                if form is None:
                    form = formats[number] = LineFormat()
                at, _, unit, _, priority, message, _, _ = form.parse(raw)
                batch.append(Event(message, unit, kind, "f", provenance, at or 0.0, priority))
            table.reduce_batch(batch)
        return time.perf_counter() - start

    def drain(configuration: str) -> Contender:
        def run() -> float:
            miner = Drain(configuration)
            start = time.perf_counter()
            for _, message, _ in lines:
                miner.add(message)
            return time.perf_counter() - start

        return run

    yield "triaged reduce", reduce
    yield "triaged headers", headers
    yield "triaged headers+reduce", both
    yield "drain3 same masks", drain("same")
    yield "drain3 usual masks", drain("usual")
    yield "drain3 unmasked", drain("plain")


def main() -> None:
    parser = argparse.ArgumentParser(description="Lines a second beside drain3.")
    parser.add_argument(
        "folder", nargs="?", help="folder with NAME.log and NAME.log_structured.csv"
    )
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines = stream(load(folder(options.folder)), lines=options.lines, seed=7)
    runs = list(contenders(lines))
    seconds: dict[str, list[float]] = {name: [] for name, _ in runs}
    for _ in range(options.rounds):
        for name, run in runs:
            seconds[name].append(run())
    median = {name: len(lines) / statistics.median(taken) for name, taken in seconds.items()}
    rows: list[dict[str, Cell]] = [
        {
            "what": name,
            "lines/s": round(rate),
            "best": round(len(lines) / min(seconds[name])),
            "us/line": round(1e6 / rate, 2),
            "times drain3 same masks": round(rate / median["drain3 same masks"], 2),
        }
        for name, rate in median.items()
    ]
    rate = median["triaged reduce"]
    ratio = rate / median["drain3 same masks"]
    report(
        f"reduce only, one core, {len(lines):,} lines, median of {options.rounds} rounds",
        rows,
        facts={"lines/s": round(rate), "ratio": round(ratio, 2)},
        notes=(
            f"bar of {BAR_LINES:,} lines/s: {'met' if rate >= BAR_LINES else 'NOT MET'}",
            f"bar of {BAR_RATIO:g} times drain3: {'met' if ratio >= BAR_RATIO else 'NOT MET'}",
        ),
    )


if __name__ == "__main__":
    main()
