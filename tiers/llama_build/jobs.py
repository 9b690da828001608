"""How many compilers run at once. Pure."""

from __future__ import annotations

from tiers.hardware.facts import Memory, Processor
from tiers.llama_build.values import Backend

_MIB = 2**20
# The largest file of each kind, measured or as its users report.
_PER_JOB = {Backend.CPU: 1_200 * _MIB, Backend.METAL: 1_200 * _MIB}
_PER_GPU_JOB = 3_000 * _MIB
_DISK = {Backend.CPU: 600 * _MIB, Backend.METAL: 600 * _MIB}
_GPU_DISK = 3_000 * _MIB


def parallel_jobs(
    processor: Processor, memory: Memory, backend: Backend, *, asked: int | None = None
) -> int:
    """As many as there are threads for, and memory. What is `asked` for is taken."""
    if asked is not None:
        return max(1, asked)
    threads: float = processor.usable_threads
    if processor.quota is not None:
        threads = min(threads, processor.quota)
    by_memory = memory.usable // _PER_JOB.get(backend, _PER_GPU_JOB)
    return max(1, min(int(threads), by_memory))


def disk_needed(backend: Backend) -> int:
    """Bytes that a build fills until it is cleared up."""
    return _DISK.get(backend, _GPU_DISK)
