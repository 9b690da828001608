"""Why a llama-server did not get its model loaded, and what smaller setting may help. Pure.

It says so in its log, in the words of llama.cpp and of its GPU backends; and by the signal that
ended it.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import signal
from collections.abc import Mapping, Sequence

from tiers.runtime.flags import ServerFlags

_LEAST_CONTEXT = 1024


class Fault(enum.StrEnum):
    """What kind of trouble it was."""

    BROKEN_FILE = "broken file"
    UNKNOWN_MODEL = "unknown model"
    GPU_MEMORY = "GPU memory"
    NO_GPU = "no GPU"
    MEMORY = "memory"
    INSTRUCTIONS = "instructions"
    LIBRARY = "library"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadFault:
    """`advice` is a sentence on what somebody can do."""

    fault: Fault
    advice: str


_ADVICE = {
    Fault.BROKEN_FILE: "The model file is damaged or was cut short: get it again "
    "('triaged models verify' tells).",
    Fault.UNKNOWN_MODEL: "This build of llama-server does not know that kind of model: take a "
    "newer build ('triaged llama status') or another model.",
    Fault.GPU_MEMORY: "The GPU has not enough free memory: set gpu_layers lower, a shorter "
    "context, or a smaller model.",
    Fault.NO_GPU: "The GPU cannot be used (driver, permissions or container): see what 'triaged "
    "hardware' tells, or set gpu_layers = 0.",
    Fault.MEMORY: "There is not enough memory: set a shorter context, fewer parallel calls, or a "
    "smaller model ('triaged models recommend').",
    Fault.INSTRUCTIONS: "This build uses instructions that the processor does not have: build it "
    "here ('triaged llama build'), or unset LLAMA_BIN.",
    Fault.LIBRARY: "A library that this build needs is missing: install it, or take another build.",
}

# In the order in which they are asked: what is more specific stands first.
_WORDS: Mapping[Fault, Sequence[str]] = {
    Fault.LIBRARY: (
        r"error while loading shared libraries",
        r"GLIBC(?:XX)?_[\d.]+. not found",
    ),
    Fault.UNKNOWN_MODEL: (
        r"unknown model architecture",
        r"unknown pre-?tokenizer",
        r"wrong number of tensors",
    ),
    Fault.BROKEN_FILE: (
        r"invalid magic",
        r"not within the file bounds",
        r"corrupted or incomplete",
        r"failed to read (?:magic|key|tensor)",
        r"unexpectedly reached end of file",
        r"missing tensor",
        r"bad GGUF",
    ),
    Fault.GPU_MEMORY: (
        r"cudaMalloc failed",
        r"CUDA error: out of memory",
        r"hipMalloc.*out of memory",
        r"ErrorOutOfDeviceMemory",
        r"unable to allocate (?:CUDA|ROCm|Vulkan|Metal|SYCL)\w* buffer",
    ),
    Fault.NO_GPU: (
        r"no CUDA-capable device",
        r"failed to initialize CUDA",
        r"CUDA driver version is insufficient",
        r"no ROCm-capable device",
        r"no (?:Vulkan )?devices? found",
        r"failed to detect a default Metal",
    ),
    Fault.MEMORY: (
        r"std::bad_alloc",
        r"cannot allocate memory",
        r"failed to allocate (?:CPU )?(?:buffer|memory)",
        r"unable to allocate CPU\w* buffer",
        r"out of memory",
    ),
}
_KNOWN = {fault: re.compile("|".join(words), re.IGNORECASE) for fault, words in _WORDS.items()}


def load_fault(*, code: int, said: str) -> LoadFault | None:
    """The trouble behind an end during loading: `code` is the exit code, negative for a signal;
    `said` the log of this start. None where nothing tells."""
    for fault, words in _KNOWN.items():
        if words.search(said):
            return LoadFault(fault=fault, advice=_ADVICE[fault])
    by_signal = {
        -signal.SIGILL: Fault.INSTRUCTIONS,
        -signal.SIGBUS: Fault.BROKEN_FILE,
        # Nobody but the kernel kills a server that is loading.
        -signal.SIGKILL: Fault.MEMORY,
    }
    if (found := by_signal.get(code)) is not None:
        return LoadFault(fault=found, advice=_ADVICE[found])
    return None


def smaller(flags: ServerFlags, fault: Fault) -> tuple[ServerFlags, str] | None:
    """Settings with which it may load after all, and what was given up, in words; None when there
    is nothing left to give up, or it would not help."""
    if fault in (Fault.GPU_MEMORY, Fault.NO_GPU) and flags.gpu_layers != 0:
        return dataclasses.replace(flags, gpu_layers=0), "on the processor alone"
    if fault is Fault.MEMORY:
        if flags.cache_ram_mib:
            return dataclasses.replace(flags, cache_ram_mib=0), "without kept prompts"
        if flags.parallel > 1:
            return dataclasses.replace(flags, parallel=1), "with one call at a time"
        if flags.context // 2 >= _LEAST_CONTEXT:
            half = flags.context // 2
            return dataclasses.replace(flags, context=half), f"with a context of {half} tokens"
    return None
