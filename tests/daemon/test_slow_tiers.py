"""A model that loads for minutes must not leave the host unwatched meanwhile."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from daemon import app
from daemon.config.settings import Settings
from tiers.runtime.flags import REQUIRED_FLAGS


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_sources_and_rules_do_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = tmp_path / "llama-server"
    never.write_text(
        "#!/bin/sh\n"
        "case $1 in\n"
        "--version) echo 'version: 0.6.0 (build 11549, commit abc)' ;;\n"
        f"--help) printf '%s\\n' {' '.join(sorted(REQUIRED_FLAGS))} ;;\n"
        "*) exec sleep 600 ;;\n"
        "esac\n"
    )
    never.chmod(0o755)
    monkeypatch.setenv("LLAMA_BIN", str(never))
    monkeypatch.setattr(app, "_TIERS_SECONDS", 0.2)
    settings = Settings.model_validate(
        {
            "api": {"port": _free_port()},
            "memory": {"enabled": False},
            "tiers": {name: {"port": _free_port()} for name in ("trigger", "review", "meta")},
        }
    )
    parts: list[str] = []
    progress = app.Progress(
        part=lambda name, words: parts.append(f"{name}: {words}"), server=lambda status: None
    )
    async with app.start_daemon(settings, state_dir=tmp_path / "state", progress=progress) as run:
        assert any("still loading" in part for part in parts)
        async with httpx.AsyncClient(base_url=run.url, trust_env=False, timeout=20) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).status_code == 503
            text = "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB"
            posted = await http.post("/api/v1/events", json={"text": text, "unit": "kernel"})
            assert posted.status_code == 202
            async with asyncio.timeout(20):
                while not (await http.get("/api/v1/incidents")).json()["incidents"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        assert run.failure.error is None
