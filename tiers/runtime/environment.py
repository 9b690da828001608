"""The environment that a llama-server program is run in: the daemon's own, less what steers it."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What the daemon's own environment says to llama-server stays outside: LLAMA_ARG_TOOLS alone
# would give its callers a shell.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_KEPT_PREFIXES = ("CUDA_", "NVIDIA_", "HIP_", "ROCR_", "GGML_", "VK_", "OMP_")


def kept_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What of `environ` (this process's without) a llama-server is told."""
    given = os.environ if environ is None else environ
    return {
        key: value for key, value in given.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)
    }
