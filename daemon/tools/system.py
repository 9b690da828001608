"""The host at a glance: overview, memory, processor."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from pathlib import Path

import psutil

from daemon.tools.units import count_failed
from daemon.tools.words import duration, size
from tiers.contracts import ToolResult


async def system_overview() -> ToolResult:
    """Name, system, uptime, load, memory and failed units."""
    memory = psutil.virtual_memory()
    load = os.getloadavg()
    cores = psutil.cpu_count() or 1
    uptime = time.time() - psutil.boot_time()
    failed = await count_failed()
    units = "units cannot be asked" if failed is None else f"{failed} failed units"
    name, system, kernel = platform.node(), _system_name(), platform.release()
    summary = (
        f"{name} runs {system} with kernel {kernel}, up {duration(uptime)}; "
        f"load {load[0]:.2f} on {cores} processors; "
        f"memory {size(memory.total - memory.available)} of {size(memory.total)} used; {units}."
    )
    data = {
        "host": name,
        "system": system,
        "kernel": kernel,
        "uptime_seconds": int(uptime),
        "load": load,
        "processors": cores,
        "memory_total": memory.total,
        "memory_available": memory.available,
        "failed_units": failed,
    }
    return ToolResult(ok=True, summary=summary, data=data)


async def memory_usage() -> ToolResult:
    """Memory, swap and pressure."""
    memory = psutil.virtual_memory()
    swap = psutil.swap_memory()
    used = memory.total - memory.available
    swap_words = (
        f"swap {size(swap.used)} of {size(swap.total)} used ({swap.percent:.0f}%)"
        if swap.total
        else "there is no swap"
    )
    pressure = _pressure("memory")
    pressure_words = "" if pressure is None else f"; memory pressure {pressure:.1f}%"
    summary = (
        f"Memory: {size(used)} of {size(memory.total)} used ({100 * used / memory.total:.0f}%), "
        f"{size(memory.available)} available, {size(memory.cached)} cached; "
        f"{swap_words}{pressure_words}."
    )
    data = {
        "total": memory.total,
        "used": used,
        "available": memory.available,
        "cached": memory.cached,
        "swap_total": swap.total,
        "swap_used": swap.used,
        "pressure_percent": pressure,
    }
    return ToolResult(ok=True, summary=summary, data=data)


async def cpu_load() -> ToolResult:
    """Load averages, processors, use over half a second, and pressure."""
    await asyncio.to_thread(psutil.cpu_percent, None)
    await asyncio.sleep(0.5)
    times = psutil.cpu_times_percent(None)
    load = os.getloadavg()
    cores = psutil.cpu_count() or 1
    pressure = _pressure("cpu")
    pressure_words = "" if pressure is None else f"; processor pressure {pressure:.1f}%"
    summary = (
        f"Load {load[0]:.2f}, {load[1]:.2f}, {load[2]:.2f} (1, 5, 15 min) on {cores} processors; "
        f"processor {100 - times.idle:.0f}% busy ({times.user:.0f}% user, {times.system:.0f}% "
        f"system, {times.iowait:.0f}% waiting for disks){pressure_words}."
    )
    data = {
        "load": load,
        "processors": cores,
        "busy_percent": round(100 - times.idle, 1),
        "user_percent": times.user,
        "system_percent": times.system,
        "iowait_percent": times.iowait,
        "pressure_percent": pressure,
    }
    return ToolResult(ok=True, summary=summary, data=data)


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _pressure(resource: str) -> float | None:
    """The "some" share of the last minute in percent; None where the kernel has no PSI."""
    try:
        first = Path(f"/proc/pressure/{resource}").read_text(encoding="ascii").splitlines()[0]
        return float(first.split("avg60=")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None
