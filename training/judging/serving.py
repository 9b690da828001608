"""A llama-server for the time of a measurement: the wheel's own, in a child process.

`python -m training.judging.serving MODEL PORT THREADS SLOTS CONTEXT` serves until its standard
input closes, so that it never outlives whoever started it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

_READY_SECONDS = 30.0


@contextlib.contextmanager
def served(model: Path, *, threads: int = 1, slots: int = 4, context: int = 2048) -> Iterator[str]:
    """The base URL of a server for `model`. `context` is per slot."""
    port = _free_port()
    command = [
        sys.executable, "-m", "training.judging.serving",
        str(model), str(port), str(threads), str(slots), str(context * slots),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, child)
            yield url
        finally:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            said = child.stderr.read().decode(errors="replace")[-600:] if child.stderr else ""
            raise SystemExit(f"llama-server ended with code {child.returncode}: {said}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise SystemExit(f"llama-server on {url} was not ready within {_READY_SECONDS:g} s")


def _serve(model: str, port: int, threads: int, slots: int, context: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.port = port
    params.n_ctx = context
    params.n_parallel = slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.use_jinja = True
    params.verbosity = 1
    server = xllamacpp.Server(params)
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], *(int(word) for word in sys.argv[2:6]))
