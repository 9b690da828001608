"""A few facts about the host, for every case: cheap to read, never a reason to wait."""

from __future__ import annotations

import asyncio
import os
import platform
import time

import psutil

from daemon.tools.words import duration, size

_SECONDS = 2.0


async def host_facts() -> tuple[tuple[str, str], ...]:
    """Host, uptime, load, memory and the fullest filesystem, as (name, value)."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await asyncio.to_thread(_read)
    except (TimeoutError, OSError):
        return (("host", platform.node()),)


def _read() -> tuple[tuple[str, str], ...]:
    memory = psutil.virtual_memory()
    facts = [
        ("host", platform.node()),
        ("uptime", duration(time.time() - psutil.boot_time())),
        ("load", f"{os.getloadavg()[0]:.2f} on {psutil.cpu_count() or 1} processors"),
        ("memory available", f"{size(memory.available)} of {size(memory.total)}"),
    ]
    root = os.statvfs("/")
    usable = (root.f_blocks - root.f_bfree + root.f_bavail) or 1
    used = 100 * (root.f_blocks - root.f_bfree) / usable
    facts.append(("disk /", f"{used:.0f}% used, {size(root.f_bavail * root.f_frsize)} free"))
    return tuple(facts)
