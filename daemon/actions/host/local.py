"""The host that triaged runs on: satisfies `daemon.actions.host.host.Host`."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.actions.errors import HostUnavailableError
from daemon.actions.host.host import (
    Helper,
    Limits,
    MountState,
    ProcessState,
    ProgramOutput,
    Units,
)
from daemon.actions.host.mounts import read_mounts
from daemon.actions.host.processes import read_process, read_processes
from daemon.tools.blocking import apart
from daemon.tools.command import run_program
from daemon.tools.toolbox import ToolError

_STATVFS_SECONDS = 5.0


class LocalHost:
    """Measures here, and acts through `units` and `helper` alone. `proc` is where the kernel shows
    itself."""

    def __init__(
        self,
        *,
        units: Units,
        helper: Helper,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        proc: Path = Path("/proc"),
    ) -> None:
        self._units = units
        self._helper = helper
        self._limits = limits
        self._clock = clock
        self._proc = proc

    @property
    def units(self) -> Units:
        return self._units

    @property
    def helper(self) -> Helper:
        return self._helper

    @property
    def limits(self) -> Limits:
        return self._limits

    async def processes(self) -> Sequence[ProcessState]:
        """Satisfies `Host`. Processes that end meanwhile are left out."""
        return await asyncio.to_thread(read_processes, self._proc)

    async def process(self, pid: int) -> ProcessState | None:
        """Satisfies `Host`."""
        return await asyncio.to_thread(read_process, self._proc, pid)

    async def mounts(self) -> Sequence[MountState]:
        """Satisfies `Host`. A file system that does not answer has no figures."""
        return await read_mounts(self._proc)

    async def free_bytes(self, path: str) -> int:
        """Satisfies `Host`."""
        try:
            async with asyncio.timeout(_STATVFS_SECONDS):
                found = await apart(functools.partial(os.statvfs, path))
        except TimeoutError as error:
            message = f"the file system of {path!r} does not answer"
            raise HostUnavailableError(message) from error
        except (OSError, ValueError, ToolError) as error:
            message = f"the free space of {path!r} cannot be measured: {error}"
            raise HostUnavailableError(message) from error
        return found.f_bavail * found.f_frsize

    async def read(self, program: Sequence[str], *, timeout: float = 20.0) -> ProgramOutput:
        """Satisfies `Host`."""
        try:
            output = await run_program(program, timeout=timeout)
        except (ToolError, OSError) as error:
            raise HostUnavailableError(str(error)) from error
        return ProgramOutput(status=output.status, text=output.text)

    def now(self) -> float:
        return self._clock()
