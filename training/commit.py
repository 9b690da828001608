"""Which commit of this repository something is made by."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str:
    """The commit of this checkout; "unknown" outside one."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 (whichever git the developer has)
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else "unknown"
