"""A real daemon with the bundled models, as clients of other people meet it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import OpenAI

# The daemon in a process of its own is the acceptance tests' affair.
sys.path.append(str(Path(__file__).resolve().parents[1] / "acceptance"))

from running import QUIET, Running, ended


@contextlib.contextmanager
def _daemon() -> Iterator[Running]:
    state = Path(tempfile.mkdtemp(prefix="triaged-clients-"))
    state.chmod(0o711)
    try:
        with ended(Running(state=state, config=QUIET)) as running:
            yield running
            running.stop()
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Running]:
    """Runs until the last test of clients is over; its sources are off."""
    with _daemon() as running:
        running.start()
        yield running


@pytest.fixture
def keyed() -> Iterator[tuple[Running, Callable[..., str]]]:
    """A daemon of the test's own that has keys; and what makes a key by name and options."""
    with _daemon() as running:

        def add(name: str, *options: str) -> str:
            key: str = running.command_json("keys", "add", name, *options, "--json")["key"]
            return key

        running.http.headers["Authorization"] = f"Bearer {add('test', '--role', 'admin')}"
        running.start()
        yield running, add


@pytest.fixture
def base_url(daemon: Running) -> str:
    """What a client calls its base URL."""
    return f"{daemon.http.base_url}/v1"


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=60) as opened:
        yield opened
