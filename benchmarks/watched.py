"""The real `triaged run` in a process of its own, and what it and its children use."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil

TRIAGED = Path(sys.executable).with_name("triaged")
QUIET = """
[sources]
syslog_fallback = false
[sources.journald]
enabled = false
[sources.systemd]
enabled = false
[sources.metrics]
enabled = false
[sources.schedule]
enabled = false
"""
"""Sources off: what is measured is only what the benchmark gives to watch."""

_MODEL = re.compile(r"([\w.-]+)\.gguf")
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder with a short path that PostgreSQL's own user can pass through."""
    with tempfile.TemporaryDirectory(prefix=f"triaged-{name}-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        yield folder


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A daemon that is ready. `seconds` is from starting the process to the first /readyz that
    says so."""

    process: psutil.Process
    http: httpx.Client
    seconds: float

    def children(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)


@contextlib.contextmanager
def daemon(state: Path, *, config: str = "") -> Iterator[Watched]:
    """Starts `triaged run` over a state folder, and stops it in order at the end of the block.
    Ports are free ones; all else is the default unless `config` says otherwise."""
    names = ("trigger", "review", "meta", "api")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    tiers = "\n".join(f"[tiers.{name}]\nport = {ports[name]}" for name in names[:3])
    file = state / "triaged.toml"
    file.write_text(f"{config}\n[api]\nport = {ports['api']}\n{tiers}\n")
    log = state / "daemon.log"
    command = [str(TRIAGED), "--config", str(file), "--state-dir", str(state), "run", "--quiet"]
    url = f"http://127.0.0.1:{ports['api']}"
    with log.open("ab") as out, httpx.Client(base_url=url, trust_env=False) as http:
        began = time.perf_counter()
        started = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "HOME": str(state)},
        )
        try:
            _until_ready(started, http, log)
            seconds = time.perf_counter() - began
            yield Watched(process=psutil.Process(started.pid), http=http, seconds=seconds)
        finally:
            _stop(started)


def _until_ready(process: subprocess.Popen[bytes], http: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended while starting:\n{log.read_text()[-3000:]}")
        with contextlib.suppress(httpx.TransportError):
            if http.get("/readyz").status_code == 200:
                return
        time.sleep(0.02)
    raise SystemExit(f"not ready within {_START_SECONDS:g} s:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def kind_of(process: psutil.Process) -> str:
    """What a child is for: PostgreSQL, or a llama-server with its model."""
    words = process.cmdline()
    for word in words:
        name = _MODEL.search(word)
        if name is not None:
            return f"llama-server {name[1]} (pid {process.pid})"
    return "PostgreSQL" if "postgres" in " ".join(words) else process.name()


def cpu_seconds(processes: Mapping[str, list[psutil.Process]]) -> dict[str, float]:
    """User and system time so far, by group. Processes that are gone count nothing."""
    used: dict[str, float] = {}
    for group, members in processes.items():
        total = 0.0
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system
        used[group] = total
    return used


def megabytes(process: psutil.Process) -> tuple[float, float]:
    """(RSS, PSS) in MB. PSS divides what processes share among them."""
    full = process.memory_full_info()
    return full.rss / 1e6, getattr(full, "pss", full.rss) / 1e6
