"""Runs a read-only program: an argument vector, a deadline, bounded output, no shell."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
from collections.abc import Sequence

from daemon.tools.toolbox import ToolError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a program printed, cut to the limit, and its exit status."""

    text: str
    status: int
    cut: bool


async def run_program(argv: Sequence[str], *, timeout: float = 8.0, limit: int = 262_144) -> Output:
    """Runs `argv` in the C locale, with stderr joined to stdout.

    Raises `ToolError` when the program is missing or does not finish in time; its whole process
    group is killed then, and whenever the caller is cancelled.
    """
    if shutil.which(argv[0]) is None:
        raise ToolError(f"This host has no {argv[0]}.")
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            raw, cut = await _read(process, limit)
            if cut:
                _kill(process)
            status = await process.wait()
    except TimeoutError:
        raise ToolError(f"{argv[0]} did not finish within {timeout:g} s.") from None
    finally:
        if process.returncode is None:
            _kill(process)
            await asyncio.shield(process.wait())
    return Output(text=raw.decode("utf-8", errors="replace"), status=status, cut=cut)


async def _read(process: asyncio.subprocess.Process, limit: int) -> tuple[bytes, bool]:
    if process.stdout is None:
        raise ToolError("the program's output could not be read")
    parts: list[bytes] = []
    size = 0
    while size < limit:
        part = await process.stdout.read(65_536)
        if not part:
            return b"".join(parts), False
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:limit], True


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
