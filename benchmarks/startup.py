"""Seconds to ready, idle CPU and memory of `triaged run` with the bundled models.

    python -m benchmarks.startup [--rounds R] [--idle SECONDS]

Started R times over a fresh state folder and R times over an existing one, in turn. Everything is
the default except the ports: sources watch this host. After the last start it is left alone, and
what it uses meanwhile is measured. CPU is in % of one core. PSS divides shared pages among those
who share them: PostgreSQL's processes share their buffers, so the sum of their RSS says too much.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.load import bar_note, load_note
from benchmarks.table import Cell, report
from benchmarks.watched import Watched, cpu_seconds, daemon, kind_of, megabytes, scratch_folder

BAR_START = 5.0
BAR_IDLE = 1.0
BAR_RSS = 200.0
SETTLE = 20.0
"""Seconds after ready until idleness is measured: sources take their first look before."""


def idle(watched: Watched, *, seconds: float) -> list[dict[str, Cell]]:
    """A row for the daemon process, each kind of child, and everything together."""
    groups = {"triaged": [watched.process]}
    for child in watched.children():
        groups.setdefault(kind_of(child), []).append(child)
    before, began = cpu_seconds(groups), time.perf_counter()
    time.sleep(seconds)
    after, elapsed = cpu_seconds(groups), time.perf_counter() - began
    rows: list[dict[str, Cell]] = []
    for group, members in groups.items():
        sizes = [megabytes(member) for member in members if member.is_running()]
        rows.append(
            {
                "what": group,
                "processes": len(sizes),
                "idle CPU %": round(100 * (after[group] - before[group]) / elapsed, 3),
                "RSS MB": round(sum(rss for rss, _ in sizes), 1),
                "PSS MB": round(sum(pss for _, pss in sizes), 1),
            }
        )
    together: dict[str, Cell] = {"what": "everything"}
    for column in ("processes", "idle CPU %", "RSS MB", "PSS MB"):
        cells = [row[column] for row in rows]
        together[column] = sum(cell for cell in cells if isinstance(cell, (int, float)))
    rows.append(together)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Start, idle CPU and memory of the daemon.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds left alone")
    options = parser.parse_args()
    fresh: list[float] = []
    existing: list[float] = []
    rows: list[dict[str, Cell]] = []
    for number in range(options.rounds):
        with scratch_folder("start") as state:
            with daemon(state) as watched:
                fresh.append(watched.seconds)
            with daemon(state) as watched:
                existing.append(watched.seconds)
                if number == options.rounds - 1:
                    time.sleep(SETTLE)
                    rows = idle(watched, seconds=options.idle)
    starts = {"fresh state": fresh, "existing state": existing}
    report(
        f"Start to ready, median of {options.rounds} rounds",
        [
            {
                "what": what,
                "seconds": round(statistics.median(taken), 2),
                "best": round(min(taken), 2),
                "worst": round(max(taken), 2),
                "bar": BAR_START,
            }
            for what, taken in starts.items()
        ],
        notes=(
            *(bar_note(w, statistics.median(t), BAR_START, unit=" s") for w, t in starts.items()),
            load_note(),
        ),
    )
    own, everything = rows[0], rows[-1]
    report(
        f"Left alone for {options.idle:g} s, {SETTLE:g} s after ready",
        rows,
        facts={"bar idle CPU %": BAR_IDLE, "bar RSS MB": BAR_RSS},
        notes=(
            bar_note("idle CPU of the daemon", _figure(own["idle CPU %"]), BAR_IDLE, unit=" %"),
            bar_note(
                "idle CPU of everything", _figure(everything["idle CPU %"]), BAR_IDLE, unit=" %"
            ),
            bar_note("RSS of the daemon", _figure(own["RSS MB"]), BAR_RSS, unit=" MB"),
            load_note(),
        ),
    )


def _figure(cell: Cell) -> float:
    if not isinstance(cell, (int, float)):
        raise TypeError(f"{cell!r} is not a figure")
    return float(cell)


if __name__ == "__main__":
    main()
