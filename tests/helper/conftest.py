"""Fixtures around the real helper; it is root's, so these tests are too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
from helper_kit import RealHelper


@pytest.fixture
def root_only() -> None:
    if os.geteuid() != 0:
        pytest.skip("the helper is root's, and this is not root")


@pytest.fixture
def helper(root_only: None, tmp_path_factory: pytest.TempPathFactory) -> RealHelper:
    """Nothing is allowed yet."""
    root = tmp_path_factory.mktemp("helper")
    made = RealHelper(root)
    made.allow()
    return made


@pytest.fixture
def victim() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that may be ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv or ("/bin/sleep", "60"), start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
