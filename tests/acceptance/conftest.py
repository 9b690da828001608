"""A daemon of one's own for a test, and a real mosquitto."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from running import QUIET, Running, ended, free_port


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder with a short path that PostgreSQL's own user can reach."""
    path = Path(tempfile.mkdtemp(prefix="triaged-run-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def daemon(state: Path) -> Iterator[Callable[[str], Running]]:
    """Makes a daemon from a piece of configuration; sources are off unless it names them."""
    with ExitStack() as stack:

        def make(config: str = "") -> Running:
            return stack.enter_context(ended(Running(state=state, config=QUIET + config)))

        yield make


@pytest.fixture
def broker() -> Iterator[int]:
    """A mosquitto with persistence on a free port."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("mosquitto is not installed; .ci/run installs it")
        pytest.skip("mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="triaged-broker-"))
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
        f"user root\n"
    )
    process = subprocess.Popen(
        [program, "-c", str(folder / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not any(c.laddr.port == port for c in psutil.Process(process.pid).net_connections()):
        assert time.monotonic() < deadline, "mosquitto did not start"
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(timeout=10)
    shutil.rmtree(folder)
