"""A child process whose output is read: it dies with us, and is ended with its group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from daemon.store import launch

_TERM_SECONDS = 2.0
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
}


async def start(program: Sequence[str], *, buffer: int) -> asyncio.subprocess.Process:
    """Starts `program` (an absolute path and arguments) with both outputs as pipes.

    The kernel ends it when the thread that called ends, even by SIGKILL.
    """
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", launch.__file__),
        *("-1", "-1", str(int(signal.SIGTERM))),
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env=_ENVIRONMENT,
        limit=buffer,
    )


async def run(program: Sequence[str], *, timeout: float) -> tuple[int, bytes, str]:
    """Exit status and both outputs of a short program. Raises `TimeoutError`."""
    process = await start(program, buffer=65_536)
    try:
        async with asyncio.timeout(timeout):
            output, errors = await process.communicate()
    finally:
        await end(process)
    return process.returncode or 0, output, errors.decode(errors="replace").strip()


async def end(process: asyncio.subprocess.Process) -> None:
    """Ends the process and reaps it; does nothing where it has ended."""
    for what, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            # It leads a group of its own once it has become the program; before that, only it.
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, what)
            else:
                process.send_signal(what)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
