"""A line is written to a watched file: how long until its incident is in PostgreSQL?

    python -m benchmarks.latency [--incidents N]

The real daemon with the bundled models watches a file. One line after the other is appended, each
of another unit, so that each is a new pattern, a call of the trigger model and an incident of its
own. PostgreSQL is asked every few milliseconds. The model's own time is what the verdict says its
call took; what is left is ours: noticing the line, masking, commit, claim, attaching, commit.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from datetime import datetime
from pathlib import Path

import psycopg

from benchmarks.load import bar_note, load_note
from benchmarks.table import Cell, report
from benchmarks.watched import QUIET, daemon, scratch_folder
from daemon.store.cluster import Cluster

BAR_P99_MS = 300.0
_LOOK_SECONDS = 0.003
_LOST_SECONDS = 30.0
_WARM = 5
"""Incidents before the measured ones: connections and caches of the servers are made by then."""

_CONFIG = """
[sources.files.benchmark]
paths = ["{file}"]
[escalation]
max_new_per_minute = 100000
burst_review = 100000
"""

_INCIDENT = "select 1 from incidents where unit = %s"
_MODEL = """
select v.seconds, v.model from verdicts v join patterns using (fingerprint)
where unit = %s order by v.id limit 1
"""


def line_of(unit: str, *, source: random.Random) -> str:
    """A line that a rule calls critical, so that the verdict is an incident whatever the model
    says."""
    stamp = datetime.now().astimezone().strftime("%b %d %H:%M:%S")
    relation = f"base/{source.randrange(10_000, 99_999)}/{source.randrange(1_000, 9_999)}"
    words = f"invalid page in block {source.randrange(1_000)} of relation {relation}"
    return f"{stamp} db {unit}[{source.randrange(500, 30_000)}]: ERROR:  {words}\n"


def measure(*, incidents: int) -> tuple[list[float], list[float]]:
    """Seconds from writing a line to its incident, and the model's share of each."""
    source = random.Random(5)
    totals: list[float] = []
    models: list[float] = []
    with scratch_folder("latency") as state:
        file = state / "app.log"
        file.touch()
        with (
            daemon(state, config=QUIET + _CONFIG.format(file=file)),
            psycopg.connect(_conninfo(state), autocommit=True) as connection,
            file.open("a", buffering=1) as log,
        ):
            for number in range(_WARM + incidents):
                unit = f"postgres-{number:03}"
                time.sleep(source.uniform(0.05, 0.15))
                line = line_of(unit, source=source)
                began = time.perf_counter()
                log.write(line)
                while connection.execute(_INCIDENT, (unit,)).fetchone() is None:
                    if time.perf_counter() - began > _LOST_SECONDS:
                        raise SystemExit(f"no incident for {line!r} within {_LOST_SECONDS:g} s")
                    time.sleep(_LOOK_SECONDS)
                taken = time.perf_counter() - began
                verdict = connection.execute(_MODEL, (unit,)).fetchone()
                assert verdict is not None, unit
                assert verdict[1] != "rule", "the trigger tier did not answer"
                if number >= _WARM:
                    totals.append(taken)
                    models.append(float(verdict[0]))
    return totals, models


def _conninfo(state: Path) -> str:
    return f"host={Cluster(directory=state / 'postgres').run} dbname=triaged user=triaged"


def main() -> None:
    parser = argparse.ArgumentParser(description="From a written line to its incident.")
    parser.add_argument("--incidents", type=int, default=200)
    options = parser.parse_args()
    totals, models = measure(incidents=options.incidents)
    ours = [total - model for total, model in zip(totals, models, strict=True)]

    def row(what: str, values: list[float]) -> dict[str, Cell]:
        cuts = statistics.quantiles(values, n=100)
        return {
            "what": what,
            "p50 ms": round(1e3 * cuts[49], 1),
            "p90 ms": round(1e3 * cuts[89], 1),
            "p99 ms": round(1e3 * cuts[98], 1),
            "worst ms": round(1e3 * max(values), 1),
        }

    late = 1e3 * statistics.quantiles(ours, n=100)[98]
    report(
        f"A written line to its incident in PostgreSQL, {len(totals)} incidents",
        [row("in all", totals), row("the model", models), row("without the model", ours)],
        facts={"bar p99 ms": BAR_P99_MS},
        notes=(bar_note("p99 without the model", late, BAR_P99_MS, unit=" ms"), load_note()),
    )


if __name__ == "__main__":
    main()
