"""One reading of the host: psutil, /proc and /sys, each value by name and target.

Blocking, but only on kernel memory (no disk, no network): a few milliseconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

import psutil


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """`value` is in the metric's own unit (mostly percent); `detail` adds words to its event."""

    name: str
    target: str
    value: float
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Counters:
    """What only its growth says something about. None: this kernel does not count it."""

    oom_kills: int | None
    cpu_busy: float
    cpu_total: float


class Probes:
    """Reads the host. `proc` is replaced in tests only."""

    def __init__(self, *, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._cores = os.cpu_count() or 1

    def fast(self) -> list[Reading]:
        """What is cheap and moves quickly."""
        readings = [self._load(), self._memory(), *self._swap(), *self._pressure()]
        readings += self._file_descriptors()
        readings += self._tasks()
        return readings

    def slow(self) -> list[Reading]:
        """What costs more or moves slowly: temperatures, zombies."""
        return [*self._temperatures(), Reading("zombies", "", float(self._count_zombies()))]

    def counters(self) -> Counters:
        times = psutil.cpu_times()
        total = sum(times[:8])  # guest time is part of user time
        idle = times.idle + getattr(times, "iowait", 0.0)
        return Counters(self._oom_kills(), total - idle, total)

    def _load(self) -> Reading:
        one, _, _ = os.getloadavg()
        detail = f"load {one:.1f} on {self._cores} processors"
        return Reading("load", "", one / self._cores, detail)

    def _memory(self) -> Reading:
        memory = psutil.virtual_memory()
        used = 100.0 * (memory.total - memory.available) / memory.total
        return Reading("memory", "", used, f"{size_words(memory.available)} available")

    def _swap(self) -> list[Reading]:
        swap = psutil.swap_memory()
        if not swap.total:
            return []
        return [
            Reading("swap", "", 100.0 * swap.used / swap.total, f"{size_words(swap.free)} free")
        ]

    def _pressure(self) -> list[Reading]:
        readings = []
        for resource in ("cpu", "memory", "io"):
            # Absent before Linux 4.20, and EOPNOTSUPP where it is switched off (psi=0).
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = (self._proc / "pressure" / resource).read_text()
                some = dict(item.split("=") for item in text.splitlines()[0].split()[1:])
                readings.append(Reading(f"pressure_{resource}", "", float(some["avg60"])))
        return readings

    def _file_descriptors(self) -> list[Reading]:
        with contextlib.suppress(OSError, ValueError):
            used, _, most = (self._proc / "sys/fs/file-nr").read_text().split()
            return [Reading("file_descriptors", "", 100.0 * int(used) / int(most), f"{used} open")]
        return []

    def _tasks(self) -> list[Reading]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            tasks = int((self._proc / "loadavg").read_text().split()[3].split("/")[1])
            most = min(
                int((self._proc / "sys/kernel/pid_max").read_text()),
                int((self._proc / "sys/kernel/threads-max").read_text()),
            )
            return [Reading("processes", "", 100.0 * tasks / most, f"{tasks} of {most} tasks")]
        return []

    def _oom_kills(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            for line in (self._proc / "vmstat").read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        return None

    def _count_zombies(self) -> int:
        zombies = 0
        for entry in self._proc.iterdir():
            if entry.name.isdigit():
                # Processes end while we look: no reading is no zombie.
                with contextlib.suppress(OSError, IndexError):
                    # The name may hold spaces and brackets: the state follows the last bracket.
                    zombies += (entry / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
        return zombies

    def _temperatures(self) -> list[Reading]:
        try:
            chips = psutil.sensors_temperatures()
        except (OSError, AttributeError):
            return []
        return [
            Reading("temperature", chip, max(sensor.current for sensor in sensors))
            for chip, sensors in chips.items()
            if sensors
        ]


def size_words(count: float) -> str:
    """Bytes as people write them: "2.1 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
