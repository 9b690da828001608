"""Wheelhouses of releases to come: one with a newer schema, one that does not start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def with_newer_schema(wheelhouse: Path, goal: Path) -> None:
    """A release whose database an older one cannot read."""
    added = "create table newer (number integer primary key);\n"
    _changed(wheelhouse, goal, path="daemon/store/migrations/9999_newer.sql", text=added)


def that_does_not_start(wheelhouse: Path, goal: Path) -> None:
    """A release that ends while it starts."""
    broken = 'raise RuntimeError("this release is broken")\n'
    _changed(wheelhouse, goal, path="daemon/cli/run.py", text=broken)


def _changed(wheelhouse: Path, goal: Path, *, path: str, text: str) -> None:
    shutil.copytree(wheelhouse, goal)
    (wheel,) = (goal / "wheels").glob("triaged-*.whl")
    work = goal / "unpacked"
    tool = [sys.executable, "-m", "zipfile"]
    subprocess.run([*tool, "-e", str(wheel), str(work)], check=True)
    (work / path).write_text(text)
    (record,) = work.glob("*.dist-info/RECORD")
    # Without hash and size, as PEP 376 allows: pip checks neither.
    lines = [line for line in record.read_text().splitlines() if not line.startswith(f"{path},")]
    record.write_text("\n".join([*lines, f"{path},,"]) + "\n")
    wheel.unlink()
    parts = sorted(str(part) for part in work.iterdir())
    subprocess.run([*tool, "-c", str(wheel), *parts], check=True)
    shutil.rmtree(work)
