"""Runs benchmarks: each prints a table, and a line of JSON with the bars beside the figures.

    python -m benchmarks [NAME...] [--json] [--samples FOLDER]

Without names all of them, one after the other. With --json only the JSON, a line a table. Each is a
program of its own (`python -m benchmarks.startup --help`) with options of its own. Those that read
public log samples are left out, and named, where there are none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.load import load_note
from benchmarks.samples import folder

SAMPLES_NEEDED = {
    "reduce": True,
    "grouping": True,
    "commit": True,
    "pipeline": True,
    "calls": False,
    "latency": False,
    "startup": False,
    "facade": False,
}
"""In the order in which they run, and whether they can do nothing without samples."""

_SAMPLES_TAKEN = frozenset(name for name, needed in SAMPLES_NEEDED.items() if needed) | {"calls"}


def others() -> tuple[str, ...]:
    """Programs beside the ones above: modules with a `main` of their own."""
    known = {*SAMPLES_NEEDED, "__main__", "__init__"}
    return tuple(
        sorted(
            path.stem
            for path in Path(__file__).parent.glob("*.py")
            if path.stem not in known and '\nif __name__ == "__main__":' in path.read_text()
        )
    )


def run(name: str, samples: Path, *, only_json: bool) -> int:
    """Runs one; returns its exit code."""
    there = any(samples.glob("*_structured.csv"))
    if SAMPLES_NEEDED.get(name, False) and not there:
        print(f"{name}: left out, there are no log samples in {samples}", file=sys.stderr)
        return 0
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    if name in _SAMPLES_TAKEN and there:
        command.append(str(samples))
    if not only_json:
        return subprocess.run(command, check=False).returncode
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith('{"benchmark"'):
            print(json.dumps(json.loads(line) | {"program": name, "load": load_note()}))
    return done.returncode


def main() -> None:
    names = (*SAMPLES_NEEDED, *others())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Runs benchmarks.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="only JSON, a line a table")
    parser.add_argument("--samples", help="folder with log samples; else as benchmarks.samples")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(names)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(names)}")
    samples = folder(options.samples)
    failed = []
    for name in options.names or names:
        if run(name, samples, only_json=options.json) != 0:
            failed.append(name)
        sys.stdout.flush()
    if failed:
        sys.exit(f"benchmarks that ended with an error: {', '.join(failed)}")


if __name__ == "__main__":
    main()
