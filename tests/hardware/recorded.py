"""Machines as their own files describe them, laid out in a temporary folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def laid_out(root: Path, files: Mapping[str, str]) -> Path:
    """Writes each file below `root`; values end without a newline."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


def processors(
    count: int, *, siblings: int = 1, sockets: int = 1, flags: str = "fpu sse4_2 avx avx2 fma f16c"
) -> dict[str, str]:
    """`count` hardware threads, `siblings` to a core; numbered as Linux does it on x86: first one
    thread of every core, then the second ones."""
    cores = count // siblings
    files = {"sys/devices/system/cpu/online": f"0-{count - 1}"}
    lines = []
    for number in range(count):
        core = number % cores
        topology = f"sys/devices/system/cpu/cpu{number}/topology"
        files[f"{topology}/core_id"] = str(core % (cores // sockets))
        files[f"{topology}/physical_package_id"] = str(core // (cores // sockets))
        same = ",".join(str(core + cores * turn) for turn in range(siblings))
        files[f"{topology}/thread_siblings_list"] = same
        lines.append(
            f"processor\t: {number}\nmodel name\t: Some CPU  @ 3.00GHz\nflags\t\t: {flags}"
        )
    files["proc/cpuinfo"] = "\n\n".join(lines)
    return files


def memory(total_gib: float, available_gib: float, *, swap_gib: float = 0) -> dict[str, str]:
    kib = 1024 * 1024
    return {
        "proc/meminfo": (
            f"MemTotal:       {int(total_gib * kib)} kB\n"
            f"MemFree:        {int(available_gib * kib / 2)} kB\n"
            f"MemAvailable:   {int(available_gib * kib)} kB\n"
            f"SwapTotal:      {int(swap_gib * kib)} kB\n"
            f"SwapFree:       {int(swap_gib * kib)} kB"
        )
    }
