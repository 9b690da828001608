"""Grouping accuracy on public samples, one default configuration for all, beside drain3.

    python -m benchmarks.grouping [FOLDER]

triaged is measured as it runs: lines in batches of `BATCH`, where new lines of a batch are
compared with each other before any gets a fingerprint. "line by line" takes that away. "raw" starts
from the log file and lets `daemon.intake.headers` find the message. "raw+unit" tells the table the
program as well: fingerprints hold it by design, so that a sentence that two programs share is two
patterns there, which this measure counts as wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from benchmarks.accuracy import accuracy
from benchmarks.drain import Drain
from benchmarks.samples import Sample, folder, load
from benchmarks.table import Cell, report
from daemon.events import Event
from daemon.intake.headers import LineFormat
from daemon.intake.patterns import PatternTable
from tiers.vocabulary import Provenance, SourceKind

BATCH = 2_000

Labels = list[str] | list[int]
Method = Callable[[Sample], Labels | None]


def _event(text: str, unit: str = "") -> Event:
    return Event(text, unit, SourceKind.FILE, "benchmark", Provenance.TEXT, 0.0)


def _batches(events: Sequence[Event]) -> list[str]:
    table = PatternTable()
    return [
        pattern.fingerprint
        for start in range(0, len(events), BATCH)
        for pattern in table.reduce_batch(events[start : start + BATCH])
    ]


def triaged(sample: Sample) -> Labels:
    return _batches([_event(content) for content in sample.contents])


def triaged_single(sample: Sample) -> Labels:
    table = PatternTable()
    return [table.reduce(SourceKind.FILE, "", text).fingerprint for text in sample.contents]


def triaged_raw(sample: Sample) -> Labels | None:
    parse = LineFormat().parse
    return _batches([_event(parse(line).message) for line in sample.raw]) if sample.raw else None


def triaged_unit(sample: Sample) -> Labels | None:
    if not sample.raw:
        return None
    lines = map(LineFormat().parse, sample.raw)
    return _batches([_event(line.message, line.unit) for line in lines])


def drain(configuration: str) -> Method:
    def label(sample: Sample) -> Labels:
        miner = Drain(configuration)
        return [miner.add(content) for content in sample.contents]

    return label


METHODS: dict[str, Method] = {
    "triaged": triaged,
    "triaged raw": triaged_raw,
    "triaged raw+unit": triaged_unit,
    "triaged line by line": triaged_single,
    "drain3 same masks": drain("same"),
    "drain3 usual masks": drain("usual"),
    "drain3 unmasked": drain("plain"),
}


def measure(samples: Sequence[Sample]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
    """One row per sample and method; one row of means per method."""
    rows: list[dict[str, Cell]] = []
    means: list[dict[str, Cell]] = []
    for name, method in METHODS.items():
        scores = []
        for sample in samples:
            labels = method(sample)
            if labels is None:
                continue
            score = accuracy(labels, sample.truth)
            scores.append(score)
            rows.append(
                {
                    "sample": sample.name,
                    "method": name,
                    "GA": round(score.ga, 4),
                    "FGA": round(score.fga, 4),
                    "groups": score.found,
                    "true": score.true,
                    "lines": len(labels),
                }
            )
        if scores:
            means.append(
                {
                    "method": name,
                    "GA": round(sum(score.ga for score in scores) / len(scores), 4),
                    "FGA": round(sum(score.fga for score in scores) / len(scores), 4),
                    "least GA": round(min(score.ga for score in scores), 4),
                    "samples": len(scores),
                }
            )
    rows.sort(key=lambda row: str(row["sample"]))
    return rows, means


def main() -> None:
    parser = argparse.ArgumentParser(description="Grouping accuracy beside drain3.")
    parser.add_argument(
        "folder", nargs="?", help="folder with NAME.log and NAME.log_structured.csv"
    )
    samples = load(folder(parser.parse_args().folder))
    rows, means = measure(samples)
    report("grouping accuracy by sample", rows)
    report("grouping accuracy, means", means, notes=("bars: GA at least 0.90, FGA at least 0.85",))


if __name__ == "__main__":
    main()
