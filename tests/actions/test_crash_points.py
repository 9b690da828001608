"""Killed at each step between the request and what was learned: nothing happens twice, and nothing
is forgotten."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.store import ledger
from daemon.store.pool import Database

COMMITS = ("request", "decision", "claim", "intent", "started", "result")
POINTS = [
    "none",
    *(f"{when} commit {n}" for n in range(1, len(COMMITS) + 1) for when in ("in", "after")),
    "find",
    "ready",
    "before",
    "before the effect",
    "after the effect",
    "check",
]
LOST = {"in commit 1"}
"""Killed before the request was committed: whoever asked was told nothing, and asks again."""
NOT_RUN = {"after commit 5", "before the effect"}
"""Begun by the ledger, not on the host: never run again, whatever was lost."""


async def lives(asked: dict[str, object], *, seconds: float) -> dict[str, dict[str, Any]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("crash_child.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(seconds):
        out, problems = await child.communicate(json.dumps(asked).encode())
    assert child.returncode == 0, problems.decode()
    found: dict[str, dict[str, Any]] = json.loads(out.splitlines()[-1])
    return found


async def test_killed_at_each_step(pool: Database, database: str, tmp_path: Path) -> None:
    asked = {"conninfo": database, "folder": str(tmp_path), "points": POINTS}
    found = await lives(asked, seconds=110)
    for point in POINTS:
        one = found[point]
        assert one["died"] == (0 if point == "none" else -signal.SIGKILL), point
        assert one["second"] == 0, point
        if point in LOST:
            assert (one["states"], one["runs"], one["kinds"]) == ([], 0, []), point
            continue
        ran = 0 if point in NOT_RUN else 1
        assert one["states"] == ["failed" if point in NOT_RUN else "done"], point
        assert one["runs"] == ran, point
        assert one["learned"] == 1, point
        for kind in ("action_request", "action_decision", "action_started", "action_result"):
            assert one["kinds"].count(kind) == 1, (point, kind)
        assert "action_intent" in one["kinds"], point
    assert (await ledger.verify(pool)).holds


@pytest.mark.slow
async def test_killed_a_thousand_times_at_random(
    pool: Database, database: str, tmp_path: Path
) -> None:
    asked = {
        "conninfo": database, "folder": str(tmp_path), "random": 320, "seed": 7, "seconds": 0.11
    }  # fmt: skip
    found = await lives(asked, seconds=1_500)
    assert sum(one["died"] for one in found.values()) >= 1_000
    for target, one in found.items():
        assert one["second"] == 0, target
        assert one["runs"] <= 1, target
        assert one["states"] in ([], ["done"], ["failed"]), (target, one)
        assert one["learned"] == len(one["states"]), (target, one)
        assert one["kinds"].count("action_result") == len(one["states"]), (target, one)
        if one["states"] == ["done"]:
            assert one["runs"] == 1, target
        if one["states"] in ([], ["failed"]):
            assert one["runs"] == 0, (target, one)
    assert (await ledger.verify(pool)).holds
