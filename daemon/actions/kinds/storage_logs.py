"""Rotating a log now, by the configuration that logrotate has for it."""

from __future__ import annotations

import asyncio
import glob
import re
from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import HostUnavailableError, PreconditionError, TargetError
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target
from daemon.actions.kinds.by_helper import HelperKind, lines

_FOLDER = "/etc/logrotate.d"
_MOST = 200


class RotateLog(HelperKind):
    spec = KindSpec(
        name="rotate_log",
        family="storage",
        target=TargetType.LOG,
        sentence="rotate the logs of logrotate's {target} now",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        precondition=f"{_FOLDER} has a configuration of that name for a log that is not empty, and "
        "the root helper may have it rotated",
        postcondition="each of its logs that was not empty is a new file, or was cut to less",
        timeout=250.0,
        settle=20.0,
    )
    verb = "log-rotate"

    async def find(self, action: Action, host: Host) -> Target:
        names = await lines(host, "ls", "-1", "--", _FOLDER)
        if action.target not in (names or ()):
            raise TargetError(f"{_FOLDER} has no {action.target[:80]!r}")
        return Target(name=action.target, type=TargetType.LOG)

    async def ready(self, action: Action, host: Host) -> None:
        await super().ready(action, host)
        if not any(size for _, size in (await _logs(action.target, host)).values()):
            raise PreconditionError(f"there is no log of {action.target} that is not empty")

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        found = await _logs(action.target, host)
        return {"at": host.now(), "logs": {path: list(log) for path, log in found.items()}}

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"name": action.target})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        now = await _logs(action.target, host)
        filled = {path: log for path, log in before["logs"].items() if log[1]}
        same = [path for path, (inode, size) in filled.items() if _stayed(now, path, inode, size)]
        holds = bool(filled) and not same
        words = f"{same[0]} is the same file as before" if same else "each log is a new file"
        return Check(
            holds=holds,
            final=holds,
            detail=f"of {len(filled)} logs {len(filled) - len(same)} were rotated: {words}",
            measured={"logs": {path: list(log) for path, log in now.items()}},
        )


def _stayed(now: Mapping[str, tuple[int, int]], path: str, inode: int, size: int) -> bool:
    there = now.get(path)
    return there is not None and there[0] == inode and there[1] >= size


async def _logs(name: str, host: Host) -> dict[str, tuple[int, int]]:
    """Inode and size, by path. Raises `HostUnavailableError` where they may not be looked at."""
    text = await lines(host, "cat", "--", f"{_FOLDER}/{name}")
    if text is None:
        raise HostUnavailableError(f"{_FOLDER}/{name} cannot be read")
    patterns = log_patterns("\n".join(text))
    paths = sorted(
        {path for paths in await asyncio.to_thread(_globbed, patterns) for path in paths}
    )
    if not paths:
        return {}
    output = await host.read(("stat", "--format=%i %s %n", "--", *paths[:_MOST]))
    found = {}
    for line in output.text.splitlines():
        if match := re.fullmatch(r"([0-9]+) ([0-9]+) (/.+)", line):
            found[match[3]] = (int(match[1]), int(match[2]))
    return found


def _globbed(patterns: list[str]) -> list[str]:
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})  # noqa: PTH207


def log_patterns(text: str) -> list[str]:
    """The logs that a configuration names: what stands before a brace. Pure."""
    outside = re.sub(r"\{[^}]*\}", "\n{}\n", re.sub(r"(?m)#.*$", "", text))
    patterns: list[str] = []
    waiting: list[str] = []
    for line in outside.splitlines():
        if line.strip() == "{}":
            patterns += waiting
            waiting = []
            continue
        words = re.findall(r'"([^"]+)"|(\S+)', line)
        paths = [quoted or plain for quoted, plain in words]
        waiting = [*waiting, *(path for path in paths if path.startswith("/"))]
    return patterns


KINDS: tuple[Kind, ...] = (RotateLog(),)
