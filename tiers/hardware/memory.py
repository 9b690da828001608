"""Main memory and swap."""

from __future__ import annotations

from pathlib import Path

from tiers.hardware.cgroups import Limits
from tiers.hardware.facts import Memory
from tiers.hardware.files import number_in, text_at


def read_memory(root: Path = Path("/"), *, limits: Limits | None = None) -> Memory:
    """From `/proc/meminfo` and the cgroups' limits. Raises ValueError where there is no
    `/proc/meminfo`: without it nothing can be planned."""
    found: dict[str, int] = {}
    for line in (text_at(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        kib = number_in(value.split()[0] if value.split() else None)
        if kib is not None:
            found[name] = kib * 1024
    if "MemTotal" not in found:
        raise ValueError(f"{root / 'proc/meminfo'} does not say how much memory there is")
    limits = limits or Limits()
    return Memory(
        total=found["MemTotal"],
        available=found.get("MemAvailable", found.get("MemFree", 0)),
        swap_total=found.get("SwapTotal", 0),
        swap_free=found.get("SwapFree", 0),
        limit=limits.memory,
        limit_used=limits.memory_used,
    )
