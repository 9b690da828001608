"""The processors: names, cores, instruction sets, NUMA, and how much of them is ours."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from tiers.hardware.facts import Processor
from tiers.hardware.files import in_list, number_at, text_at

# Kernel flag to the name that people know, in the order in which they are shown. What is left out
# makes no difference to inference.
_FEATURES = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "f16c": "F16C",
    "fma": "FMA",
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512-VNNI",
    "avx512_bf16": "AVX-512-BF16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimdhp": "FP16",
    "asimddp": "DOTPROD",
    "i8mm": "I8MM",
    "sve": "SVE",
    "sve2": "SVE2",
    "sme": "SME",
}


def read_processor(
    root: Path = Path("/"),
    *,
    quota: float | None = None,
    architecture: str | None = None,
    usable: int | None = None,
) -> Processor:
    """`quota` is what `cgroups.read_limits` found. `architecture` and `usable` (threads that
    affinity leaves) are asked of the running system unless they are given."""
    info = text_at(root / "proc/cpuinfo") or ""
    online = _online(root)
    cores, sockets = _cores_and_sockets(root, online)
    threads = len(online) or 1
    return Processor(
        name=_name(info, root),
        architecture=architecture or platform.machine(),
        sockets=sockets or 1,
        cores=cores or threads,
        threads=threads,
        usable_threads=min(threads, usable or len(os.sched_getaffinity(0))),
        quota=quota,
        features=_features(info),
        numa_nodes=len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or 1,
        big_cores=_big_cores(root, online),
    )


def _online(root: Path) -> set[int]:
    listed = text_at(root / "sys/devices/system/cpu/online")
    if listed:
        return in_list(listed)
    info = text_at(root / "proc/cpuinfo") or ""
    return set(range(sum(line.startswith("processor") for line in info.splitlines())))


def _cores_and_sockets(root: Path, online: set[int]) -> tuple[int, int]:
    """Physical cores and packages among the processors that are on."""
    cores, sockets = set(), set()
    for number in online:
        topology = root / f"sys/devices/system/cpu/cpu{number}/topology"
        package = number_at(topology / "physical_package_id")
        core = number_at(topology / "core_id")
        if package is None or core is None:
            continue
        # Boards without packages say -1.
        sockets.add(package)
        siblings = text_at(topology / "thread_siblings_list")
        cores.add(siblings or f"{package}/{core}")
    return len(cores), len(sockets)


def _big_cores(root: Path, online: set[int]) -> int | None:
    """How many physical cores are of the fastest kind, None where all are alike.

    The kernel gives each a capacity (arm64) or lists the two kinds as PMUs (x86 hybrids).
    """
    big = text_at(root / "sys/devices/cpu_core/cpus")
    if big and text_at(root / "sys/devices/cpu_atom/cpus"):
        fast = in_list(big) & online
    else:
        capacity = {
            number: number_at(root / f"sys/devices/system/cpu/cpu{number}/cpu_capacity")
            for number in online
        }
        known = {number: value for number, value in capacity.items() if value is not None}
        if len(set(known.values())) < 2:
            return None
        # Cores within a tenth of the fastest work at one pace.
        most = max(known.values())
        fast = {number for number, value in known.items() if value * 10 >= most * 9}
    cores, _ = _cores_and_sockets(root, fast)
    return (cores or len(fast)) if fast else None


def _name(info: str, root: Path) -> str:
    for wanted in ("model name", "Model", "Hardware", "cpu model"):
        for line in info.splitlines():
            key, _, value = line.partition(":")
            if key.strip() == wanted and value.strip():
                return " ".join(value.split())
    board = text_at(root / "sys/firmware/devicetree/base/model")
    return board.rstrip("\0") if board else "unknown"


def _features(info: str) -> tuple[str, ...]:
    flags: set[str] = set()
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flags.update(value.split())
            break
    return tuple(name for flag, name in _FEATURES.items() if flag in flags)
