"""Processes: who uses the most, and one of them in detail.

A process is named by whoever starts it, so what is said of processes is hostile text.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import psutil

from daemon.tools.toolbox import ToolError
from daemon.tools.words import clock, duration, size
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

_SAMPLE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A process and what it uses: percent of one processor, resident bytes."""

    pid: int
    name: str
    user: str
    cpu_percent: float
    memory: int


async def top_processes(*, by: str = "cpu") -> ToolResult:
    """The busiest or the largest processes."""
    found = await asyncio.to_thread(_sample)
    if by == "memory":
        ranked = sorted(found, key=lambda p: -p.memory)
        words = [f"{p.name} (pid {p.pid}) {size(p.memory)}" for p in ranked]
        what = "Most memory"
    else:
        ranked = sorted(found, key=lambda p: (-p.cpu_percent, -p.memory))
        words = [f"{p.name} (pid {p.pid}) {p.cpu_percent:.0f}%" for p in ranked]
        what = "Most processor time"
    summary = f"{what}: {'; '.join(words[:5])}. {len(found)} processes in all."
    data = {"by": by, "processes": [dataclasses.asdict(p) for p in ranked[:25]]}
    return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)


async def process_detail(*, process: str) -> ToolResult:
    """One process by pid, or the largest of a name with how many there are."""
    wanted = process.strip().removeprefix("pid").strip()
    found = await asyncio.to_thread(_matching, wanted)
    if not found:
        what = f"with pid {wanted}" if wanted.isdigit() else f"named {wanted[:60]!r}"
        raise ToolError(f"There is no process {what} on this host.")
    facts = await asyncio.to_thread(_facts, found[0])
    more = ""
    if len(found) > 1:
        total = sum(_resident(p) for p in found)
        more = f" {len(found)} processes have this name, with {size(total)} in all."
    summary = (
        f"{facts['name']} (pid {facts['pid']}) of user {facts['user']}, {facts['status']}, started "
        f"{clock(facts['started'])} ({duration(time.time() - facts['started'])} ago), "
        f"memory {size(facts['memory'])}, {facts['threads']} threads, "
        f"{facts['open_files']} open files, command {facts['command'][:120]}.{more}"
    )
    return ToolResult(ok=True, summary=summary, data=facts, provenance=Provenance.TEXT)


def _sample() -> list[Busy]:
    """Two looks half a second apart; processes that ended in between are left out."""
    seen = {}
    for process in psutil.process_iter():
        try:
            times = process.cpu_times()
            seen[process.pid] = (process, times.user + times.system, time.monotonic())
        except psutil.Error:
            continue
    time.sleep(_SAMPLE_SECONDS)
    found = []
    for process, before, at in seen.values():
        try:
            with process.oneshot():
                times = process.cpu_times()
                spent = times.user + times.system - before
                found.append(
                    Busy(
                        pid=process.pid,
                        name=process.name(),
                        user=process.username(),
                        cpu_percent=round(100 * spent / (time.monotonic() - at), 1),
                        memory=process.memory_info().rss,
                    )
                )
        except (psutil.Error, KeyError):
            continue
    return found


def _matching(wanted: str) -> list[psutil.Process]:
    if wanted.isascii() and wanted.isdigit():
        try:
            return [psutil.Process(int(wanted))]
        except (psutil.Error, OverflowError):
            return []
    low = wanted.lower()
    exact, partial = [], []
    for process in psutil.process_iter(["name"]):
        name = (process.info["name"] or "").lower()
        if name == low:
            exact.append(process)
        elif low and low in name:
            partial.append(process)
    return sorted(exact or partial, key=_resident, reverse=True)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _facts(process: psutil.Process) -> dict[str, Any]:
    try:
        with process.oneshot():
            facts: dict[str, Any] = {
                "pid": process.pid,
                "name": process.name(),
                "status": process.status(),
                "started": process.create_time(),
                "memory": process.memory_info().rss,
                "threads": process.num_threads(),
                "parent": process.ppid(),
            }
            facts["user"] = _or_unknown(process.username)
            facts["open_files"] = _or_unknown(process.num_fds)
            # Arguments may hold secrets: only the program is shown.
            facts["command"] = _or_unknown(process.exe)
    except psutil.Error as error:
        raise ToolError(f"Process {process.pid} ended while it was looked at.") from error
    return facts


def _or_unknown(read: Any) -> Any:
    try:
        found = read()
    except (psutil.Error, KeyError, OSError):
        return "unknown"
    return "unknown" if found in (None, "") else found
