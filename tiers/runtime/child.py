"""The other side of the fork: dies with the daemon, then becomes a llama-server.

Run as a program of its own, because code between fork and exec in a process with threads may
deadlock; it imports nothing of the project. Two forms:

    python -I child.py PARENT exec PROGRAM [ARGUMENT...]
    python -I child.py PARENT wheel PARAMETERS

PARENT is the process id of the daemon. PARAMETERS is a JSON object of `CommonParams` attributes;
dots reach into parts of it ("cpuparams.n_threads"). A key comes in $LLAMA_API_KEY. The exit code
is 1 when the server could not start; what it said is on stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
FLUSH_SECONDS = 0.2
"""llama.cpp logs from a thread of its own: its last words need a moment to reach the file."""
TYPES = frozenset({"cache_type_k", "cache_type_v"})
"""Parameters whose values are names of number types."""
OOM_SCORE = "500"
"""When memory runs out, the model server goes before what the host is there for."""


def main(arguments: list[str]) -> None:
    parent, form, *rest = arguments
    _die_with(int(parent))
    # Raising one's own score is always allowed; a sandbox may still hide the file.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    if form == "exec":
        os.execv(rest[0], rest)  # noqa: S606 (there is no shell)
    _serve(json.loads(rest[0]))


def _die_with(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent's thread that started us ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the daemon ended during the start")


def _serve(parameters: dict[str, object]) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    for name, value in parameters.items():
        *path, last = name.split(".")
        target = params
        for part in path:
            target = getattr(target, part)
        if not hasattr(target, last):
            sys.exit(f"this build of llama-server has no parameter {name}")
        if name in TYPES:
            value = xllamacpp.ggml_type[f"GGML_TYPE_{str(value).upper()}"]
        setattr(target, last, value)
    if api_key := os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [api_key]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        time.sleep(FLUSH_SECONDS)
        sys.exit(f"llama-server did not start: {error}")
    print(f"listening on {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
