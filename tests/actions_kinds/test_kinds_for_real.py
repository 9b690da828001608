"""Kinds on this machine, through the real helper as a child process: real processes, a real packet
filter, real files."""

# ruff: noqa: S607 -- tools of the machine

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kinds_kit import CATALOGUE, NoUnits, action

from daemon.actions.action import Action
from daemon.actions.host.helper_client import ChildDoor, HelperClient
from daemon.actions.host.host import Limits
from daemon.actions.host.local import LocalHost
from daemon.actions.kind import Check
from daemon.actions.kinds import storage
from daemon.actions.verify import verify

IN_A_NAMESPACE = """
import asyncio, json, sys
sys.path.insert(0, {here!r})
from test_kinds_for_real import carried_out, host_with
from kinds_kit import CATALOGUE, action
from pathlib import Path

async def main():
    host = host_with(Path({config!r}))
    for kind in ("block_address", "unblock_address"):
        parameters = dict(seconds=60) if kind == "block_address" else dict()
        check = await carried_out(action(kind, "192.0.2.7", **parameters), host)
        print(json.dumps([kind, check.holds, dict(check.measured)]))

asyncio.run(main())
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("the helper is root's, and this is not root")
    (tmp_path / "bin").mkdir()
    return tmp_path / "helper.toml"


def _allow(config: Path, *verbs: str) -> None:
    programs = [str(config.parent / "bin"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    locks = config.parent / "locks"
    lines = (f"verbs = {json.dumps(verbs)}", f"programs = {json.dumps(programs)}")
    config.write_text("\n".join((*lines, f'locks = "{locks}"\n')))
    config.chmod(0o644)


def host_with(config: Path) -> LocalHost:
    helper = HelperClient(door=lambda: ChildDoor(config=config))
    return LocalHost(units=NoUnits(), helper=helper, limits=Limits(steady_seconds=0.0))


async def carried_out(made: Action, host: LocalHost) -> Check:
    """As the executor goes about it."""
    kind = CATALOGUE.kind(made.kind)
    await kind.find(made, host)
    await kind.ready(made, host)
    before = await kind.before(made, host)
    await kind.run(made, host)
    return (await verify(kind, made, host, before=before, steady=0.0)).check


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


async def test_a_real_process_is_reniced_and_ended(
    config: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    _allow(config, "process-end", "process-renice")
    host = host_with(config)
    found = await host.process(sleeper.pid)
    assert found is not None
    target = f"{found.pid}:{found.start}"
    check = await carried_out(action("renice_process", target, nice=15), host)
    assert check.holds is True, check.detail
    assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == 15
    check = await carried_out(action("end_process", target), host)
    assert check.holds is True, check.detail
    assert sleeper.wait(timeout=5) == -15


def test_a_real_block_is_put_and_lifted(config: Path) -> None:
    if not shutil.which("nft"):
        pytest.skip("nft is not installed")
    _allow(config, "block", "unblock")
    script = IN_A_NAMESPACE.format(here=str(Path(__file__).parent), config=str(config))
    argv = ["unshare", "--net", sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line[:2] for line in said] == [
        ["block_address", True],
        ["unblock_address", True],
    ], done.stderr
    assert said[0][2]["left"] > 50
    assert not said[1][2]["blocked"]


async def test_a_real_cache_is_cleaned(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = config.parent / "cache"
    cache.mkdir()
    (cache / "package.deb").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(storage.CleanPackageCache, "folders", (str(cache),))
    for name, script in (("dpkg", ""), ("apt-get", f"rm -f {cache}/package.deb\n")):
        program = config.parent / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)
    _allow(config, "package-cache-clean")
    host = host_with(config)
    made = action("clean_package_cache", "packages")
    check = await carried_out(made, host)
    assert check.holds is True, check.detail
    assert check.measured["freed"] > 2_000_000
