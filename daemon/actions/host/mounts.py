"""What is mounted, and how much of it is free."""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from daemon.actions.host.host import MountState
from daemon.tools.blocking import apart
from daemon.tools.toolbox import ToolError

_ANSWER_SECONDS = 2.0
_MOST = 512
_ASKING_MOUNTS = frozenset({"autofs"})
"""To ask one of these mounts something."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


async def read_mounts(proc: Path) -> Sequence[MountState]:
    """As they cover one another: of several on one point the last, which is the one that is seen.
    One that does not answer has `total` and `free` 0."""
    read = functools.partial((proc / "self" / "mountinfo").read_text, "utf-8", "surrogateescape")
    mounts = {mount.point: mount for mount in parse_mounts(await asyncio.to_thread(read))}
    return [await _measured(mount) for mount in list(mounts.values())[:_MOST]]


def parse_mounts(mountinfo: str) -> list[MountState]:
    """From the form of /proc/self/mountinfo (proc(5)); without sizes. Lines that are none are left
    out. The options are the file system's own: a service that systemd lets write nowhere sees
    every mount read-only."""
    found = []
    for line in mountinfo.split("\n"):
        head, separator, tail = line.partition(" - ")
        fields, of_system = head.split(" "), tail.split(" ")
        if not separator or len(fields) < 6 or len(of_system) < 3:
            continue
        found.append(
            MountState(
                point=_plain(fields[4]),
                device=_plain(of_system[1]),
                type=of_system[0],
                options=tuple(of_system[2].split(",")),
                total=0,
                free=0,
            )
        )
    return found


async def _measured(mount: MountState) -> MountState:
    if mount.type in _ASKING_MOUNTS:
        return mount
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            found = await apart(functools.partial(os.statvfs, mount.point))
    except (OSError, ValueError, TimeoutError, ToolError):
        return mount
    return MountState(
        point=mount.point,
        device=mount.device,
        type=mount.type,
        options=mount.options,
        total=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
    )


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), field)
