"""Measures memory pressure: `/proc/meminfo`, cgroups, PSI, and GPUs through NVML."""

from __future__ import annotations

from pathlib import Path

from tiers.hardware import nvidia
from tiers.hardware.cgroups import read_limits
from tiers.hardware.files import text_at
from tiers.hardware.memory import read_memory
from tiers.pressure.levels import Pressure


class PressureReader:
    """Looks once per call; takes under a millisecond without a GPU. Raises ValueError where
    `/proc` does not tell of memory."""

    def __init__(self, *, root: Path = Path("/"), gpus: bool = False) -> None:
        """`gpus`: whether models are on NVIDIA GPUs, whose memory is then looked at too."""
        self._root = root
        self._gpus = gpus

    def __call__(self) -> Pressure:
        memory = read_memory(self._root, limits=read_limits(self._root))
        some, full = _stalls(self._root)
        return Pressure(
            available=memory.usable,
            capacity=memory.capacity,
            swap_used=memory.swap_total - memory.swap_free,
            stall_some=some,
            stall_full=full,
            gpu_free=_gpu_free() if self._gpus else None,
        )


def _stalls(root: Path) -> tuple[float | None, float | None]:
    """The ten-second averages of `/proc/pressure/memory`; None for a kernel without PSI."""
    found: dict[str, float] = {}
    for line in (text_at(root / "proc/pressure/memory") or "").splitlines():
        kind, *fields = line.split()
        for field in fields:
            name, _, value = field.partition("=")
            if name == "avg10":
                try:
                    found[kind] = float(value)
                except ValueError:
                    continue
    return found.get("some"), found.get("full")


def _gpu_free() -> int | None:
    gpus, _ = nvidia.read_gpus()
    return min((gpu.free for gpu in gpus if gpu.free is not None), default=None)
