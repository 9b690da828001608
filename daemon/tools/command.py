"""Runs a read-only program: an argument vector, a deadline, bounded output, no shell."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import subprocess
from asyncio.subprocess import Process, SubprocessStreamProtocol
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
    transport, process = await _started(argv)
    whole = False
    try:
        async with asyncio.timeout(timeout):
            raw, cut = await _read(process, limit)
            if cut:
                _kill(process)
            status = await process.wait()
            whole = not cut
    except TimeoutError:
        raise ToolError(f"{argv[0]} did not finish within {timeout:g} s.") from None
    finally:
        if not whole:
            _kill(process)
            transport.close()
            await asyncio.shield(process.wait())
        transport.close()
    return Output(text=raw.decode("utf-8", errors="replace"), status=status, cut=cut)


async def _started(argv: Sequence[str]) -> tuple[asyncio.SubprocessTransport, Process]:
    """What asyncio.create_subprocess_exec does, but with the transport in hand (a grandchild that
    keeps the pipe open must not keep it open for us), and with an end for the whole group when the
    caller is cancelled in the middle of it."""
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=65_536, loop=loop),
            *argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )
    )
    try:
        transport, protocol = await asyncio.shield(starting)
    except asyncio.CancelledError:
        transport, protocol = await starting
        process = Process(transport, protocol, loop)
        _kill(process)
        transport.close()
        await process.wait()
        raise
    return transport, Process(transport, protocol, loop)


async def _read(process: Process, limit: int) -> tuple[bytes, bool]:
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


def _kill(process: Process) -> None:
    """The whole group, whether or not its leader has ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
