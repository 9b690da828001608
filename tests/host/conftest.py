"""The machine of the tests, and what is installed on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine, machine, small_disk, why_not

_BUILT = Path(__file__).parents[2] / "build" / "wheelhouse"
WHEELHOUSE = Path(os.environ.get("TRIAGED_HOST_WHEELHOUSE", _BUILT))


@pytest.fixture(scope="module")
def possible() -> None:
    """Fails in CI, and skips elsewhere, where the machine cannot run a Debian."""
    if why := why_not():
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(f"no Debian can be booted here: {why}")
    assert WHEELHOUSE.is_dir(), "run `make wheelhouse` first, as `make test-host` does"


@pytest.fixture(scope="module")
def disk(possible: None) -> Iterator[Path | None]:
    """A small file system, where the kernel gives one."""
    try:
        with small_disk(megabytes=24) as mounted:
            yield mounted
    except subprocess.CalledProcessError:
        yield None


@pytest.fixture(scope="module")
def debian(disk: Path | None) -> Iterator[Machine]:
    """Booted, with the wheelhouse in /root; nothing is installed yet."""
    binds = {disk: "/srv/small"} if disk is not None else {}
    with machine(binds=binds) as booted:
        shutil.copytree(WHEELHOUSE, booted.root / "root" / "wheelhouse")
        yield booted
