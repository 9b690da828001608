"""What the disk does to a llama-server's keeper: nothing that lasts longer than the trouble."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from server_helpers import tiny_flags

from tiers.runtime.binary import Binary
from tiers.runtime.logfile import LogFile
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName


def test_a_log_stays_bounded_where_no_copy_can_be_made(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "llama.log")
    log.path.write_bytes(b"x" * 1000)
    (tmp_path / "llama.log.1").mkdir()  # what cannot be written, for root neither
    assert log.rotate(limit=500)
    assert log.size() == 0


async def test_a_start_that_the_disk_refuses_is_tried_again(
    tiny_model: Path, tmp_path: Path
) -> None:
    server = LlamaServer(
        tier=TierName.REVIEW,
        flags=tiny_flags(tiny_model, port=free_port("127.0.0.1")),
        binary=Binary(path=None, origin="wheel"),
        state_dir=tmp_path,
        policy=RestartPolicy(first_seconds=0.05, most_seconds=0.1, cap=1000),
    )
    log = tmp_path / "logs" / "llama-review.log"
    log.mkdir(parents=True)
    try:
        status = await server.start()
        assert status.state is ServerState.COOLING
        assert "cannot be started" in status.detail
        assert str(log) in status.detail
        log.rmdir()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                while not server.status().state.serves:  # noqa: ASYNC110 (another process's)
                    await asyncio.sleep(0.02)
        assert server.status().state.serves
    finally:
        await server.stop()
