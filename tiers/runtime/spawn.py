"""Starts and ends one llama-server process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from tiers.nofollow import no_follow
from tiers.runtime import child
from tiers.runtime.binary import Binary
from tiers.runtime.environment import kept_environment
from tiers.runtime.flags import ServerFlags
from tiers.runtime.ownership import MARK, Mark

_TERM_SECONDS = 3.0
_KILL_SECONDS = 5.0
# Web pages of elsewhere have no business here. By environment, because older builds end at
# arguments that they do not know.
ONLY_LOCAL_PAGES = {"LLAMA_ARG_CORS_ORIGINS": "localhost"}


def command(binary: Binary, flags: ServerFlags, *, parent: int | None = None) -> list[str]:
    """The argument vector: our small program, which becomes the server and ends with the process
    `parent`, this one without."""
    begin = [sys.executable, "-I", child.__file__, str(parent or os.getpid())]
    if binary.path is None:
        return [*begin, "wheel", json.dumps(flags.wheel_parameters())]
    known = binary.capabilities.flags if binary.capabilities is not None else None
    return [*begin, "exec", str(binary.path), *flags.argv(known)]


async def spawn(
    *, binary: Binary, flags: ServerFlags, mark: Mark, log: Path, api_key: str | None = None
) -> asyncio.subprocess.Process:
    """Starts the server in a session of its own, its output appended to `log`.

    Call it from the thread that lives as long as the daemon: the kernel reports the parent's
    death when the *thread* that started the child ends.
    """
    environment = kept_environment() | {MARK: mark.text(), **ONLY_LOCAL_PAGES}
    if api_key is not None:  # not an argument: those are seen by every user
        environment["LLAMA_API_KEY"] = api_key
    appending = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    output = await asyncio.to_thread(no_follow, log, appending)
    try:
        return await asyncio.create_subprocess_exec(
            *command(binary, flags),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the daemon, which stops servers in its order
            cwd="/",
            env=environment,
        )
    finally:
        os.close(output)


async def end(process: asyncio.subprocess.Process, *, gently: bool = True) -> None:
    """Ends the server and whatever it started, and reaps it. A hung one ignores SIGTERM."""
    steps = [(signal.SIGTERM, _TERM_SECONDS)] if gently else []
    for what, seconds in [*steps, (signal.SIGKILL, _KILL_SECONDS)]:
        # The group's number is the leader's: valid at least until the leader is reaped.
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, what)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            continue
        return
