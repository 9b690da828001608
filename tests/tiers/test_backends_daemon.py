"""The whole daemon over endpoints that die and come back: events, chats, bare models, status."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
from backend_doubles import ANSWER, OllamaShaped, VllmShaped, running

from daemon import app
from daemon.config.load import load_config
from daemon.config.settings import Settings

_OFF = """
[sources.journald]
enabled = false
[sources.systemd]
enabled = false
[sources.metrics]
enabled = false
[sources.services]
enabled = false
[sources]
syslog_fallback = false
[memory]
enabled = false
[guard]
enabled = false
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def configured(folder: Path, first: OllamaShaped, second: VllmShaped) -> Settings:
    """Ollama for every tier by one setting, vLLM behind it."""
    file = folder / "triaged.toml"
    off = _OFF.replace("[sources]\nsyslog_fallback = false\n", "")
    tiers = "".join(
        f'[[tiers.{tier}.fallback]]\nendpoint = "{second.url}/v1"\nbackend = "openai"\n'
        for tier in ("trigger", "review", "meta")
    )
    file.write_text(
        f"[sources]\nsyslog_fallback = false\n{off}[api]\nport = {free_port()}\n"
        f'[tiers.ollama]\nendpoint = "{first.url}"\nmodel = "{first.model}"\n{tiers}'
    )
    return load_config(given=file, environ={"LLM_BACKEND": "ollama"}).settings


async def test_the_daemon_goes_on_with_the_next_endpoint_and_comes_back(tmp_path: Path) -> None:
    first, second = OllamaShaped(), VllmShaped()
    progress = app.Progress(part=lambda name, words: None, server=lambda status: None)
    async with running(first, second):
        settings = configured(tmp_path, first, second)
        async with (
            app.start_daemon(settings, state_dir=tmp_path / "state", progress=progress) as daemon,
            httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as http,
        ):
            await until_used(http, first.url)
            assert (await http.get("/readyz")).status_code == 200
            await incident_reviewed(http, "postgres")
            assert await streamed(http, "triaged")
            assert ANSWER in await streamed(http, "tier/meta")
            assert second.chats == []

            await first.kill()
            assert ANSWER in await streamed(http, "tier/meta")
            assert ANSWER in await streamed(http, "triaged")
            await incident_reviewed(http, "nginx")
            assert second.chats[0]["model"] == second.model
            for tier in (await http.get("/api/v1/tiers")).json()["tiers"]:
                assert (tier["state"], tier["health"], tier["url"]) == (
                    "fallback",
                    "degraded",
                    second.url,
                )
                away, used = tier["endpoints"]
                assert (away["in_use"], used["in_use"]) == (False, True)
                assert away["state"] == "open"
                assert away["why"]
            assert (await http.get("/readyz")).status_code == 200
            metrics = (await http.get("/metrics")).text
            named = f'{{endpoint="{first.url}",tier="meta"}}'
            assert f"triaged_endpoint_breaker{named} 2.0" in metrics
            assert f"triaged_endpoint_in_use{named} 0.0" in metrics

            await first.start()
            await until_used(http, first.url)
            asked = len(first.chats)
            assert ANSWER in await streamed(http, "tier/meta")
            assert ANSWER in await streamed(http, "triaged")
            assert len(first.chats) > asked

            await first.kill()
            await second.kill()
            refused = await http.post("/v1/chat/completions", json=chat("tier/meta"))
            assert refused.status_code == 503
            refused = await http.post("/v1/chat/completions", json=chat("triaged"))
            assert refused.status_code == 503
            assert str(second.port) in refused.text
            assert (await http.get("/readyz")).status_code == 503


def chat(model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "How full is the disk?"}]
    return {"model": model, "messages": messages, "max_tokens": 100, **more}


async def streamed(http: httpx.AsyncClient, model: str) -> str:
    """The text of a streamed answer."""
    answer = await http.post("/v1/chat/completions", json=chat(model, stream=True))
    assert answer.status_code == 200, answer.text
    chunks = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    found = [httpx.Response(200, text=chunk).json() for chunk in chunks]
    deltas = [choice["delta"] for chunk in found for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


async def until_used(http: httpx.AsyncClient, url: str) -> None:
    for _ in range(300):
        tiers = (await http.get("/api/v1/tiers")).json()["tiers"]
        if all(tier["endpoints"][0]["in_use"] and tier["url"] == url for tier in tiers):
            ready = [tier["state"] in ("ready", "half-open") for tier in tiers]
            if all(ready):
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{url} is not in use: {tiers}")


async def incident_reviewed(http: httpx.AsyncClient, unit: str) -> None:
    text = f"Out of memory: Killed process 4242 ({unit}) total-vm:8123456kB"
    posted = await http.post("/api/v1/events", json={"text": text, "unit": unit})
    assert posted.status_code == 202
    for _ in range(300):
        for incident in (await http.get("/api/v1/incidents")).json()["incidents"]:
            found = (await http.get(f"/api/v1/incidents/{incident['id']}")).json()
            if unit in str(found) and "The disk is full." in str(found):
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"no assessment of {unit}: {found}")
