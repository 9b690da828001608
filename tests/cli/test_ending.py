"""The process ends although something in it does not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

SCRIPT = """
import asyncio, concurrent.futures, contextlib, sys, time
from daemon.cli.ending import run_to_the_end

async def deaf():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

own = concurrent.futures.ThreadPoolExecutor(1)

async def main():
    kept = {work}
    await asyncio.sleep(0.1)
    {end}

code = run_to_the_end(main(), flush=lambda: print("flushed", flush=True), seconds=0.5)
print("ended", flush=True)
sys.exit(code)
"""
THREAD = "asyncio.create_task(asyncio.to_thread(time.sleep, 60))"


def ended(work: str, end: str = "return 3") -> tuple[int, str, float]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(work=work, end=end)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, time.monotonic() - began


@pytest.mark.parametrize(
    "work", [THREAD, "asyncio.create_task(deaf())", "own.submit(time.sleep, 60)"]
)
def test_what_hangs_holds_the_exit_for_seconds_only(work: str) -> None:
    code, said, seconds = ended(work)
    assert code == 3
    assert "flushed" in said
    assert "did not end" in said
    assert seconds < 15


def test_a_failure_is_told_although_a_thread_hangs() -> None:
    code, said, _ = ended(THREAD, "raise OSError('the disk is full')")
    assert code == 1
    assert "the disk is full" in said


def test_nothing_hangs_nothing_is_said() -> None:
    code, said, _ = ended("None")
    assert (code, said) == (3, "ended\n")
