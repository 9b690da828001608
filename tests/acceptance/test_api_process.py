"""The facade as a process of its own beside a daemon without one: `triaged run --only api`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running import TRIAGED, Running

pytestmark = pytest.mark.timeout(240)

LINE = "kernel: Out of memory: Killed process 77 (mysqld)"


@contextlib.contextmanager
def api_of(running: Running) -> Iterator[subprocess.Popen[bytes]]:
    """Over the same configuration and state folder as a daemon."""
    with (running.state / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [
                TRIAGED,
                "--config",
                running.file,
                "--state-dir",
                running.state,
                "run",
                "--only",
                "api",
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "HOME": str(running.state)},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=30)


@pytest.fixture
def running(daemon: Callable[[str], Running], monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setenv("TRIAGED__API__ENABLED", "false")
    return daemon('[log]\nformat = "json"\n')


def _part(running: Running, name: str) -> dict[str, Any]:
    parts = running.get("/api/v1/status")["parts"]
    found: dict[str, Any] = next((part for part in parts if part["name"] == name), {})
    return found


def test_everything_of_the_facade_works_apart(running: Running) -> None:
    running.start(wait=False)
    with api_of(running) as api:
        running.until(running.ready, seconds=60, what="ready")
        assert running.process is not None

        # Status: the store is its own, everything else is told by the daemon.
        assert "heard" in _part(running, "daemon")["detail"]
        assert _part(running, "tier/meta")["health"] == "ok"
        tiers = {tier["tier"]: tier for tier in running.get("/api/v1/status")["tiers"]}
        assert tiers["meta"]["pid"] in {child.pid for child in running.children()}
        metrics = running.http.get("/metrics").text
        assert "triaged_ready 1.0" in metrics
        assert 'triaged_tier_resident_bytes{tier="meta"}' in metrics

        # Live: what happens in the daemon is seen here.
        seen: list[dict[str, Any]] = []
        listening = threading.Event()

        def follow() -> None:
            with contextlib.suppress(Exception), running.http.stream("GET", "/api/v1/live") as live:
                for line in live.iter_lines():
                    listening.set()
                    if line.startswith("data: "):
                        seen.append(json.loads(line[6:]))

        threading.Thread(target=follow, daemon=True).start()
        assert listening.wait(10)

        # Events, incidents, ledger; judged by the daemon.
        said = running.command_json("inject", LINE, "--json")
        assert said["accepted"] == 1
        running.until(
            lambda: len(running.get("/api/v1/incidents")["incidents"]) == 1,
            seconds=30,
            what="an incident",
        )
        running.until(
            lambda: any(item["kind"] == "incident" for item in seen), seconds=10, what="live"
        )
        assert running.get("/api/v1/ledger")["entries"]
        counted = running.accounting()
        assert counted["received"] == counted["stored"] + counted["folded"] + counted["dropped"]

        # Chat, with tools; the bare model; closing.
        answer = running.command("ask", "how full is the disk?")
        assert answer.returncode == 0, answer.stderr
        assert "%" in answer.stdout
        bare = running.http.post(
            "/v1/chat/completions",
            json={
                "model": "tier/meta",
                "max_tokens": 8,
                "messages": [{"role": "user", "content": "hello"}],
            },
        )
        assert bare.status_code == 200, bare.text
        assert running.command("incidents", "close", "1", "--reason", "known").returncode == 0
        assert running.get("/api/v1/incidents/1")["incident"]["state"] == "closed"

        # What only the daemon can do says so.
        asked = running.http.get("/api/v1/memory", params={"q": "memory"})
        assert asked.status_code == 409
        assert "api.enabled" in asked.json()["error"]["message"]

        api.send_signal(signal.SIGTERM)
        assert api.wait(timeout=30) == 0
    assert running.process.poll() is None, "the daemon does not need the API"
    assert running.stop() == 0


def test_a_daemon_that_is_gone_is_told_of_and_one_that_returns_is_found(running: Running) -> None:
    running.start(wait=False)
    with api_of(running) as api:
        running.until(running.ready, seconds=60, what="ready")
        assert running.stop() == 0
        running.until(
            lambda: _part(running, "daemon").get("health") == "down", seconds=60, what="missed"
        )
        assert running.http.get("/readyz").status_code == 503
        assert "systemctl status triaged" in _part(running, "daemon")["detail"]
        # The API took nothing that the daemon needs: neither its lock nor its PostgreSQL.
        running.start(wait=False)
        running.until(running.ready, seconds=60, what="found again")
        said = running.command_json("inject", LINE, "--json")
        assert said["accepted"] == 1
        assert api.poll() is None
    assert running.stop() == 0


def test_without_a_daemon_it_says_what_it_waits_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGED__STORE__EMBEDDED__START_SECONDS", "1")
    began = time.monotonic()
    with api_of(running) as api:
        assert api.wait(timeout=60) == 1
    assert time.monotonic() - began < 50
    said = (running.state / "api.log").read_text()
    assert "the daemon that runs it does not run" in said
    assert not (running.state / "postgres" / "data").exists()


def test_a_port_that_nobody_knows_is_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGED__TIERS__META__PORT", "0")
    with api_of(running) as api:
        assert api.wait(timeout=60) == 1
    assert "tiers.meta.port is 0" in (running.state / "api.log").read_text()
