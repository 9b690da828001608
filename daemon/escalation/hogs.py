"""The processes that use most of the processors or the memory right now, measured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

from daemon.escalation.offers import Hog
from daemon.tools.words import size

_SECONDS = 0.5
_MOST = 2
_LEAST_CPU = 0.5
"""Of one processor: what uses less is no cause of a busy host."""
_LEAST_MEMORY = 0.1
"""Of the host's memory."""


async def find_hogs(metric: str, *, proc: Path = Path("/proc")) -> tuple[Hog, ...]:
    """For the metric cpu, load, memory or swap; nothing for others. The largest first."""
    if metric in ("cpu", "load"):
        before = await asyncio.to_thread(_times, proc)
        began = time.monotonic()
        await asyncio.sleep(_SECONDS)
        after = await asyncio.to_thread(_times, proc)
        return _busiest(before, after, seconds=time.monotonic() - began)
    if metric in ("memory", "swap"):
        return await asyncio.to_thread(_largest, proc)
    return ()


def _busiest(
    before: dict[str, tuple[str, float]], after: dict[str, tuple[str, float]], *, seconds: float
) -> tuple[Hog, ...]:
    shares = sorted(
        (
            ((ticks - before[target][1]) / seconds, target, name)
            for target, (name, ticks) in after.items()
            if target in before
        ),
        reverse=True,
    )
    return tuple(
        Hog(target=target, name=name, figure=f"{share * 100:.0f}% of a processor")
        for share, target, name in shares[:_MOST]
        if share >= _LEAST_CPU
    )


def _largest(proc: Path) -> tuple[Hog, ...]:
    page = os.sysconf("SC_PAGE_SIZE")
    whole = os.sysconf("SC_PHYS_PAGES") * page
    found = []
    for entry in _processes(proc):
        with contextlib.suppress(OSError, ValueError, IndexError):
            name, fields = _stat(entry)
            resident = int((entry / "statm").read_text().split()[1]) * page
            if resident >= _LEAST_MEMORY * whole:
                found.append((resident, f"{entry.name}:{fields[19]}", name))
    return tuple(
        Hog(target=target, name=name, figure=size(resident))
        for resident, target, name in sorted(found, reverse=True)[:_MOST]
    )


def _times(proc: Path) -> dict[str, tuple[str, float]]:
    """Seconds of processor time of each process, by "PID:START"."""
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for entry in _processes(proc):
        with contextlib.suppress(OSError, ValueError, IndexError):
            name, fields = _stat(entry)
            spent = (int(fields[11]) + int(fields[12])) / tick
            found[f"{entry.name}:{fields[19]}"] = (name, spent)
    return found


def _processes(proc: Path) -> list[Path]:
    return [entry for entry in proc.iterdir() if entry.name.isdigit()]


def _stat(entry: Path) -> tuple[str, list[str]]:
    """The name, and the fields of proc(5)'s stat from the third on."""
    text = (entry / "stat").read_text(errors="replace")
    head, _, tail = text.rpartition(")")
    return head.partition("(")[2], tail.split()
