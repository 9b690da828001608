"""A real build from a real archive: minutes. Name the archive in $TRIAGED_TEST_LLAMA_SOURCE."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tiers.config import TierSettings
from tiers.runtime.fleet import Fleet
from tiers.runtime.own_builds import builds_folder
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName

TRIAGED = Path(sys.executable).with_name("triaged")
SOURCE = os.environ.get("TRIAGED_TEST_LLAMA_SOURCE")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(SOURCE is None, reason="$TRIAGED_TEST_LLAMA_SOURCE names no archive")
def test_a_real_archive_becomes_a_server_of_the_bundled_models(tmp_path: Path) -> None:
    state = tmp_path / "state"
    built = subprocess.run(
        [
            *(str(TRIAGED), "--state-dir", str(state), "llama", "build", "--json"),
            *("--source", str(SOURCE), "--backend", "cpu"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document = json.loads(built.stdout)
    assert document["backend"] == "cpu"
    program = str(Path(document["program"]).resolve())
    asyncio.run(_serves_all_tiers(tmp_path / "run", builds=builds_folder(state), program=program))


async def _serves_all_tiers(folder: Path, *, builds: Path, program: str) -> None:
    settings = {tier: TierSettings(port=0) for tier in TierName}
    fleet = Fleet(settings, folder, environ={}, builds=builds)
    try:
        for status in await fleet.start():
            assert status.state is ServerState.READY, status.detail
            assert status.pid is not None
            assert psutil.Process(status.pid).exe() == program
    finally:
        await fleet.stop()
