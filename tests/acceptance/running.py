"""The real command in a process of its own: started, asked, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.watched import QUIET

__all__ = ["QUIET", "Running", "ended", "free_port"]

TRIAGED = Path(sys.executable).with_name("triaged")
START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Running:
    """A daemon over one state directory; may be started again after it was killed."""

    def __init__(self, *, state: Path, config: str) -> None:
        self.state = state
        self.ports = {name: free_port() for name in ("trigger", "review", "meta", "api")}
        self.file = state / "triaged.toml"
        tiers = "\n".join(
            f"[tiers.{name}]\nport = {self.ports[name]}" for name in ("trigger", "review", "meta")
        )
        self.file.write_text(f"{config}\n[api]\nport = {self.ports['api']}\n{tiers}\n")
        self.log = state / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports['api']}", timeout=30, trust_env=False
        )

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(TRIAGED), "--config", str(self.file), "--state-dir", str(self.state), "run"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "HOME": str(self.state)},
            )
        if wait:
            self.until(self.ready, seconds=START_SECONDS, what="ready")

    def ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-4000:]}")
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL to the daemon alone: its children have to see to themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def accounting(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/v1/status")["accounting"]
        return found

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRIAGED), "--config", str(self.file), "--state-dir", str(self.state), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "HOME": str(self.state), "COLUMNS": "200"},
        )

    def command_json(self, *arguments: str) -> Any:
        answer = self.command(*arguments)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def until(self, true: Callable[[], bool], *, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                tail = self.log.read_text()[-3000:] if self.log.exists() else ""
                raise AssertionError(f"not {what} within {seconds} s\n{tail}")
            time.sleep(0.1)


@contextlib.contextmanager
def ended(running: Running) -> Iterator[Running]:
    """Whatever happens in the block, no process is left."""
    try:
        yield running
    finally:
        left = []
        if running.process is not None and running.process.poll() is None:
            left = running.children()
            running.kill()
        _, alive = psutil.wait_procs(left, timeout=20)
        for process in alive:
            process.kill()
        running.http.close()
