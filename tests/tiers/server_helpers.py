"""Helpers for tests that run real llama-servers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tiers.runtime.flags import ServerFlags

RunServer = Callable[..., str]


def tiny_flags(model: Path, *, port: int, context: int = 1024, parallel: int = 2) -> ServerFlags:
    return ServerFlags(
        model=model,
        alias=model.stem,
        host="127.0.0.1",
        port=port,
        context=context,
        parallel=parallel,
        threads=1,
        gpu_layers=0,
        cache_ram_mib=0,
        fit=False,
    )


def wait_healthy(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if httpx.get(url + "/health", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not become healthy")


def process_is_gone(pid: int, *, seconds: float = 5.0) -> bool:
    """Whether the process ends, or is a zombie that only waits to be reaped, in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    os.kill(pid, 9)
    return False
