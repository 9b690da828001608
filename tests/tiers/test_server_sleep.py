"""A server that sleeps when idle is no dead one, and wakes for the next call."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import httpx
from server_helpers import tiny_flags

from tiers.runtime.binary import Binary
from tiers.runtime.liveness import LivenessLimits
from tiers.runtime.ownership import free_port
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName


async def sleeping(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/props")).json()["is_sleeping"])


async def test_it_sleeps_is_watched_all_the_same_and_wakes(
    tiny_model: Path, tmp_path: Path
) -> None:
    changes: list[ServerStatus] = []
    server = LlamaServer(
        tier=TierName.META,
        flags=dataclasses.replace(
            tiny_flags(tiny_model, port=free_port("127.0.0.1")), sleep_idle_seconds=1
        ),
        binary=Binary(path=None, origin="wheel"),
        state_dir=tmp_path,
        limits=LivenessLimits(check_seconds=0.2, answer_seconds=1.5, work_seconds=5.0),
        on_change=changes.append,
    )
    status = await server.start()
    try:
        assert status.state is ServerState.READY
        async with httpx.AsyncClient(trust_env=False, timeout=30, base_url=status.url) as client:
            async with asyncio.timeout(20):
                while not await sleeping(client):  # noqa: ASYNC110 (another process sleeps)
                    await asyncio.sleep(0.1)
            await asyncio.sleep(2.5)  # longer than a hung server would live
            assert server.status().pid == status.pid
            assert await sleeping(client)
            answer = await client.post("/completion", json={"prompt": "x", "n_predict": 2})
            assert answer.status_code == 200
        assert server.status().pid == status.pid
        assert not any(change.state is ServerState.STALLED for change in changes)
    finally:
        await server.stop()
