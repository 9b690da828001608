"""Bare models over a real llama-server: the same answers, cancelling, a server that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from facade_kit import Served, serving

from tiers.nano.files import bundled_model
from tiers.runtime.binary import Binary
from tiers.runtime.flags import ServerFlags
from tiers.runtime.ownership import free_port
from tiers.runtime.spawn import command
from tiers.vocabulary import TierName

ENDLESS = {"prompt": "disk", "n_predict": -1, "ignore_eos": True, "model": "tier/meta"}


@contextlib.contextmanager
def llama(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """One slot, and a context so long that an endless answer takes many seconds."""
    flags = ServerFlags(
        model=bundled_model(TierName.META).path,
        alias="nano",
        host="127.0.0.1",
        port=free_port("127.0.0.1"),
        context=32_768,
        parallel=1,
        threads=1,
        gpu_layers=0,
        cache_ram_mib=0,
        fit=False,
    )
    with log.open("ab") as output:
        process = subprocess.Popen(
            command(Binary(path=None, origin="wheel"), flags), stdout=output, stderr=output
        )
    try:
        yield process, flags.url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def real(
    tmp_path: Path,
) -> AsyncIterator[tuple[Served, subprocess.Popen[bytes], httpx.AsyncClient]]:
    with llama(tmp_path / "llama.log") as (process, url):
        async with serving() as served, httpx.AsyncClient(trust_env=False, timeout=30) as client:
            served.targets.url = url
            async with asyncio.timeout(30):
                while not await _healthy(client, url):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.05)
            client.base_url = httpx.URL(served.url)
            yield served, process, client


async def _healthy(client: httpx.AsyncClient, url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await client.get(url + "/health")).status_code == 200
    return False


async def _processing(client: httpx.AsyncClient) -> int:
    text = (await client.get("/tier/meta/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("llamacpp:requests_processing")]
    return int(float(lines[0].split()[1]))


async def _becomes(client: httpx.AsyncClient, wanted: int, *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while await _processing(client) != wanted:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


def _said(body: bytes) -> list[Any]:
    """Events without what differs between two runs."""
    found = []
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            for name in ("id", "created", "timings"):
                event.pop(name, None)
            found.append(event)
    return found


async def test_the_same_answer_as_without_the_facade(real: Any) -> None:
    served, _, client = real
    body = {
        "model": "tier/meta",
        "messages": [{"role": "user", "content": "how full is the disk?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 24,
        "logprobs": True,
        "top_logprobs": 2,
        "cache_prompt": False,
    }
    direct = await client.post(served.targets.url + "/v1/chat/completions", json=body)
    relayed = await client.post("/v1/chat/completions", json=body)
    mounted = await client.post("/tier/meta/v1/chat/completions", json=body)
    assert _said(direct.content) == _said(relayed.content) == _said(mounted.content)
    assert _said(direct.content)[-1]["usage"]["completion_tokens"] > 3


async def test_the_openai_library(real: Any) -> None:
    served, _, _ = real
    async with openai.AsyncOpenAI(base_url=served.url + "/v1", api_key="none") as client:
        said = await client.chat.completions.create(
            model="tier/meta",
            messages=[{"role": "user", "content": "hi"}],
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": "a",
                    "schema": {
                        "type": "object",
                        "properties": {"ok": {"type": "boolean"}},
                        "required": ["ok"],
                        "additionalProperties": False,
                    },
                },
            },
            max_tokens=40,
        )
        assert set(json.loads(said.choices[0].message.content or "")) == {"ok"}
        with pytest.raises(openai.BadRequestError, match="messages"):
            await client.post("/chat/completions", cast_to=object, body={"model": "tier/meta"})


async def test_a_client_that_leaves_frees_the_slot_within_a_second(real: Any) -> None:
    served, _, client = real
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as leaving:
        asking = asyncio.ensure_future(
            leaving.post("/completion", json={**ENDLESS, "stream": True})
        )
        await _becomes(client, 1, seconds=5)
        asking.cancel()
        await asyncio.wait({asking})
    # (Without a stream llama-server itself takes seconds to notice a closed connection.)
    await _becomes(client, 0, seconds=1)


async def test_a_full_tier_turns_away_at_once(real: Any) -> None:
    served, _, client = real
    served.targets.changes = {"most": 2}
    asking = asyncio.ensure_future(client.post("/completion", json={**ENDLESS, "stream": True}))
    await _becomes(client, 1, seconds=5)
    second = asyncio.ensure_future(client.post("/completion", json=ENDLESS))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(2):
        third = await client.post("/completion", json=ENDLESS)
    assert (third.status_code, third.json()["error"]["code"]) == (429, "tier_busy")
    for task in (asking, second):
        task.cancel()
    await asyncio.wait({asking, second})


async def test_a_server_killed_in_the_middle_is_told(real: Any) -> None:
    _, process, client = real
    async with client.stream("POST", "/completion", json={**ENDLESS, "stream": True}) as got:
        parts = got.aiter_raw()
        whole = await anext(parts)
        process.kill()
        whole += b"".join([part async for part in parts])
    *events, last = whole.removesuffix(b"\n\n").split(b"\n\n")
    assert all(json.loads(event.removeprefix(b"data: ")) for event in events if event[:1] != b":")
    assert "tier/meta broke" in json.loads(last.removeprefix(b"data: "))["error"]["message"]
    await asyncio.to_thread(process.wait)
    after = await client.post("/completion", json=ENDLESS)
    assert (after.status_code, after.json()["error"]["code"]) == (503, "tier_unavailable")
    assert after.headers["retry-after"]
