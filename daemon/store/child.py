"""Processes of the embedded PostgreSQL: started as another user, handed folders, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.store import launch
from daemon.store.account import Account, reachable
from daemon.store.cluster import Cluster

_CUT_SECONDS = 5.0
_STALE_SECONDS = 10.0
"""How long a server that a dead daemon left may take to stop before it is cut short."""


@contextlib.contextmanager
def handed_over(
    account: Account, *folders: Path, by_path: bool = True
) -> Iterator[tuple[list[str], list[int]]]:
    """How a child that runs as `account` names `folders`, and the descriptors that it inherits.

    By path where it can go there, else (or with `by_path` false) through the descriptor: following
    `/proc/self/fd/N` asks for no right on the folders above.
    """
    paths: list[str] = []
    descriptors: list[int] = []
    try:
        for folder in folders:
            if by_path and reachable(folder, account):
                paths.append(str(folder))
            else:
                descriptors.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
                paths.append(f"/proc/self/fd/{descriptors[-1]}")
        yield paths, descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def spawn(
    program: Sequence[str], *, account: Account, descriptors: Sequence[int], log: Path
) -> asyncio.subprocess.Process:
    """Starts `program` as `account`, its output appended to `log`.

    Call it from the thread that lives as long as the process shall: the kernel sends the signal
    of the parent's death when the *thread* that started it ends.
    """
    uid, gid = (account.uid, account.gid) if account.drop else (-1, -1)
    # Only for us: it may quote the rows that PostgreSQL refused.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(log, flags, 0o600), "ab") as output:
        os.fchmod(output.fileno(), 0o600)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launch.__file__),
            *(str(uid), str(gid), str(int(signal.SIGINT))),
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=descriptors,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )


async def end(process: asyncio.subprocess.Process, *, stop_seconds: float) -> None:
    """Ends a server of ours: cleanly within the deadline, else by force."""
    for what, seconds in (
        (signal.SIGINT, stop_seconds),  # fast: roll back, checkpoint, end
        (signal.SIGQUIT, _CUT_SECONDS),  # immediate: recovered from its log at the next start
        (signal.SIGKILL, _CUT_SECONDS),
    ):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(what)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            continue
        return


def end_by_pid(pid: int, cluster: Cluster) -> bool:
    """Ends a server that is not our child. True when it is gone. Blocks for seconds at worst."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not cluster.is_ours(pid):  # asked again now that the number cannot change its owner
            return True
        for what, seconds in (
            (signal.SIGINT, _STALE_SECONDS),
            (signal.SIGQUIT, _CUT_SECONDS),
            (signal.SIGKILL, _CUT_SECONDS),
        ):
            try:
                signal.pidfd_send_signal(handle, what)
            except ProcessLookupError:
                return True
            if select.select([handle], [], [], seconds)[0]:
                return True
        return False
    finally:
        os.close(handle)
